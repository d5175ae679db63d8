"""Notebook: a pipeline that is written over the cells of a notebook runs as a file does.

`executed_cells` asks the kernel what was executed, `cell_slice` finds the statements that the pipeline is made of, `written_file`
writes them as a pipeline file, and `child_run` runs it in a process of its own, as `pellucid run` does. So the kernel reads no private
row to run it, and the notebook's pipeline has the keys, the labels and the sandbox of a file. May import every other room of the
pipeline; `Pipeline.run` calls it in a kernel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.pipeline.notebook.child_run import run
    from pellucid.pipeline.notebook.executed_cells import kernel

__all__ = ["kernel", "run"]

__getattr__ = lazy_names(__name__, {"child_run": ("run",), "executed_cells": ("kernel",)})
