"""The sandbox: one way to hold a process, for the steps of a run and for the re-run of a stranger's package alike.

The kernel holds it: namespaces, mounts, Landlock, a seccomp filter, dropped capabilities, limits. `launcher` runs a command with all of
these, `init_process` is its first process, `resource_monitor` stops it when it passes a limit. The audit hook adds better messages in
Python. What a system does not offer is reported, never silently left out. May import nothing of pellucid but its errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.sandbox.audit_hook import SHARED_MEMORY, explain, guarded, install, refusal
    from pellucid.sandbox.file_watch import KernelWatch, Opened, project_lines, python_opens
    from pellucid.sandbox.landlock import environment_paths
    from pellucid.sandbox.launcher import Confinement, SealedOutcome, tried
    from pellucid.sandbox.limits import Limits
    from pellucid.sandbox.namespaces import libc
    from pellucid.sandbox.resource_monitor import end_descendants

__all__ = [
    "SHARED_MEMORY",
    "Confinement",
    "KernelWatch",
    "Limits",
    "Opened",
    "SealedOutcome",
    "end_descendants",
    "environment_paths",
    "explain",
    "guarded",
    "install",
    "libc",
    "project_lines",
    "python_opens",
    "refusal",
    "tried",
]

__getattr__ = lazy_names(
    __name__,
    {
        "audit_hook": (
            "SHARED_MEMORY",
            "explain",
            "guarded",
            "install",
            "refusal",
        ),
        "file_watch": ("KernelWatch", "Opened", "project_lines", "python_opens"),
        "landlock": ("environment_paths",),
        "launcher": (
            "SealedOutcome",
            "Confinement",
            "tried",
        ),
        "limits": ("Limits",),
        "namespaces": ("libc",),
        "resource_monitor": ("end_descendants",),
    },
)
