"""Whether the pipeline file loads from the package alone: in a process that sees the code of the package and the environment, nothing else.

What a pipeline file needs and nobody noticed (a file that a library opens, a folder above) is found by its publisher, not by a stranger.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from pellucid.errors import PellucidError, UsageError

SECONDS = 600  # for a file that waits for something that does not come


def refuse_unloadable(package: Path, file: str) -> None:
    """Raise UsageError where the package's pipeline file (`file`, its path in the package) does not load from the package."""
    command = [sys.executable, "-m", __name__, str(package), file]
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")}
    with tempfile.TemporaryDirectory(prefix="pellucid-loading-") as empty:
        environment = kept | {"HOME": empty, "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                cwd=empty,
                env=environment,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise _unloadable(file, f"it did not load within {SECONDS} s") from None
    if done.returncode:
        raise _unloadable(file, (done.stderr.strip().splitlines() or ["no message"])[-1].replace(str(package) + os.sep, ""))


def _unloadable(file: str, why: str) -> UsageError:
    return UsageError(
        "the pipeline does not load from the package alone",
        where=file,
        why=why,
        fix="Put what it reads while it loads beside it, in its folder, and run and publish again; or read it in a step, as a source",
    )


def main(package: str, file: str) -> None:
    """Entry of the process."""
    from pellucid.pipeline.running import load
    from pellucid.sandbox import landlock

    if landlock.abi():
        landlock.restrict([str(Path(package, "code"))], [os.getcwd()])
    try:
        load(Path(package, file))
    except PellucidError as error:
        print(error.why or error.what, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
