"""The command line. Commands only parse, call a room, and print; each is one file, loaded when it is asked for.

Every command takes `--json`. Exit codes: 0 done, 1 a step failed or a verdict is "different", 2 bad usage or input, 130 Ctrl-C.
"""

from pellucid.cli.main import main

__all__ = ["main"]
