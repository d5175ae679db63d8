"""Maintenance: backups of a state folder, and whether an installation is in order.

May import registry, packages, privacy, pipeline, sandbox and store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.maintenance.backup import Backup, restore, write_backup
    from pellucid.maintenance.installation_check import Finding, findings

__all__ = ["Backup", "Finding", "findings", "restore", "write_backup"]

__getattr__ = lazy_names(
    __name__,
    {
        "backup": ("Backup", "restore", "write_backup"),
        "installation_check": ("Finding", "findings"),
    },
)
