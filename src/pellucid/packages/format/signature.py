"""Signatures: an in-toto Statement in a DSSE envelope, ed25519, over the list of a package's files.

The list holds every file's SHA-256, so one subject covers all: artifacts, code, tolerances, metadata. The envelope and the public key lie
beside the list and are not in it. A key that comes with a package proves only that whoever holds its other half signed; whose it
is, the verifier must know.
"""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.errors import PackageError, UsageError
from pellucid.packages.format import fixity
from pellucid.packages.format.json_text import parse_json, read_json, refuse

FILE, KEY = "attestation.dsse.json", "attestation.pub.pem"
PAYLOAD = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PACKAGE = "tag:pellucid,2026:package/v1"
NEW_KEY = "openssl genpkey -algorithm ed25519 -out signing.pem && chmod 600 signing.pem"


@dataclass(frozen=True)
class Signed:
    """A signature that verified: the key's id (SHA-256 of its raw bytes, in hex), the statement, and whether the verifier named the key."""

    key: str
    statement: dict[str, Any]
    known: bool


def envelope(statement: dict[str, Any], key: Path) -> tuple[bytes, bytes]:
    """The signed envelope and the public key (PEM). Raises UsageError for a key that cannot be used or that others can read."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer._crypto_signer import CryptoSigner

    from pellucid.packages.format.json_text import as_json

    private = private_key(key)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = Envelope(as_json(statement), PAYLOAD, {})
    signed.sign(CryptoSigner(private, parsed_key(public, "the key")))
    return as_json(signed.to_dict()), public


def statement_of(package: Path, predicate: dict[str, Any]) -> dict[str, Any]:
    """What is signed of a package: that the list of its files has this SHA-256."""
    return statement(hashlib.sha256((package / fixity.FILE).read_bytes()).hexdigest(), PACKAGE, predicate)


def statement(digest: str, kind: str, predicate: dict[str, Any]) -> dict[str, Any]:
    """An in-toto Statement of a `kind` (predicateType) about the package whose list of files has this SHA-256."""
    subject = [{"name": fixity.FILE, "digest": {"sha256": digest}}]
    return {"_type": STATEMENT, "subject": subject, "predicateType": kind, "predicate": predicate}


def sign(package: Path, predicate: dict[str, Any], key: Path) -> None:
    """Write the envelope and the public key into a package whose list is complete."""
    body, public = envelope(statement_of(package, predicate), key)
    (package / FILE).write_bytes(body)
    (package / KEY).write_bytes(public)


def check(package: Path, key: Path | None = None) -> Signed | None:
    """The signature of a package, verified; None where it has none.

    `key` is a public key (PEM) the verifier trusts: then a package must be signed by it. Raises PackageError.
    """
    if not (package / FILE).exists():
        if key is not None:
            raise PackageError(
                "it is not signed", where=FILE, fix="Ask its publisher for a signed one, or check it without --key"
            )
        if (package / KEY).exists():
            refuse(KEY, "there is a key but no signature")
        return None
    enclosed = package / KEY
    if key is None and not enclosed.exists():
        refuse(KEY, "there is a signature but no key", "name the publisher's key with --key")
    pem = (key or enclosed).read_bytes() if (key or enclosed).is_file() else b""
    found = verified(read_json(package / FILE, FILE), parsed_key(pem, str(key or KEY)), FILE)
    if found.get("predicateType") != PACKAGE:
        refuse(FILE, "it is a signature of something else", f"its predicate is {found.get('predicateType')!r:.80}")
    digest = hashlib.sha256((package / fixity.FILE).read_bytes()).hexdigest()
    subjects = found.get("subject")
    subject = subjects[0] if isinstance(subjects, list) and len(subjects) == 1 and isinstance(subjects[0], dict) else {}
    if subject.get("name") != fixity.FILE or subject.get("digest") != {"sha256": digest}:
        refuse(FILE, "it is the signature of another package", f"it was made over another {fixity.FILE}")
    return Signed(key_id(pem), found, key is not None)


def verified(data: dict[str, Any], public: Any, where: str) -> dict[str, Any]:
    """The statement in an envelope that this key has signed. Raises PackageError."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError

    try:
        signed = Envelope.from_dict(data)
    except Exception as error:  # noqa: BLE001 - the library raises many kinds for malformed envelopes
        refuse(where, "it is not a signed envelope", type(error).__name__)
    if signed.payload_type != PAYLOAD:
        refuse(where, f"it holds {signed.payload_type!r:.60}, not an in-toto statement")
    try:
        signed.verify([public], 1)
    except VerificationError:
        refuse(where, "the signature is not by this key, or not over this statement")
    except Exception as error:  # noqa: BLE001 - malformed signatures
        refuse(where, "the signature cannot be checked", type(error).__name__)
    found = parse_json(signed.payload, where)
    if found.get("_type") != STATEMENT:
        refuse(where, "what it signs is no in-toto statement")
    return found


def key_id(pem: bytes) -> str:
    """The id of a public key as securesystemslib makes it, so that its own tools find the key: SHA-256 of the canonical JSON of the key."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer._key import SSlibKey

    return str(SSlibKey.from_crypto(load_pem_public_key(pem)).keyid)


def public_key(path: Path) -> Any:
    """A public key from a PEM file. Raises PackageError."""
    try:
        return parsed_key(path.read_bytes(), str(path))
    except OSError as error:
        raise PackageError("the key cannot be read", where=str(path), why=error.strerror or str(error)) from None


def parsed_key(pem: bytes, where: str) -> Any:
    """The same from the PEM text itself."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer._key import SSlibKey

    try:
        key = load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        refuse(where, "it is not a public key in PEM form")
    if not isinstance(key, Ed25519PublicKey):
        refuse(where, "it is not an ed25519 key")
    return SSlibKey.from_crypto(key, keyid=key_id(pem))


def private_key(path: Path) -> Any:
    """A private key from a PEM file. Raises UsageError for one that cannot be used, or that others can read."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    how = f"Make one: {NEW_KEY}"
    try:
        if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
            raise UsageError("others can read the signing key", where=str(path), fix=f"Close it: chmod 600 {path}")
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise UsageError("the signing key cannot be read", where=str(path), why=error.strerror or str(error), fix=how) from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(
            "it is not a private key in PEM form without password", where=str(path), why=type(error).__name__, fix=how
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("it is not an ed25519 key", where=str(path), fix=how)
    return key
