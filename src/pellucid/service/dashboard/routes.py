"""All routes of the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from pellucid.service.dashboard import actions, attack_routes, run_routes, saved_views, state_routes, steward_routes


def add(app: FastAPI, home: Path, served: Callable[[], Mapping[str, Any]]) -> None:
    """Add the routes to the application. `served` says what the service knows of itself, for the page of the system."""
    run_routes.add(app, home)
    state_routes.add(app, home, served)
    actions.add(app, home)
    steward_routes.add(app, home)
    attack_routes.add(app, home)
    saved_views.add(app, home)
