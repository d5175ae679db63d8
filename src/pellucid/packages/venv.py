"""The environment of a package: a fresh one, exactly what its lock says, by hash, and the wheel of pellucid that came with it."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from pellucid.packages import lock, pylock
from pellucid.store.saved import sha256_of

TIMEOUT = 1800.0
LONGEST = 600  # characters of what uv says
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")  # uv trusts its own list alone unless told otherwise


class NotBuiltError(Exception):
    """The environment could not be made; the text says why in one line."""


@dataclass(frozen=True)
class Environment:
    """A built environment: its interpreter, and the folders that must be readable to use it."""

    python: Path
    folders: tuple[Path, ...]


def build(package: Path, wheel: Path, folder: Path, python: str, *, offline: bool, shared: bool) -> Environment:
    """Build the environment in `folder` with uv, from the wheels inside the package or its cache where it can, and the pellucid `wheel`.

    `python` is the version wanted: one of the same minor version is used if there is one, else the verifier's own. Nothing from a
    package index is built or run, only unpacked.

    With `shared` the files may be shared with uv's cache: only where the re-run cannot write to them. Raises NotBuiltError.
    """
    env = uv_settings(offline)
    _uv(["venv", "--quiet", "--python", _interpreter(python, env, folder.parent), str(folder)], env, folder.parent)
    everything = folder.parent / "requirements.txt"
    own = f"pellucid @ {wheel.as_uri()} --hash=sha256:{sha256_of(wheel)}\n"
    everything.write_text((package / lock.FILE).read_text() + own)
    # in one go: a second call might ask the interpreter, and so run what the first one installed
    sharing = [] if shared else ["--link-mode", "copy"]
    into = ["--quiet", "--python", str(folder / "bin" / "python"), "--no-build", *sharing]
    install = ["pip", "sync", *into, "--require-hashes", str(everything)]
    wheels = package / pylock.WHEELS
    try:
        if not wheels.is_dir():
            raise NotBuiltError("there are no wheels inside")
        _uv([*install, "--no-index", "--find-links", str(wheels)], env, folder.parent)
    except NotBuiltError as error:  # none inside, or none for this machine
        try:
            _uv(install, env, folder.parent)
        except NotBuiltError as other:
            raise other if not wheels.is_dir() else NotBuiltError(f"{other}; and from the wheels inside: {error}") from None
    interpreter = folder / "bin" / "python"
    homes = list(_hops(interpreter))
    folders = [folder, *(home.parents[1] for home in homes), Path("/etc", homes[-1].name)]  # Debian has its sitecustomize there
    return Environment(interpreter, tuple(path for path in folders if path != Path("/") and path.exists()))


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


def uv_command() -> list[str]:
    """uv, as it was installed with pellucid."""
    return [sys.executable, "-m", "uv"]


def in_one_line(text: str) -> str:
    """What uv says went wrong, what and why; of a list of hashes the number alone, for a lock may allow dozens of one file."""
    lines = [re.sub(r"^[\s×├╰─▶│·]+", "", line).strip() for line in text.splitlines()]
    said: list[str] = []
    for hashes, group in groupby(filter(None, lines), key=lambda line: re.fullmatch(r"sha\d+:[0-9a-f]+", line) is not None):
        some = list(group)
        said += [f"one of {len(some)} hashes"] if hashes and len(some) > 1 else some
    line = " ".join(said)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"


def uv_settings(offline: bool) -> dict[str, str]:
    """uv's surroundings: the user's own, and what pip is told about the index here, which uv does not read by itself."""
    drop = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "UV_CONSTRAINT", "UV_OVERRIDE")
    env = {name: value for name, value in os.environ.items() if name not in drop}
    env |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    if offline:
        env["UV_OFFLINE"] = "1"
    config = Path(env.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    told = {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE"} & env.keys() or (config / "uv" / "uv.toml").is_file()
    if not told and (index := _pip(config, "index-url")):
        env["UV_DEFAULT_INDEX"] = index
    if host := _pip(config, "trusted-host"):
        env.setdefault("UV_INSECURE_HOST", host)
    system = str(SYSTEM_CERTIFICATES) if SYSTEM_CERTIFICATES.is_file() else ""
    if certificates := _pip(config, "cert") or env.get("REQUESTS_CA_BUNDLE") or system:
        env.setdefault("SSL_CERT_FILE", certificates)
    return env


def _pip(config: Path, setting: str) -> str:
    """A setting of pip: from its environment variable, else its files, the user's own last."""
    named = os.environ.get(f"PIP_{setting.upper().replace('-', '_')}")
    if named:
        return named
    parser = configparser.RawConfigParser(strict=False)
    places = [Path("/etc/pip.conf"), Path.home() / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    if "PIP_CONFIG_FILE" in os.environ:
        places.append(Path(os.environ["PIP_CONFIG_FILE"]))
    try:
        parser.read(places)
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return parser.get("global", setting, fallback="")
