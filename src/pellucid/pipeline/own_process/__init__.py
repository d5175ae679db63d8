"""Own process: `Pipeline.run()` of a script goes by a process of its own where anything in the graph is not open.

The process loads the pipeline's file, as `pellucid run` does, and runs each step in a confined worker: no step shares memory with another,
nor with the script. `description` says what a pipeline is, so that what runs is what the script holds; `script_run` starts the process, and
`child` is what it does. May import every room of the pipeline but the notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.pipeline.own_process.script_run import error_of, import_path, run

__all__ = ["error_of", "import_path", "run"]

__getattr__ = lazy_names(__name__, {"script_run": ("error_of", "import_path", "run")})
