"""Access: who asks, what they may see and do, and the list of what was done.

May import the store and, of the service, its pages alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.service.access.accounts import Accounts, User
    from pellucid.service.access.audit_log import AuditLog
    from pellucid.service.access.guard import LOOPBACK, actor_of, add, form_of, form_token, guarded
    from pellucid.service.access.roles import ACCESS, ROLES, Actor

__all__ = [
    "ACCESS",
    "LOOPBACK",
    "ROLES",
    "Accounts",
    "Actor",
    "AuditLog",
    "User",
    "actor_of",
    "add",
    "form_of",
    "form_token",
    "guarded",
]

__getattr__ = lazy_names(
    __name__,
    {
        "accounts": ("Accounts", "User"),
        "audit_log": ("AuditLog",),
        "guard": ("LOOPBACK", "actor_of", "add", "form_of", "form_token", "guarded"),
        "roles": ("ACCESS", "ROLES", "Actor"),
    },
)
