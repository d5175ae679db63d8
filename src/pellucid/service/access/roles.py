"""Roles, and the least one that each route asks for. A route that is not in the table is answered to nobody."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = ("public", "viewer", "researcher", "operator", "steward")
"""Each may do what those before it may. `public` searches and sees the served models; a `viewer` sees runs, data, packages and accounts, of
each the open side; a `researcher` names and tags runs; an `operator` starts them, promotes, rolls back and schedules; a `steward` sees what
is not open, and signs for releases."""

ACCESS: dict[tuple[str, str], str] = {
    ("GET", "/"): "public",
    ("GET", "/search"): "public",
    ("GET", "/suggest"): "public",
    ("GET", "/documents/{id:path}"): "public",
    ("GET", "/recommend"): "public",
    ("POST", "/recommend"): "public",
    ("GET", "/models"): "public",
    ("GET", "/models/{alias}"): "public",
    ("POST", "/models/{alias}/predict"): "public",
    ("GET", "/models/recommend/browser"): "public",
    ("GET", "/packages/{alias}/{path:path}"): "public",
    ("GET", "/about"): "public",
    ("GET", "/health"): "public",
    ("GET", "/metrics"): "public",
    ("GET", "/feedback"): "public",
    ("POST", "/feedback"): "public",
    ("GET", "/duel"): "public",
    ("POST", "/duel"): "public",
    ("GET", "/assets/local/{name}"): "public",
    ("GET", "/openapi.json"): "public",
    ("GET", "/sign-in"): "public",
    ("POST", "/sign-in"): "public",
    ("GET", "/sign-in/provider"): "public",
    ("GET", "/sign-in/back"): "public",
    ("POST", "/sign-out"): "viewer",
    ("GET", "/overview"): "viewer",
    ("GET", "/runs"): "viewer",
    ("GET", "/runs/{run}"): "viewer",
    ("GET", "/runs/{run}/events"): "viewer",
    ("GET", "/runs/{run}/outputs/{name}"): "viewer",
    ("GET", "/runs/{run}/log/{step}"): "viewer",
    ("POST", "/runs/{run}/tags"): "researcher",
    ("POST", "/runs/{run}/again"): "operator",
    ("GET", "/compare"): "viewer",
    ("GET", "/pipelines"): "viewer",
    ("GET", "/pipelines/{name}"): "viewer",
    ("GET", "/data"): "viewer",
    ("GET", "/ledger"): "viewer",
    ("GET", "/schedules"): "viewer",
    ("GET", "/schedules/{name}"): "viewer",
    ("POST", "/schedules"): "operator",
    ("POST", "/schedules/{name}"): "operator",
    ("GET", "/registry"): "viewer",
    ("POST", "/registry"): "operator",
    ("GET", "/packages"): "viewer",
    ("GET", "/attacks"): "viewer",
    ("GET", "/views"): "viewer",
    ("GET", "/views/{name}"): "viewer",
    ("POST", "/views"): "viewer",
    ("GET", "/steward"): "steward",
    ("GET", "/steward/{name}"): "steward",
    ("POST", "/steward/{name}"): "steward",
    ("GET", "/system"): "viewer",
}


@dataclass(frozen=True)
class Actor:
    """Who asks: `name` is "" for somebody unknown, "local" on this machine without sign-in. `session` is what a form must carry back."""

    name: str = ""
    role: str = "public"
    session: str = ""

    def may(self, role: str) -> bool:
        """Whether it can do what this role can."""
        return ROLES.index(self.role) >= ROLES.index(role)
