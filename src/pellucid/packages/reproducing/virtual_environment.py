"""The environment of a package: a fresh one, exactly what its lock says, by hash, and the wheel of pellucid that came with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pellucid.packages.format import lock_file, pylock, uv_command, uv_settings
from pellucid.pipeline.keys import DETERMINISM
from pellucid.sandbox import launcher
from pellucid.store import sha256_of

TIMEOUT = 1800.0
LONGEST = 600  # characters of what uv says


class NotBuiltError(Exception):
    """The environment could not be made; the text says why in one line."""


@dataclass(frozen=True)
class Environment:
    """A built environment: its interpreter, the folders that must be readable to use it, whether its wheels are those of an index (else
    they came with the package), and whether the pellucid in it is that of the wheel, file by file."""

    python: Path
    folders: tuple[Path, ...]
    from_index: bool = True
    pellucid_whole: bool = True


def build(package: Path, wheel: Path, folder: Path, python: str, *, offline: bool, shared: bool) -> Environment:
    """Build the environment in `folder` with uv, by the hashes of the lock: from an index or uv's cache, else from the wheels inside the
    package; and the pellucid `wheel`. Wheels that came with a package are what its publisher made of them, so an index comes first.

    `python` is the version wanted: one of the same minor version is used if there is one, else the verifier's own. Nothing from a
    package index is built or run, only unpacked.

    What would run when Python starts (`.pth` files, sitecustomize) is taken out again. With `shared` the files may be shared with uv's
    cache: only where the re-run cannot write to them. Raises NotBuiltError.
    """
    env = uv_settings(offline)
    _uv(["venv", "--quiet", "--python", _interpreter(python, env, folder.parent), str(folder)], env, folder.parent)
    everything = folder.parent / "requirements.txt"
    own = f"pellucid @ {wheel.as_uri()} --hash=sha256:{sha256_of(wheel)}\n"
    everything.write_text((package / lock_file.FILE).read_text() + own)
    # in one go: a second call might ask the interpreter, and so run what the first one installed
    sharing = [] if shared else ["--link-mode", "copy"]
    into = ["--quiet", "--python", str(folder / "bin" / "python"), "--no-build", *sharing]
    install = ["pip", "sync", *into, "--require-hashes", str(everything)]
    wheels = package / pylock.WHEELS
    from_index = True
    try:
        _uv(install, env, folder.parent)
    except NotBuiltError as error:  # no index in reach, or it does not have these files
        if not wheels.is_dir():
            raise
        from_index = False
        try:
            _uv([*install, "--no-index", "--find-links", str(wheels)], env, folder.parent)
        except NotBuiltError as other:
            raise NotBuiltError(f"{error}; and from the wheels inside: {other}") from None
    whole = _without_hooks(folder, wheel)
    interpreter = folder / "bin" / "python"
    homes = list(_hops(interpreter))
    folders = [folder, *(home.parents[1] for home in homes), Path("/etc", homes[-1].name)]  # Debian has its sitecustomize there
    return Environment(interpreter, tuple(path for path in folders if path != Path("/") and path.exists()), from_index, whole)


def _without_hooks(folder: Path, wheel: Path) -> bool:
    """Take out what would run when Python starts, before pellucid does; whether the installed pellucid is the wheel's, file by file.

    A wheel of any name may put files into pellucid's folder, bytecode too, or a `.pth` file beside it.
    """
    with zipfile.ZipFile(wheel) as archive:
        wanted = {name: archive.read(name) for name in archive.namelist() if name.startswith("pellucid/")}
    whole = True
    for site in sorted(folder.glob("lib*/python*/site-packages")):
        for path in sorted(site.iterdir()):
            if path.suffix == ".pth" or path.name.partition(".")[0] in ("sitecustomize", "usercustomize"):
                path.unlink() if path.is_symlink() or not path.is_dir() else shutil.rmtree(path)
        own = site / "pellucid"
        if own.is_symlink() or own.is_dir():
            there = [path for path in own.rglob("*") if path.is_symlink() or not path.is_dir()]
            names = {path.relative_to(site).as_posix(): path for path in there}
            same = names.keys() == wanted.keys() and not any(path.is_symlink() for path in [own, *own.rglob("*")])
            whole &= same and all(path.read_bytes() == wanted[name] for name, path in names.items())
    return whole


def _hops(link: Path) -> Iterator[Path]:
    """Where a link leads, by way of each link that it leads to."""
    at = link
    while at.is_symlink():
        at = at.parent / at.readlink()
        yield at
    yield at.resolve()


def _interpreter(wanted: str, env: dict[str, str], folder: Path) -> str:
    """An interpreter of the wanted minor version; the verifier's own when it is one, or when there is none."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    minor = re.match(r"3\.\d+", wanted)
    base = str(getattr(sys, "_base_executable", sys.executable))
    if minor is None or minor[0] == own:
        return base
    try:
        return _uv(["python", "find", "--quiet", "--no-project", minor[0]], env, folder).strip() or base
    except NotBuiltError:
        return base


def _uv(arguments: list[str], env: dict[str, str], folder: Path) -> str:
    try:
        done = subprocess.run(
            [*uv_command(), *arguments],
            capture_output=True, text=True, errors="replace", env=env, cwd=folder, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotBuiltError(f"uv {arguments[0]} took longer than {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise NotBuiltError(f"uv cannot be run: {error.strerror}") from error
    if done.returncode:
        raise NotBuiltError(in_one_line(done.stderr) or f"uv {arguments[0]} ended with {done.returncode}")
    return done.stdout


def in_one_line(text: str) -> str:
    """What uv says went wrong, what and why; of a list of hashes the number alone, for a lock may allow dozens of one file."""
    lines = [re.sub(r"^[\s×├╰─▶│·]+", "", line).strip() for line in text.splitlines()]
    said: list[str] = []
    for hashes, group in groupby(filter(None, lines), key=lambda line: re.fullmatch(r"sha\d+:[0-9a-f]+", line) is not None):
        some = list(group)
        said += [f"one of {len(some)} hashes"] if hashes and len(some) > 1 else some
    line = " ".join(said)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


def strangers_environment(home: Path, scratch: Path) -> dict[str, str]:
    """What a package's own Python gets of an environment: the few that are kept, those that make it deterministic, its folders."""
    kept = {name: os.environ[name] for name in launcher.KEPT if name in os.environ}
    own = {"HOME": str(home), "TMPDIR": str(scratch), "PYTHONNOUSERSITE": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return kept | DETERMINISM | own
