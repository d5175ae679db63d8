"""`pellucid run FILE --sweep`: one run for each combination of values; what fails is said, and the others go on."""

from __future__ import annotations

import argparse
import itertools
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pellucid.cli import options
from pellucid.errors import PellucidError, UsageError

if TYPE_CHECKING:
    from pellucid.pipeline.declaration import Pipeline
    from pellucid.pipeline.record import RunTags

MOST = 500  # runs of one sweep


def combinations(pairs: list[str]) -> list[dict[str, str]]:
    """Every combination of STEP.SETTING=VALUE,VALUE...; the last setting changes fastest. Raises UsageError."""
    values: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or "." not in name or not all(value.strip() for value in text.split(",")):
            fix = "Such as: --sweep model.rate=0.1,0.3,1.0"
            raise UsageError("this is not STEP.SETTING=VALUE,VALUE", where=f"--sweep {pair}", fix=fix)
        values.setdefault(name, []).extend(value.strip() for value in text.split(","))
    found = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    if len(found) > MOST:
        raise UsageError(f"{len(found):,} runs", why=f"a sweep has {MOST} at most", fix="Sweep fewer values")
    return found


def sweep(arguments: argparse.Namespace, pipeline: Pipeline, settings: Mapping[str, str], tags: RunTags) -> int:
    """Run every combination, one after another. Exit code 1 where one failed."""
    from pellucid.pipeline.running import run

    swept = combinations(arguments.sweep)
    _refuse_releases(pipeline, list(swept[0]))
    for chosen in swept:
        pipeline.with_settings({**settings, **chosen})  # a value that cannot be is refused before the first run
    name, told = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}", []
    tags = replace(tags, tags={**tags.tags, "sweep": name})
    for at, chosen in enumerate(swept, 1):
        try:
            options_of_run = {name: getattr(arguments, name) for name in ("home", "seed", "only", "again", "jobs")}
            done: Any = run(pipeline, settings={**settings, **chosen}, confined=True, check=False, tags=tags, **options_of_run)
            failed = next((f"{one.step}: {one.message}" for one in done.steps.values() if one.action == "failed"), "")
        except PellucidError as error:
            done, failed = error.run, str(error)
        told.append(
            {
                "settings": chosen,
                "run": done.id if done is not None else None,
                "failed": failed or None,
                "metrics": _metrics(done),
            }
        )
        if not arguments.quiet:
            words = " ".join(f"{setting}={value}" for setting, value in chosen.items())
            print(f"{at} of {len(swept)}: {words}: {failed or 'done'}", file=sys.stderr, flush=True)
    _tell(arguments, name, told)
    return int(any(one["failed"] for one in told))


def _refuse_releases(pipeline: Pipeline, swept: list[str]) -> None:
    """A release is paid for each time what it releases is another: no sweep of a release, nor of what comes before one."""
    from pellucid.pipeline.running import downstream

    for setting in swept:
        step = setting.partition(".")[0]
        after = [pipeline.steps[name] for name in downstream(pipeline, [step])]
        if any(bound.kind == "release" or not bound.label.is_open for bound in after):
            raise UsageError(
                f"{step} is a release or comes before one: each value would be another release, paid from the account",
                where=f"--sweep {setting}",
                fix="Simulate them on data that are not private (pl.privacy.simulate), or run the one that you choose",
            )


def _metrics(done: Any) -> dict[str, float]:
    from pellucid.pipeline.record import numbers_of
    from pellucid.store import Objects

    if done is None:
        return {}
    found: dict[str, float] = {}
    for report in done.steps.values():
        if report.label.is_open and not report.step.endswith("_guarantee"):
            found |= numbers_of(Objects(done.home), report.outputs)
    return {name: value for name, value in found.items() if "_guarantee." not in name}


def _tell(arguments: argparse.Namespace, name: str, told: list[dict[str, Any]]) -> None:
    if arguments.json:
        options.print_json({"sweep": name, "runs": told})
        return
    metrics = list(dict.fromkeys(metric for one in told for metric in one["metrics"]))[:4]
    settings = list(told[0]["settings"])
    rows = [
        [*(one["settings"][setting] for setting in settings), *(options.number(one["metrics"].get(metric, "")) for metric in metrics),
         "failed" if one["failed"] else "done", one["run"] or ""]
        for one in told
    ]  # fmt: skip
    print(options.table(rows, [*settings, *metrics, "state", "run"]))
    failed = sum(1 for one in told if one["failed"])
    said = f"{len(told)} runs" + (f", {failed} failed" if failed else "")
    print(f"{said}, with the tag sweep={name}")
    print(f"side by side in pellucid serve: /compare?tag=sweep={name}")
