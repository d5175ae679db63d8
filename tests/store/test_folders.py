"""Folders that somebody else filled: whatever is in them, they are walked and removed, and nothing outside of them is touched."""

from __future__ import annotations

import os
from pathlib import Path

from pellucid.store import folders


def deep(place: Path, levels: int) -> None:
    """Folders in one another, more than a path can name."""
    at = os.open(place, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = inner
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=at))
    os.close(at)


def test_no_depth_mode_or_link_keeps_a_folder_or_takes_what_is_outside(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    (folder / "plain" / "inner").mkdir(parents=True)
    (folder / "plain" / "inner" / "file").write_text("x")
    (folder / "link").symlink_to(outside)
    (folder / "plain" / "file link").symlink_to(outside / "kept")
    (folder / "plain" / "hard").hardlink_to(outside / "kept")
    os.mkfifo(folder / "pipe")
    (folder / "shut" / "inner").mkdir(parents=True)
    (folder / "shut" / "inner").chmod(0)
    (folder / "shut").chmod(0)
    deep(folder / "plain", 3000)
    assert {"plain", "inner", "file", "link", "pipe", "shut", "d"} <= {entry.name for entry in folders.entries(folder)}
    assert "kept" not in {entry.name for entry in folders.entries(folder)}
    folders.remove(folder)
    assert list(tmp_path.iterdir()) == [outside]
    assert (outside / "kept").read_text() == "kept"


def test_what_is_no_folder_or_not_there_is_left_alone(tmp_path: Path) -> None:
    file, link, target = tmp_path / "file", tmp_path / "link", tmp_path / "target"
    file.write_text("x")
    target.mkdir()
    (target / "kept").write_text("x")
    link.symlink_to(target)
    for place in (file, link, tmp_path / "nothing"):
        folders.remove(place)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "kept", "link", "target"]
