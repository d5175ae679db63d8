"""Service: the web process of a state folder: search and recommendations from deployed open models, and a dashboard.

`create_app` makes the application of a state folder; `serve` runs it. It serves open models only, follows their aliases
and the schedules without a restart, and keeps no query, history or address of anyone. May import everything but the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.service.access import LOOPBACK, ROLES, Accounts
    from pellucid.service.application import create_app
    from pellucid.service.web_server import serve

__all__ = ["LOOPBACK", "ROLES", "Accounts", "create_app", "serve"]

__getattr__ = lazy_names(
    __name__, {"access": ("LOOPBACK", "ROLES", "Accounts"), "application": ("create_app",), "web_server": ("serve",)}
)
