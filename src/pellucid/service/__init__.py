"""Service: the web process that answers from deployed open models: search, suggestions, recommendations, and their pages.

`create_app` makes the application of a state folder; `serve` runs it. It serves open models only, follows their aliases without a restart,
and keeps no query, history or address of anyone. May import everything but the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.service.application import create_app
    from pellucid.service.web_server import serve

__all__ = ["create_app", "serve"]

__getattr__ = lazy_names(__name__, {"application": ("create_app",), "web_server": ("serve",)})
