"""People who re-run packages, for tests: their keys, and receipts of verdicts that they came to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pellucid.packages import issue
from pellucid.packages.format import fixity, manifest
from pellucid.packages.format.manifest import PRIVATE, RERUN
from pellucid.packages.reproducing.verdict import IDENTICAL, StepVerdict, Verdict

NOW = datetime(2100, 1, 2, 3, 4, 5, tzinfo=UTC)  # after any package of the tests
MACHINE = {
    "system": "Linux 6.1", "machine": "x86_64", "cpu": "A CPU", "libc": "glibc-2.36", "python": "3.11.7", "kernel": "openblas 0.3 Haswell",
}  # fmt: skip


def key_of(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key (PEM)."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    if not private.exists():
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        private.chmod(0o600)
        public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def verdict_of(package: Path, verdict: str = IDENTICAL, **changes: Any) -> Verdict:
    """The verdict that a re-run of the package would come to."""
    read = manifest.read(package)
    results = {RERUN: verdict, PRIVATE: ""}
    steps = tuple(StepVerdict(e.step, e.kind, e.role, results.get(e.role, IDENTICAL)) for e in read.trace)
    known = Verdict(verdict, pipeline=read.pipeline, run=read.run, steps=steps, package=fixity.sha256_of(package / fixity.FILE))
    return replace(known, machine=MACHINE, network="none (namespace)", confined="landlock 4", runner="yours", **changes)


def receipt_of(package: Path, folder: Path, name: str, *, file: str = "", when: datetime = NOW, **changes: Any) -> Path:
    """A receipt by somebody; their keys are in the folder too."""
    target = folder / (file or f"{name}.json")
    issue(verdict_of(package, **changes), target, key=key_of(folder, name)[0], when=when)
    return target
