"""Nothing private leaves: not the data, and nothing computed from them, in any file or archive of a package."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
from package_shop import PERSON, Shop

from pellucid.pipeline.record.run_record import Record
from pellucid.privacy import Ledger
from pellucid.store.objects import Objects


def hexes(shop: Shop) -> set[str]:
    """Every digest and key that belongs to something private, as the state folder has them."""
    found: set[str] = set()
    for row in Record(shop.home).steps(shop.run):
        if row.label == "open" and row.kind != "release":
            continue
        found |= {row.key, *(part for name, part in row.parts.items() if name.startswith(("input", "branch")))}
        if row.label != "open":
            found |= {text for a in row.outputs.values() for leaf in (a, *a.leaves) for text in (leaf.digest, leaf.sha256)}
    ledger = Ledger(shop.home)
    found |= {spend["release"] for spend in ledger.spends()}
    ledger.close()
    found |= {hashlib.sha256((shop.folder / name).read_bytes()).hexdigest() for name in ("sales.csv", "tills.csv")}
    return {text.rpartition(":")[2] for text in found} - {""}


def secrets(shop: Shop, keys: Path) -> dict[str, bytes]:
    """Name -> bytes that must be nowhere. A digest is looked for whole and in part, as hex, as bytes and in base64."""
    found = {}
    for text in hexes(shop):
        assert len(text) == 64, text
        raw = bytes.fromhex(text)
        found |= {f"{text[:12]} as hex": text[:12].encode(), f"{text[:12]} as HEX": text[:12].upper().encode()}
        found |= {f"{text[:12]} raw": raw[:8], f"{text[:12]} in base64": base64.b64encode(raw)[:12]}
        found[f"{text[:12]} in base64 for the web"] = base64.urlsafe_b64encode(raw)[:12]
    key = (keys / "steward.key").read_bytes()
    found |= {"the key": key, "the key as hex": key.hex().encode()}
    found |= {"a person": PERSON.encode(), "the publisher's folder": str(shop.folder).encode()}
    return found | {"the temporary folder": shop.folder.parent.name.encode(), "the home": str(Path.home()).encode() + b"/"}


def bytes_of(package: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, every member of every archive, and every table as text."""
    for path in sorted(package.rglob("*")):
        if not path.is_file():
            continue
        body, shown = path.read_bytes(), path.relative_to(package).as_posix()
        yield shown, body
        if zipfile.is_zipfile(io.BytesIO(body)):
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                yield from ((f"{shown}:{name}", archive.read(name)) for name in archive.namelist())
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            yield f"{shown} as text", repr((table.to_pylist(), table.schema, pq.read_metadata(path).metadata)).encode()


def leaks(package: Path, wanted: dict[str, bytes]) -> list[str]:
    return [f"{name} in {shown}" for shown, body in bytes_of(package) for name, secret in wanted.items() if secret in body]


def test_no_byte_of_a_package_tells_of_private_data(shop: Shop, published: Path, keys: Path) -> None:
    assert len(hexes(shop)) > 20
    assert leaks(published, secrets(shop, keys)) == []


def test_the_search_finds_what_is_planted(shop: Shop, package: Path, keys: Path) -> None:
    planted = min(hexes(shop))
    (package / "code" / "shop.py").write_text(f"# {planted[:20]}")
    with zipfile.ZipFile(package / "more.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep", base64.b64encode(bytes.fromhex(planted)))
    found = leaks(package, secrets(shop, keys))
    assert any("code/shop.py" in leak for leak in found)
    assert any("more.whl:deep" in leak for leak in found)


def test_no_private_file_lies_in_the_package(shop: Shop, published: Path) -> None:
    rows = [row for row in Record(shop.home).steps(shop.run) if row.label != "open"]
    objects = Objects(shop.home)
    private = {objects.path(leaf.sha256, leaf.suffix).read_bytes() for r in rows for a in r.outputs.values() for leaf in a.leaves}
    assert private
    assert not private & {body for _, body in bytes_of(published)}


def test_what_is_said_of_the_publisher_is_the_machine_not_the_name(published: Path) -> None:
    for name in ("manifest.json", "README.md", "environment/requirements.lock"):
        text = (published / name).read_text()
        assert socket.gethostname() not in text
        assert "/tmp/" not in text
        assert "/home/" not in text


def test_example_data_do_not_travel_in_the_wheel(published: Path) -> None:
    (wheel,) = (published / "environment").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "pellucid/packages/reproducing/rerun_process.py" in names
    assert not [name for name in names if name.endswith((".csv", ".parquet", ".db", ".key", ".pyc", ".svg"))]


def test_a_package_names_the_event_that_settled_its_release(shop: Shop, package: Path) -> None:
    """By it a ledger whose end was cut off is found out; it holds random bits, so it confirms no guess of what was released."""
    ledger = Ledger(shop.home)
    trace = json.loads((package / "manifest.json").read_text())["trace"]
    named = [entry["guarantee"]["ledger"]["hash"] for entry in trace if entry.get("guarantee")]
    assert named
    ledger.verify(named)
    ledger.close()
