"""Pages of the catalogue: first rows, and what the cells of a notebook showed, as text and pictures and never as markup."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_catalogue import HOSTILE, Page, page

from pellucid.errors import PackageError
from pellucid.packages.adopting.adoption import adopt
from pellucid.packages.catalogue import NOBODY, build
from pellucid.packages.catalogue.looking import look_index, png, sealed_look
from pellucid.packages.catalogue.looking.notebook_blocks import MARK, blocks
from pellucid.packages.catalogue.server import bound
from pellucid.packages.checking import check
from pellucid.packages.format import archive, fixity, wheel_store
from pellucid.packages.reproducing import download
from pellucid.pipeline.declaration.about import About

pytestmark = pytest.mark.timeout(300)
ABOUT = About("A study of films", "What its cells show.", ("Doe, Jane",), "MIT", "CC-BY-4.0")
RICH = (
    "<h2>rich</h2><script>hit=1</script><img src=https://x.example/a.png onerror=hit=2>"
    "<iframe src=//x.example></iframe><a href=javascript:hit=3>go</a><style>*{color:red}</style>"
)
CELLS = [
    "import pandas as pd\nframe = pd.DataFrame({'film': ['Alien', '<script>hit=1</script>'], 'stars': [5, 3]})\nframe",
    "%matplotlib inline\nimport matplotlib.pyplot as plt\nplt.plot([1, 3, 2]);",
    f"{HOSTILE!r}",
    f"class Rich:\n    def __repr__(self):\n        return 'r'\n    def _repr_html_(self):\n        return {RICH!r}\nRich()",
]


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(*more: bytes) -> bytes:
    """A PNG of one white pixel, with more chunks before its data."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(b"\0\xff")) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def notebook_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of the package of an adopted notebook."""
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "mine").mkdir()
    cells = [{"cell_type": "code", "source": text} for text in CELLS]
    (folder / "mine" / "films.ipynb").write_text(json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5, "metadata": {}}))
    adopted = adopt(folder / "mine" / "films.ipynb", folder / "adopted", about=ABOUT)
    for words in (("run", adopted.pipeline.name, "--quiet"), ("publish", "last", "../package")):
        command = [sys.executable, "-m", "pellucid", *words]
        subprocess.run(command, cwd=folder / "adopted", check=True, capture_output=True)
    build([folder / "package"], folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_what_a_notebook_shows_is_on_the_page_of_its_package_and_nothing_of_its_markup(notebook_site: Path) -> None:
    (path,) = (notebook_site / "package").glob("*.html")
    found = page(path)
    for text in ("What the notebook shows", "Alien", "<script>hit=1</script>", "Cell 4", "rich"):
        assert text in found.text
    assert [known for tag, known in found.elements if any(name.startswith("on") for name in known)] == []
    assert not {tag for tag, _ in found.elements} & {"iframe", "object", "embed"}
    assert [known.get("type") for known, _ in found.scripts] == ["application/ld+json"]
    assert "x.example" not in "".join(str(known) for _, known in found.elements)
    assert "javascript:" not in "".join(found.links)
    (drawn,) = [known["src"] or "" for tag, known in found.elements if tag == "img"]
    body = (path.parent / drawn).read_bytes()
    assert png(body) == body
    assert b"tEXt" not in body  # what matplotlib says of itself


@pytest.mark.slow
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_its_pages_read_well_and_its_pictures_are_seen(
    notebook_site: Path, chromium: Any, tool: Callable[[str], Path], width: int, theme: str
) -> None:
    (source,) = tool("axe").parents[1].rglob("axe_playwright_python/axe.min.js")
    chromium.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": theme}]})
    try:
        for path in sorted(notebook_site.rglob("*.html")):
            chromium.get(path.as_uri())
            assert chromium.execute_script("return document.documentElement.scrollWidth") <= width, path.name
            assert chromium.execute_script("return [...document.images].every((one) => one.loading = 'eager')")
            decoded = "Promise.all([...document.images].map((one) => one.decode()))"
            seen = f"const done = arguments[0]; {decoded}.then(() => done(true), () => done(false))"
            assert chromium.execute_async_script(seen), path.name
            if shots := os.environ.get("PELLUCID_SHOTS"):
                chromium.save_screenshot(f"{shots}/notebook-{theme}-{width}-{path.stem}.png")
            chromium.execute_script(source.read_text())
            told = chromium.execute_async_script("const done = arguments[0]; axe.run().then(done)")
            bad = [(one["id"], one["help"]) for one in told["violations"] if one["impact"] in ("serious", "critical")]
            assert bad == [], path.name
            assert chromium.execute_script("return typeof hit") == "undefined"
        assert [line for line in chromium.get_log("browser") if line["level"] != "INFO"] == []
    finally:
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_only_the_picture_of_a_picture_is_kept() -> None:
    plain = picture()
    assert png(plain) == plain
    assert png(picture(chunk(b"tEXt", b"Author\0Jane"))) == plain
    for bad in (b"", b"<svg/>", plain[:-1], plain[:40], plain.replace(b"IDAT", b"IDAX"), picture(chunk(b"ABCD", b"x"))):
        assert png(bad) == b"", bad
    huge = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, 0, 0, 0, 0)) + chunk(b"IEND", b"")
    assert png(huge) == b""
    assert png(plain + b"<script>") == plain


def test_of_a_page_only_text_tables_and_pictures_are_taken() -> None:
    inside = base64.b64encode(picture()).decode()
    text = f"""{MARK}x</title></head><body><h2>Cell 1</h2><pre>1 &lt; 2
3</pre><table><tr><th>a</th></tr><tr><td>1 <b>2</b></td></tr></table><img src="data:image/png;base64,{inside}">
<img src="data:image/svg+xml;base64,AAAA"><img src="http://x.example/p.png"><svg><text>no</text></svg><script>no</script><p>yes</body>"""
    assert blocks(text) == [["h2", "Cell 1"], ["pre", "1 < 2\n3"], ["table", [["a"], ["1 2"]]], ["picture", inside], ["p", "yes"]]
    assert blocks("<h2>Cell 1</h2>") == []


def test_first_rows_are_shown_with_their_number(published: Path, tmp_path: Path) -> None:
    build([published], tmp_path / "site")
    pages = [Page(path.read_text()) for path in (tmp_path / "site" / "data").glob("*.html")]
    assert pages
    for found in pages:
        assert "First rows" in found.text
        assert "rows" in found.text
    assert any("stored as" in found.text and "string" in found.text for found in pages)


def test_wheels_are_kept_once_and_a_zip_is_whole_beside_them(published: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    build([published], site)
    (zipped,) = (site / "files").glob("*.zip")
    (wheel,) = (site / "wheels").iterdir()
    assert wheel.name == f"{fixity.sha256_of(wheel)}.whl"
    assert wheel_store.left_out(zipped) == [wheel.stem]
    assert check(zipped).digest == fixity.sha256_of(published / fixity.FILE)
    alone = tmp_path / "alone" / "p.zip"
    alone.parent.mkdir()
    alone.write_bytes(zipped.read_bytes())
    with pytest.raises(PackageError, match="missing") as caught:
        check(alone)
    assert "A catalogue keeps wheels once" in str(caught.value)
    own = next((published / "environment").glob("*.whl"))
    (alone.parent / own.name).write_bytes(b"another wheel")
    with pytest.raises(PackageError, match="missing"):
        check(alone)
    (alone.parent / own.name).write_bytes(wheel.read_bytes())
    assert check(alone).files
    build([zipped], tmp_path / "second")
    assert sorted(path.name for path in (tmp_path / "second" / "wheels").iterdir()) == [wheel.name]


def test_the_address_of_a_zip_brings_its_wheels(published: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    build([published], site)
    (zipped,) = (site / "files").glob("*.zip")
    with bound(site, host="127.0.0.1", port=0, email=NOBODY) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        address = f"http://127.0.0.1:{server.server_port}/files/{zipped.name}"
        try:
            with download.opened(address, tmp_path) as found:
                assert check(found).digest == fixity.sha256_of(published / fixity.FILE)
            (wheel,) = (site / "wheels").iterdir()
            wheel.write_bytes(b"another")  # what a site gives counts only with the hash that the package states
            with download.opened(address, tmp_path) as found, pytest.raises(PackageError, match="missing"):
                check(found)
        finally:
            server.shutdown()
            thread.join()


def test_a_package_is_looked_into_once_and_one_whose_bytes_changed_again(
    published: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked: list[int] = []
    looks = sealed_look.looks

    def counted(folders: Any) -> Any:
        asked.append(len(folders))
        return looks(folders)

    monkeypatch.setattr("pellucid.packages.catalogue.looking.looks", counted, raising=False)
    for _ in range(2):
        build([published], tmp_path / "site")
    (package / "README.md").write_text("Now it says that it is the best of all.")
    fixity.write(package)
    for _ in range(2):
        with pytest.raises(PackageError, match="README"):  # also when it is known what looking gave
            build([published, package], tmp_path / "site")
    assert asked == [1, 0, 1, 0]
    digest = fixity.sha256_of(published / fixity.FILE)
    assert look_index.known(digest) is not None
    for kept in (tmp_path / "cache" / "pellucid" / "looks").rglob("*.json"):
        kept.chmod(0o666)  # others could have written it
    assert look_index.known(digest) is None
    with (package / "artifacts" / "counts.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(PackageError, match="the file was changed"):
        build([package], tmp_path / "site")


def test_no_package_speaks_for_another(published: Path, package: Path) -> None:
    """One that cannot be read is refused, and the others in its batch are what they are."""
    (package / "manifest.json").write_text("{")
    first, second, third = sealed_look.looks([published, package, published])
    assert "error" in second
    assert first == third
    assert first["otherwise"] == []
    assert archive.MAX_UNPACKED
