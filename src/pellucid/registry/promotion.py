"""Promotion: a model version behind an alias, if what the alias asks for holds.

What it asks for is written in `promotion.toml` in the state folder, one table for each alias; an alias without one asks for nothing. All is
checked at the moment of promotion, on what is stored: a metric is read from the runs, a package is re-run, nobody's word is taken.
"""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError, UsageError, suggest
from pellucid.pipeline.record import Record, metrics_of, stored_run
from pellucid.registry.canaries import Canaries, Canary
from pellucid.registry.deployments import Deployment, Deployments, checked_alias
from pellucid.registry.duels import Duels
from pellucid.registry.lineage import guarantees_behind
from pellucid.registry.trained_models import ModelVersion, find_model
from pellucid.store import Objects

RULES_FILE = "promotion.toml"
LEVEL = 0.05  # of the test on paired values


@dataclass(frozen=True)
class MetricRule:
    """`name` is OUTPUT.METRIC of the model's run. `at_least`: the least value; `not_worse_by`: by how much it may be below that of the
    model that stands there now. With `per`, an open table of both runs with a row for each `unit`, its `column` is compared in pairs: the
    model is refused where it is worse and chance alone would say so in less than one of twenty cases."""

    name: str
    at_least: float | None = None
    not_worse_by: float | None = None
    per: str = ""
    column: str = ""
    unit: str = ""


@dataclass(frozen=True)
class Rules:
    """What an alias asks for. `approvers`: one of them must be named; `package`: a published package; `verdict`: the package is re-run now,
    and must come to this verdict or bit-identical; `epsilon_at_most`: of the releases it descends from, in sum; `duel`: it
    passed a duel against what stands there now."""

    approvers: tuple[str, ...] = ()
    package: bool = False
    verdict: str = ""
    epsilon_at_most: float | None = None
    duel: bool = False
    metrics: tuple[MetricRule, ...] = field(default=())


def rules_of(home: Path) -> dict[str, Rules]:
    """The rules of every alias that has some. Raises UsageError for a file that cannot be read, or a rule that is none."""
    file = home / RULES_FILE
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError("the rules cannot be read", where=str(file), why=str(error), fix="Mend the file") from None
    return {alias: _rules(alias, rules, str(file)) for alias, rules in told.items()}


def _rules(alias: str, told: Any, file: str) -> Rules:
    where = f"{file}, [{alias}]"
    values = _fields(
        told,
        Rules,
        {"approvers": list, "package": bool, "verdict": str, "epsilon_at_most": float, "duel": bool, "metrics": list},
        where,
    )
    if values.get("verdict", "") not in ("", "bit-identical", "within tolerance"):
        raise UsageError(
            f'"{values["verdict"]}" is no verdict to ask for', where=where, fix='Ask for "bit-identical" or "within tolerance"'
        )
    kinds = {"name": str, "at_least": float, "not_worse_by": float, "per": str, "column": str, "unit": str}
    metrics = tuple(MetricRule(**_fields(one, MetricRule, kinds, where)) for one in values.pop("metrics", ()))
    for one in metrics:
        if one.at_least is None and one.not_worse_by is None and not one.per:
            raise UsageError(
                f'"{one.name}" asks for nothing', where=where, fix="Give at_least, not_worse_by, or per, column and unit"
            )
        if one.per and not (one.column and one.unit):
            raise UsageError(f'"{one.name}" names a table and not its columns', where=where, fix="Give column and unit too")
    return Rules(tuple(map(str, values.pop("approvers", ()))), metrics=metrics, **values)


def _fields(told: Any, of: type, kinds: Mapping[str, type], where: str) -> dict[str, Any]:
    if not isinstance(told, Mapping):
        raise UsageError("rules are a table", where=where, fix=f"Its keys are: {', '.join(kinds)}")
    found: dict[str, Any] = {}
    for name, value in told.items():
        if name not in kinds:
            raise UsageError(f'there is no rule "{name}"', where=where, fix=suggest(name, kinds))
        fits = isinstance(value, kinds[name]) or (kinds[name] is float and isinstance(value, int))
        if not fits or (isinstance(value, bool) and kinds[name] is not bool):
            raise UsageError(f"{name} cannot be {value!r:.40}", where=where, fix=f"It is a {kinds[name].__name__}")
        found[name] = float(value) if kinds[name] is float else value
    if of is MetricRule and not found.get("name"):
        raise UsageError("a metric has no name", where=where, fix='Such as: name = "quality.ndcg"')
    return found


def promote(
    home: Path,
    wanted: str,
    alias: str,
    *,
    approver: str = "",
    package: Path | None = None,
    share: float | None = None,
    seconds: float = 600.0,
) -> Deployment | Canary:
    """Put the model that `wanted` (NAME[@VERSION]) means behind an alias, after all that the alias asks for was found to hold.

    With a `share` it answers only that share of what is asked for some `seconds`, as a canary (0: beside the present model, its answers
    thrown away). Raises UsageError where a rule does not hold, saying each; else as `Deployments.deploy`.
    """
    checked_alias(alias)
    model, rules, deployments = find_model(home, wanted), rules_of(home).get(alias, Rules()), Deployments(home)
    before = deployments.current().get(alias)
    held, failed = [], []
    for check in _checks(home, model, rules, before, approver, package):
        try:
            held.append(check())
        except PellucidError as error:
            failed.append(str(error))
    if failed:
        raise UsageError(
            f"{model.name} version {model.version} is not promoted",
            where=alias,
            why="; ".join(failed),
            fix=f"Its rules are in {home / RULES_FILE}",
        )
    if share is not None:
        return Canaries(home).begin(alias, model, share, seconds, package=package, approver=approver, checks=tuple(held))
    return deployments.deploy(alias, model.run, model.output, package, approver=approver, checks=held)


def _checks(
    home: Path, model: ModelVersion, rules: Rules, before: Deployment | None, approver: str, package: Path | None
) -> list[Callable[[], str]]:
    """What is to be looked at, the quick things first; each says what held, or raises PellucidError saying what does not."""
    checks: list[Callable[[], str]] = []
    if rules.approvers:
        checks.append(lambda: _approved(approver, rules.approvers))
    if rules.package or rules.verdict:
        checks.append(lambda: _holds_model(package, model))
    if rules.epsilon_at_most is not None:
        most = rules.epsilon_at_most
        checks.append(lambda: _epsilon(home, model, most))
    if rules.duel:
        checks.append(lambda: _duel(home, model, before))
    checks += [lambda rule=rule: _metric(home, model, before, rule) for rule in rules.metrics]  # type: ignore[misc]
    if rules.verdict:
        checks.append(lambda: _verdict(package, rules.verdict))
    return checks


def _approved(approver: str, approvers: tuple[str, ...]) -> str:
    if approver not in approvers:
        who = f"{approver} is none of its approvers" if approver else "nobody approves it"
        raise UsageError(who, fix=f"One of {', '.join(approvers)} must: --approver NAME")
    return f"approved by {approver}"


def _holds_model(package: Path | None, model: ModelVersion) -> str:
    from pellucid.packages.format import archive, manifest

    if package is None:
        raise UsageError("no package is named", fix="Publish the run and name it: --package FOLDER")
    with tempfile.TemporaryDirectory() as scratch, archive.opened(package.absolute(), Path(scratch)) as place:
        digests = {value.digest for value in manifest.read(place).open.values()}
    if model.artifact.digest not in digests:
        raise UsageError(f"the package holds another {model.output}", where=str(package), fix=f"Publish run {model.run}")
    return f"published in {package.name}"


def _epsilon(home: Path, model: ModelVersion, most: float) -> str:
    spent = sum(float(one.values["epsilon"]) for one in guarantees_behind(home, model.run, model.output))
    if spent > most:
        raise UsageError(f"it descends from releases of epsilon {spent:g} in sum", why=f"{most:g} at most is asked for")
    return f"epsilon {spent:g} in sum"


def _duel(home: Path, model: ModelVersion, before: Deployment | None) -> str:
    present = before.digest if before else ""
    fought = [one for one in Duels(home).all() if (one.champion, one.challenger.digest) == (present, model.artifact.digest)]
    won = next((one for one in fought if one.state == "passed"), None)
    if won is None:
        why = fought[0].said or fought[0].state if fought else "there was none"
        raise UsageError("it passed no duel against what stands there now", why=why, fix="See: pellucid duel")
    return f"passed duel {won.number}: {won.said}"


def _metric(home: Path, model: ModelVersion, before: Deployment | None, rule: MetricRule) -> str:
    value = _value(home, model.run, rule.name)
    if rule.at_least is not None and value < rule.at_least:
        raise UsageError(f"{rule.name} is {value:.6g}", why=f"at least {rule.at_least:g} is asked for")
    if before is None or (rule.not_worse_by is None and not rule.per):
        return f"{rule.name} {value:.6g}"
    there = _value(home, before.run, rule.name)
    if rule.not_worse_by is not None and value < there - rule.not_worse_by:
        raise UsageError(
            f"{rule.name} is {value:.6g}", why=f"now it is {there:.6g}, and may fall by {rule.not_worse_by:g} at most"
        )
    p = _paired(home, model.run, before.run, rule) if rule.per else None
    if p is not None and p < LEVEL:
        raise UsageError(f"{rule.column} of {rule.per} is worse than now", why=f"p = {p:.2g} over paired values of {rule.unit}")
    return f"{rule.name} {value:.6g}, now {there:.6g}" + (f", not worse in pairs (p = {p:.2g})" if p is not None else "")


def _value(home: Path, run: str, name: str) -> float:
    output, _, metric = name.rpartition(".")
    record = Record(home)
    try:
        found = {
            made: (step.label, a)
            for step in record.steps(run)
            for made, a in step.outputs.items()
            if a.kind == "metrics" and not a.items
        }
    finally:
        record.close()
    label, artifact = found.get(output, ("", None))
    if artifact is None or label != "open":
        raise UsageError(
            f'run {run} has no open metrics "{output}"', fix=suggest(output, found) if artifact is None else "Release them first"
        )
    values = metrics_of(Objects(home), {output: artifact})
    if metric not in values:
        raise UsageError(f'"{output}" of run {run} has no metric "{metric}"', fix=suggest(metric, values))
    return float(values[metric])


def _paired(home: Path, run: str, before: str, rule: MetricRule) -> float:
    """The p of the paired test where the new values are lower in the mean; 1 where they are not."""
    from pellucid.evaluation import randomisation

    new, old = (_column(home, one, rule) for one in (run, before))
    shared = sorted(new.keys() & old.keys())
    if not shared:
        raise UsageError(f"{rule.per} of both runs share no {rule.unit}", fix="Measure both on the same units")
    a, b = [new[one] for one in shared], [old[one] for one in shared]
    return 1.0 if sum(a) >= sum(b) else randomisation(a, b)


def _column(home: Path, run: str, rule: MetricRule) -> dict[Any, float]:
    found = stored_run(home, run)
    report = next((one for one in found.steps.values() if rule.per in one.outputs), None)
    if report is None or not report.label.is_open:
        raise UsageError(f'run {run} has no open table "{rule.per}"', fix="Name an open output")
    table = found[rule.per].arrow()
    for name in (rule.unit, rule.column):
        if name not in table.column_names:
            raise UsageError(f'"{rule.per}" of run {run} has no column "{name}"', fix=suggest(name, table.column_names))
    return dict(zip(table.column(rule.unit).to_pylist(), map(float, table.column(rule.column).to_pylist()), strict=True))


def _verdict(package: Path | None, wanted: str) -> str:
    from pellucid.packages.reproducing import reproduce

    if package is None:
        raise UsageError("there is no package to re-run")
    found = reproduce(package)
    if found.verdict not in ("bit-identical", wanted):
        raise UsageError(
            f"its package was re-run: {found.verdict}", why=found.reason or "", fix=f"See: pellucid reproduce {package}"
        )
    return f"re-run now: {found.verdict}"
