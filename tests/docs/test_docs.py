"""Every command and every example of the documentation is run, in order, page by page, in an empty folder.

A block ```python file=NAME writes a file. In a block ```console, lines that begin with "$ " are commands; any other line must be
in the command's output, with numbers and spacing free; with `numbers=exact` only spacing is. `exit=N` says how the block's last command
ends (default 0).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALL = ["README.md", "CONTRIBUTING.md", "SECURITY.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
PAGES = [page for page in ALL if "```console" in (ROOT / page).read_text()]
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SLOW = {
    f"docs/{name}.md"
    for name in (
        "dashboard",
        "synthetic",
        "verifier",
        "packages",
        "steward",
        "mechanisms",
        "assess",
        "catalogue",
        "ledger",
        "search",
        "frameworks",
        "operate",
    )
} | {"README.md"}


def blocks(page: str) -> list[tuple[str, dict[str, str], str]]:
    """(language, options, text) of each fenced block."""
    found = []
    for language, options, text in BLOCK.findall((ROOT / page).read_text()):
        found.append((language, dict(pair.split("=", 1) for pair in shlex.split(options)), text))
    return found


def loose(line: str, exact: bool = False) -> str:
    """A line without its spacing, and without its numbers unless they are exact."""
    return re.sub(r"\s+", " ", line if exact else re.sub(r"[0-9][0-9a-f.,:e-]*", "#", line)).strip()


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with the demo's files, and an environment with `pellucid` on the path and keys of its own."""
    demo = tmp_path / "pellucid-demo"
    demo.mkdir()
    for entry in (ROOT / "src" / "pellucid" / "cli" / "msweb").iterdir():
        if entry.is_file():
            shutil.copy(entry, demo)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PELLUCID")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    environment["PELLUCID_KEYS"] = str(tmp_path / "keys")
    return tmp_path, environment


def run_page(page: str, place: tuple[Path, dict[str, str]]) -> int:
    """Run a page's blocks; the number of commands that were run."""
    folder, environment = place
    commands = 0
    for language, options, text in blocks(page):
        if "file" in options:
            (folder / options["file"]).parent.mkdir(parents=True, exist_ok=True)
            (folder / options["file"]).write_text(text)
            continue
        if language != "console":
            continue
        groups: list[tuple[str, list[str]]] = []
        for line in text.splitlines():
            if line.startswith("$ "):
                groups.append((line[2:], []))
            elif line.strip() and line.strip() != "...":
                groups[-1][1].append(line)
        for at, (command, expected) in enumerate(groups):
            done = subprocess.run(command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
            wanted = int(options.get("exit", "0")) if at == len(groups) - 1 else 0
            said = done.stdout + done.stderr
            assert done.returncode == wanted, f"{page}: $ {command}\n{said}"
            exact = options.get("numbers") == "exact"
            lines = [loose(line, exact) for line in said.splitlines()]
            for line in expected:
                assert any(loose(line, exact) in found for found in lines), (
                    f"{page}: $ {command}\ndoes not say: {line}\nbut:\n{said}"
                )
            commands += 1
    return commands


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [pytest.param(p, marks=[pytest.mark.slow] if p in SLOW else []) for p in PAGES])
def test_every_command_of_the_page_does_what_it_says(page: str, place: tuple[Path, dict[str, str]]) -> None:
    if page == "README.md":  # its commands follow `make demo`
        folder, environment = place
        subprocess.run(["pellucid", "run", "pellucid-demo/areas.py", "--quiet"], cwd=folder, env=environment, check=True)
    assert run_page(page, place) >= 1


def test_a_wrong_number_on_a_page_is_found_where_numbers_are_exact(place: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    for text, number, good in (("", "2", True), (" numbers=exact", "2", False), (" numbers=exact", "1", True)):
        page = tmp_path / "page.md"
        page.write_text(f"```console{text}\n$ echo mae 1\nmae {number}\n```\n")
        if good:
            assert run_page(str(page), place) == 1
        else:
            with pytest.raises(AssertionError, match="does not say: mae 2"):
                run_page(str(page), place)


def test_the_readme_shows_what_the_example_file_says() -> None:
    example = (ROOT / "src" / "pellucid" / "cli" / "msweb" / "areas.py").read_text()
    shown = next(text for language, _, text in blocks("README.md") if language == "python")
    for line in shown.splitlines():
        if line.strip() and not line.startswith(("pipeline", "from pellucid.models")):
            assert line in example, f"the README shows a line that areas.py does not have: {line}"


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the help texts in the reference are those of Python 3.11's argparse")
def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "reference", "--check"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in ALL:
        for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
            assert (ROOT / page).parent.joinpath(target).exists(), f"{page} links to {target}, which is not there"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    for path in sorted((ROOT / "docs").glob("*.md")):
        assert path.name == "README.md" or f"({path.name})" in index, f"docs/README.md does not lead to {path.name}"


def test_every_name_that_the_pages_and_the_demo_use_is_in_the_reference() -> None:
    """Of `pl.NAME...` and of what is imported from pellucid, in the pages for its users and in the demo's pipelines."""
    reference = (ROOT / "docs" / "reference" / "python.md").read_text()
    headed = {line.split(maxsplit=1)[1].split("(")[0] for line in reference.splitlines() if line.startswith("#")}
    known = {name.removeprefix("pl.").removeprefix("privacy.").removeprefix("local.") for name in headed}
    known |= set(re.findall(r"^\| `([A-Za-z_.]+)`", reference, re.MULTILINE))
    users = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", *(ROOT / "src" / "pellucid" / "cli" / "msweb").glob("*.py")]
    missing = []
    for page in users:
        text = page.read_text()
        found = set(re.findall(r"\bpl\.([A-Za-z_][A-Za-z_.]*[A-Za-z_])", text))
        for line in re.findall(r"^from pellucid[a-z_.]* import ([A-Za-z_, ]+)", text, re.MULTILINE):
            found |= {name.strip() for name in line.split(",")}
        for name in sorted(found):
            short = name.removeprefix("privacy.").removeprefix("local.").removeprefix("models.")
            rooms = (
                "privacy",
                "evaluation",
                "models",
                "local",
                "assess",
                "transforms",
                "attacks",
                "attacks.steps",
                "report_format",
                "collection",
            )
            fits = short in known or short in rooms or any(f"{room}.{short}" in known for room in rooms)
            if not (fits or any(one.startswith(f"{short}.") for one in known)):
                missing.append(f"{page.name}: {name}")
    assert missing == []
