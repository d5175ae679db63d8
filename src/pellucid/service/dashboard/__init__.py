"""Dashboard: pages over the state folder, for a researcher, a steward and an operator. Each also answers as JSON, its tables as CSV.

What is not open is shown to a signed-in steward alone: its digests, sizes, logs and values. May import the rooms below the service, and of
the service its pages and access.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.service.dashboard.routes import add

__all__ = ["add"]

__getattr__ = lazy_names(__name__, {"routes": ("add",)})
