"""What the dashboard does: tag a run, run a pipeline again, promote and roll back, schedule. Each is in the audit log, under who did it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from pellucid.errors import UsageError
from pellucid.pipeline.record import Record, RunTags, write_tags
from pellucid.registry import Canaries, Canary, Deployments, promote, publications
from pellucid.schedule import Schedules, Trigger
from pellucid.service.access import actor_of, form_of

REFUSED_WITHIN = 1.5  # seconds in which a command that cannot begin says so


def add(app: FastAPI, home: Path) -> None:
    """Add the routes to the application."""

    def note(request: Request, action: str, subject: str) -> None:
        app.state.audit.add(actor_of(request).name, action, subject)

    @app.post("/runs/{run}/tags", include_in_schema=False)
    def tag(request: Request, run: str) -> Response:
        form, record = form_of(request), Record(home)
        try:
            found = record.find(run)["run"]
            pairs = dict(pair.split("=", 1) for pair in form.get("tags", "").split() if "=" in pair)
            write_tags(record.db, found, RunTags(form.get("name", "").strip(), pairs, form.get("note", "").strip()))
        finally:
            record.close()
        note(request, "tagged", found)
        return RedirectResponse(f"/runs/{found}", 303)

    @app.post("/runs/{run}/again", include_in_schema=False)
    def again(request: Request, run: str) -> Response:
        """Run the pipeline file of a run again, in a process of its own; `fresh` runs every step anew, `set` changes settings."""
        form, record = form_of(request), Record(home)
        try:
            found = record.find(run)
        finally:
            record.close()
        file = Path(found["file"] or "")
        if not found["file"] or not file.is_file():
            raise HTTPException(409, f"the pipeline file of run {found['run']} is not there any more")
        settings = _settings(form.get("set", ""))
        closed = {node["step"] for node in found["graph"] if node["label"] != "open" or node["kind"] == "release"}
        touched = sorted(closed & {name.partition(".")[0] for name in settings})
        if touched and not actor_of(request).may("steward"):
            raise HTTPException(403, f"settings of {', '.join(touched)} are for the data's steward: they decide what is released")
        settings = {**found["settings"], **settings}
        words = [sys.executable, "-m", "pellucid", "run", str(file), "--home", str(home), "--quiet", "--seed", str(found["seed"])]
        words += [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        if form.get("fresh"):
            open_steps = [
                node["step"] for node in found["graph"] if node["label"] == "open" and node["kind"] not in ("source", "release")
            ]
            words += [word for step in open_steps for word in ("--from", step)]
        _begun(words, file.parent)
        note(request, "ran again", found["run"])
        return RedirectResponse(f"/runs?pipeline={quote(found['pipeline'], safe='')}", 303)

    @app.post("/registry", include_in_schema=False)
    def change_deployment(request: Request) -> Response:
        form = form_of(request)
        alias, actor = form.get("alias", ""), actor_of(request).name
        canary = Canaries(home).open().get(alias)
        if form.get("do") == "rollback" and canary is not None:
            Canaries(home).end(canary, "ended", f"by {actor}")
            done = canary.deployment
        elif form.get("do") == "rollback":
            done = Deployments(home).rollback(alias, actor)
        elif form.get("do") == "promote":
            package = Path(form["package"]) if form.get("package") else None
            if package is not None and package not in [one.path for one in publications(home)]:
                raise UsageError("this package was not published from here", where=str(package), fix="Publish it first")
            share = _share(form.get("share", ""))
            promoted = promote(home, form.get("model", ""), alias, approver=actor, package=package, share=share)
            done = promoted.deployment if isinstance(promoted, Canary) else promoted
        else:
            raise HTTPException(400, "neither promote nor rollback")
        note(request, form["do"], f"{done.alias}: version {done.version}, {done.output} of run {done.run}")
        return RedirectResponse("/registry", 303)

    @app.post("/schedules", include_in_schema=False)
    def add_schedule(request: Request) -> Response:
        form, record = form_of(request), Record(home)
        known = {str(one.path) for one in publications(home)}
        known |= {deployed.package for deployed in Deployments(home).current().values() if deployed.package}
        try:
            known |= {
                row["file"] for row in record.db.execute("SELECT DISTINCT file FROM runs WHERE file IS NOT NULL").fetchall()
            }
        finally:
            record.close()
        target = form.get("target", "")
        if target not in known:
            raise UsageError(
                "this was neither run nor published from here", where=target[:200], fix="Add it with: pellucid schedule add"
            )
        kind = form.get("kind", "cron")
        if kind not in ("cron", "every"):
            raise UsageError("a schedule made here goes by the clock", fix="For others: pellucid schedule add")
        trigger = Trigger(
            kind, form.get("expression", "").strip(), form.get("zone", "").strip() or "UTC" if kind == "cron" else "UTC"
        )
        name = form.get("name", "").strip() or Path(target).stem
        Schedules(home).add(name, Path(target), trigger, missed=form.get("missed", "latest"))
        note(request, "scheduled", name)
        return RedirectResponse("/schedules", 303)

    @app.post("/schedules/{name}", include_in_schema=False)
    def change_schedule(request: Request, name: str) -> Response:
        schedules, do = Schedules(home), form_of(request).get("do", "")
        if do == "pause":
            schedules.pause(name, f"by {actor_of(request).name}")
        elif do == "resume":
            schedules.resume(name)
        elif do == "remove":
            schedules.remove(name)
        else:
            raise HTTPException(400, "none of pause, resume and remove")
        note(request, f"{do}d schedule", name)
        return RedirectResponse("/schedules", 303)


def _begun(words: list[str], folder: Path) -> None:
    """Start a command that goes on by itself. Raises UsageError with what it says where it is refused at once."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, cwd=folder, start_new_session=True
        )
        try:
            code = process.wait(REFUSED_WITHIN)
        except subprocess.TimeoutExpired:
            return
        said.seek(0)
        lines = [line for line in said.read().decode(errors="replace").splitlines() if line.startswith("pellucid: ")]
    if code not in (0, 1):  # 1: it ran, and a step failed, which its page says
        raise UsageError("it did not begin", why=(lines or [f"exit code {code}"])[-1].removeprefix("pellucid: ")[:500])


def _share(text: str) -> float | None:
    """A share in percent; None for an empty field. Raises UsageError."""
    if not text.strip():
        return None
    try:
        return float(text) / 100
    except ValueError:
        raise UsageError(f'"{text[:40]}" is no share', fix="Give a number of percent, or nothing for all") from None


def _settings(text: str) -> dict[str, str]:
    """STEP.SETTING=VALUE, one on each line. Raises UsageError."""
    found = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, value = line.partition("=")
        if not equals or "." not in name:
            raise UsageError("this is not STEP.SETTING=VALUE", where=line[:100], fix="Such as: model.regularization=100")
        found[name.strip()] = value.strip()
    return found
