"""The steward's path in the browser: what each of the six steps said, the next one, and the sign-off. For stewards alone.

The steps are done by the commands themselves, each in a process of its own, as `pellucid steward` does them: the pipeline's file is loaded
there and not in the service. A sign-off is for what its page showed: where the evidence has changed since, nothing is signed. It is in the
name of whoever is signed in, who types it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse

from pellucid.errors import UsageError
from pellucid.pipeline.record import pipelines
from pellucid.service.access import actor_of, form_of
from pellucid.service.dashboard.answers import answer, found_or_missing, opened
from pellucid.steward import Folder, folders_of, path_of_folder

PATIENCE = 60.0  # seconds until a step that is still at work is left to go on by itself
STEPS = ("assess", "protect", "attack", "decide", "release")


def add(app: FastAPI, home: Path) -> None:
    """Add the routes to the application."""

    @app.get("/steward", summary="The steward's paths")
    def paths(request: Request) -> Any:
        """Each folder of a steward with the steps that are done. For stewards."""
        told = []
        for name, folder in steward_folders(home).items():
            try:
                path = path_of_folder(folder)
                done = sum(step["state"] == "done" for step in path["steps"])
                told.append({"name": name, "pipeline": path["pipeline"], "done": done, "next": path["next"], "trouble": ""})
            except UsageError as error:
                told.append({"name": name, "pipeline": folder.pipeline.name, "done": 0, "next": None, "trouble": str(error)})
        return answer(request, "steward.html", {"paths": told}, table=told)

    @app.get("/steward/{name}", summary="One steward's path")
    def one_path(request: Request, name: str) -> Any:
        """The six steps, each with what it said. For stewards."""
        told = found_or_missing(lambda: path_of_folder(_folder(home, name)))
        return answer(request, "path.html", {"name": name, **told}, table=told["steps"])

    @app.post("/steward/{name}", include_in_schema=False)
    def do_step(request: Request, name: str) -> Response:
        form, actor = form_of(request), actor_of(request).name
        folder, do = found_or_missing(lambda: _folder(home, name)), form.get("do", "")
        if do not in STEPS:
            raise HTTPException(400, "there is no such step")
        if do in ("decide", "release") and form.get("seen") != path_of_folder(folder)["seen"]:
            raise HTTPException(
                409, "something was done since this page was loaded: look at it again. Nothing is signed or released"
            )
        words = [do, str(folder.path), f"--home={home}"]
        if do == "decide":
            if form.get("by", "").strip() != actor:
                raise HTTPException(400, f"you are signed in as {actor}: type that name to sign. Nothing is signed")
            words += [f"--by={actor}", f"--note={form.get('note', '')[:1000]}", f"--although={form.get('although', '')[:1000]}"]
        if do == "release" and not form.get("sure"):
            raise HTTPException(400, "a release cannot be taken back: tick the box. Nothing is released")
        _run(words, folder.pipeline.parent)
        app.state.audit.add(actor, {"decide": "signed"}.get(do, do), name)
        return RedirectResponse(f"/steward/{quote(name, safe='')}", 303)


def steward_folders(home: Path) -> dict[str, Folder]:
    """The stewards' folders of this state folder, by name."""
    with opened(home) as record:
        files = [one["file"] for one in pipelines(record)]
    return folders_of(home, files)


def _folder(home: Path, name: str) -> Folder:
    found = steward_folders(home).get(name)
    if found is None:
        raise UsageError(f'there is no steward\'s folder "{name:.80}"', fix="Make one: pellucid steward init DATA")
    return found


def _run(words: list[str], folder: Path) -> None:
    """Do a step, and wait for it a while. Raises UsageError with what the command says where it refuses."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "pellucid", "steward", *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, cwd=folder, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            return
        said.seek(0)
        lines = [line for line in said.read().decode(errors="replace").splitlines() if line.startswith("pellucid: ")]
    if code:
        raise UsageError("it was refused", why=(lines or [f"pellucid: exit code {code}"])[-1].removeprefix("pellucid: ")[:1500])
