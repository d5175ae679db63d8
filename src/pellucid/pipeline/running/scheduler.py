"""The scheduler: which steps are ready, which calls are out, what has been made, and what to do when one fails."""

from __future__ import annotations

import itertools
from collections import ChainMap, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.errors import PellucidError
from pellucid.pipeline.declaration import Bound, Pipeline, Source, Step
from pellucid.pipeline.record import (
    Artifact,
    LiveOutput,
    Progress,
    Record,
    StepReport,
    collection,
    note_curve,
    numbers_of,
)
from pellucid.pipeline.running import acceptance, source_labels
from pellucid.pipeline.running.calls import Call, Job, Waiting
from pellucid.pipeline.running.executors import Engine
from pellucid.pipeline.running.plan import Plan, reasons, seed_of
from pellucid.pipeline.running.task import Failure, InputFiles, Outcome, PlanAgain
from pellucid.store import Objects, folders

LOOK = 0.5  # seconds between two looks at what running steps print


class Scheduler:
    """One run of one pipeline. `go` returns "done" or "failed"; `reports` tells each step's outcome."""

    def __init__(
        self, pipeline: Pipeline, record: Record, plan: Plan, engine: Engine, run: str, *,
        wanted: set[str], forced: set[str], progress: Progress | None, given: Mapping[str, Artifact] | None = None,
    ) -> None:  # fmt: skip
        self.pipeline, self.record, self.plan, self.engine, self.run = pipeline, record, plan, engine, run
        self.wanted, self.forced, self.progress = wanted, set(forced), progress or (lambda event, report: None)
        plan.say = self._say
        self.given = dict(given or {})
        self.objects = Objects(record.home)
        self.reports: dict[str, StepReport] = {}
        self.seen: dict[str, Any] = {}
        self.refused: PellucidError | None = None
        self.fresh: set[str] = set()  # keys of results made in this run: also a step that is forced runs once
        self.files = InputFiles(self.objects, record, self._say)
        self.calls: dict[int, Call] = {}
        self._number = itertools.count()
        self.output = LiveOutput(record.home, run)

    def _say(self, message: str) -> None:
        self.progress("note", StepReport("", self.pipeline.steps[next(iter(self.wanted))].label, "note", message=message))

    def go(self) -> str:
        while True:
            self.artifacts: dict[str, Artifact] = dict(self.given)
            self.files.makers = {}
            self.cuts: dict[str, dict[str, Artifact]] = {}
            self.calls = {}
            self.waiting = Waiting()
            self.failed, self.refused = False, None
            self.reports = {name: report for name, report in self.reports.items() if report.action != "failed"}
            try:
                return self._schedule()
            except PlanAgain:
                while self.calls:  # let what is out come in: it is filed under its key, whatever we plan next
                    if (arrived := self.engine.wait()) is not None:
                        self._arrive(*arrived)

    def _schedule(self) -> str:
        steps = {name: bound for name, bound in self.pipeline.steps.items() if name in self.wanted}
        needs = {name: {edge.node for edge in bound.edges if edge.output not in self.given} for name, bound in steps.items()}
        self.users: dict[str, list[str]] = {name: [] for name in steps}
        for name, found in needs.items():
            for need in found:
                self.users[need].append(name)
        self.missing = {name: len(found) for name, found in needs.items()}
        self.ready = deque(name for name, count in self.missing.items() if not count)
        while True:
            while self.ready and not self.failed:
                bound = self.pipeline.steps[self.ready.popleft()]
                try:
                    self._begin(bound)
                except PellucidError as error:
                    self._refuse(bound, error)
            while len(self.calls) < self.engine.slots and (call := self.waiting.next()) is not None:
                try:
                    self._launch(call)
                except PellucidError as error:
                    self._refuse(call.job.bound, error)
            if not self.calls and self.refused is not None:
                raise self.refused
            if not self.calls and not self.waiting and (self.failed or not self.ready):
                return "failed" if self.failed else "done"
            if self.calls or self.waiting:
                pause = self.waiting.pause()
                arrived = self.engine.wait(LOOK if pause is None else min(pause, LOOK))
                self._tell_output()
                if arrived is not None:
                    self._arrive(*arrived)

    def _tell_output(self) -> None:
        """Pass on what running steps have printed: to whoever reads the run's file, and to the terminal where the step is open."""
        for call, text in ((self.calls[ticket], text) for ticket, text in self.engine.printed()):
            self.output.add(call.shown, call.job.bound.outspoken, text)
            if call.job.bound.outspoken:
                self.progress("output", StepReport(call.shown, call.job.bound.label, "output", message=text))

    # a step begins -------------------------------------------------------------------------------------------------------

    def _begin(self, bound: Bound) -> None:
        """Find the step's branches and their keys; take from the record what is there, queue the rest."""
        if isinstance(bound.node, Step) and bound.node.by is not None and bound.name not in self.cuts:
            job = Job(bound, [self.plan.partition(bound, self.artifacts)], cutting=True)
        else:
            job = Job(bound, self.plan.branches(bound, ChainMap(self.cuts.get(bound.name, {}), self.artifacts)))
        if isinstance(bound.node, Source):
            source_labels.refuse_private_file(bound, self.plan.files[bound.name], self.record)
        for at, branch in enumerate(job.branches):
            again = bound.name in self.forced and branch.key not in self.fresh
            if branch.stored is not None:
                job.done[at] = [branch.stored]
                continue
            found = None if again else self.files.reused(branch.key)
            if found is not None:
                job.done[at] = found
            else:
                job.why = job.why or reasons(
                    self.record, self.pipeline.name, bound.name, branch, forced=bound.name in self.forced
                )
                self.waiting.add(Call(job, at))
        if len(job.done) == len(job.branches):
            self._complete(job)
        else:
            self.progress("start", StepReport(bound.name, bound.label, "running", why=job.why))

    def _refuse(self, bound: Bound, error: PellucidError) -> None:
        """A step that must not run, such as a release over budget: what is out may still finish, then the run ends with this."""
        self.failed, self.refused = True, self.refused or error
        self.waiting.keep(None)
        self.reports[bound.name] = StepReport(bound.name, bound.label, "failed", message=str(error))
        self.progress("end", self.reports[bound.name])

    # a call goes out -----------------------------------------------------------------------------------------------------

    def _launch(self, call: Call) -> None:
        bound, branch = call.job.bound, call.branch
        inputs = {parameter: self.files.input(artifact) for parameter, artifact in branch.inputs.items()}
        if isinstance(bound.node, Step) and bound.node.gate is not None and call.grant is None:
            (given,) = inputs.values()
            request = self.plan.request(bound, self.artifacts, Path(given.paths[0]))
            for notice in bound.node.gate.notices(request):
                self._say(notice)
            call.grant = bound.node.gate.authorize(request)
        secret = call.grant.stream_key if call.grant else None
        if isinstance(bound.node, Step) and bound.node.protection is not None:
            secret = bound.node.protection.secret()
        closure = self.plan.closure(bound)
        call.scratch, call.attempts = self.objects.scratch(), call.attempts + 1
        unit = next((self.pipeline.steps[edge.node].label.unit for edge in bound.edges if edge.parameter in bound.closed), None)
        task = call.task(inputs, closure.files, unit, seed_of(self.plan.seed, bound.name), secret)
        ticket = next(self._number)
        self.calls[ticket] = call
        self.output.add(call.shown, bound.outspoken, "")
        try:
            self.engine.submit(ticket, task, closure)
        except PellucidError:  # it never went out: nothing will come back
            del self.calls[ticket]
            folders.remove(call.scratch)
            raise

    def abandon(self) -> None:
        """Remove the working folders of what was under way when the run was interrupted. Its workers must be gone by then."""
        for call in self.calls.values():
            if call.scratch is not None:
                folders.remove(call.scratch)

    # an outcome comes in -------------------------------------------------------------------------------------------------

    def _arrive(self, ticket: int, outcome: Outcome) -> None:
        call = self.calls.pop(ticket)
        bound = call.job.bound
        call.job.seconds += outcome.seconds
        if outcome.confined:
            self.seen["confined"] = outcome.confined
        note_curve(self.record.db, call.branch.key, outcome.points)
        failure = outcome.failure or acceptance.undeclared_import(outcome, self.plan.closure(call.job.bound))
        try:
            if failure is None:
                try:
                    self._keep(call, outcome)
                except acceptance.UnfitError as error:
                    failure = acceptance.unfit(error)
            if failure is not None:
                self._fail(call, outcome, failure)
        finally:
            if call.scratch is not None:
                folders.remove(call.scratch)
        if failure is None and call.job.failed:
            self._end_failed(call.job)
        if failure is None and len(call.job.done) == len(call.job.branches):
            try:
                self._complete(call.job)
            except PellucidError as error:
                self._refuse(bound, error)

    def _keep(self, call: Call, outcome: Outcome) -> None:
        """Take the files in, settle a release, make the result durable."""
        bound, branch = call.job.bound, call.branch
        assert call.scratch is not None
        taken = acceptance.take(bound, outcome, call.scratch, self.objects, cutting=call.job.cutting)
        artifacts = [one.artifact for one in taken]
        named = {one.name: one.artifact for one in taken}
        if isinstance(bound.node, Step) and bound.node.gate is not None and call.grant is not None:
            bound.node.gate.settle(self.record.home, call.grant, {name: artifact.digest for name, artifact in named.items()})
        call.job.done[call.at] = artifacts
        call.job.ran += 1
        self.fresh.add(branch.key)
        self.files.made_by(artifacts, branch.key)
        left = acceptance.left_behind(bound, outcome, call.scratch)
        if left:
            self._say(left)
        self.record.add(self.run, call.row("ran", outcome, named, left))

    def _fail(self, call: Call, outcome: Outcome, failure: Failure) -> None:
        """Try again after a pause when that may help; otherwise the run fails, and what is out may still finish."""
        job, bound, node = call.job, call.job.bound, call.job.bound.node
        retries = node.retries if isinstance(node, Step) else 0
        said = acceptance.public_line(bound, failure, self.plan.closure(bound).files, bound.settings)
        if failure.retry and call.attempts <= retries and (not self.failed or job.failed):
            pause = node.backoff * 2 ** (call.attempts - 1) if isinstance(node, Step) else 0.0
            self.waiting.add(call, pause)
            self.progress("retry", StepReport(bound.name, bound.label, "retry", message=f"{said}; again in {pause:g} s"))
            return
        if bound.outspoken and failure.text and failure.text not in said:
            said = f"{said}: {failure.text.strip().splitlines()[0]}"
        if not self.failed:
            self.failed = True
            self.waiting.keep(job if job.goes_on else None)
        job.failed[call.shown] = said
        self.record.add(self.run, call.row("failed", outcome, {}, said))
        self._end_failed(job, said)

    def _end_failed(self, job: Job, said: str = "") -> None:
        """Tell of a failed step once none of its branches is under way any more."""
        if job.failed and not self.waiting.has(job) and not any(call.job is job for call in self.calls.values()):
            bound, branches = job.bound, len(job.branches) if job.goes_on else 0
            said = job.failure(said or next(iter(job.failed.values())))
            failed = tuple(job.failed) if job.goes_on else ()
            report = StepReport(bound.name, bound.label, "failed", {}, job.seconds, branches, said, job.why, failed)
            self.reports[bound.name] = report
            if failed:  # its branches have rows of their own
                self.record.add(self.run, job.row(report))
            self.progress("end", report)

    # a step is complete --------------------------------------------------------------------------------------------------

    def _complete(self, job: Job) -> None:
        """All branches are there: put them together, tell, and let the users of the step begin."""
        bound = job.bound
        order = range(len(job.branches))
        if job.cutting:
            assert isinstance(bound.node, Step)
            edge = next(edge for edge in bound.edges if edge.parameter == bound.node.over)
            self.cuts[bound.name] = {edge.output: job.done[0][0]}
            self._begin(bound)
            return
        outputs = {}
        for position, (name, kind, _) in enumerate(bound.outputs):
            if bound.fanned:
                outputs[name] = collection(kind, [(job.branches[at].name, job.done[at][position]) for at in order])
            else:
                outputs[name] = job.done[0][position]
        if isinstance(bound.node, Source):
            source_labels.check_content(bound, outputs, self.pipeline.steps, self.artifacts, self.record)
        self.artifacts |= outputs | self.given
        before = self.reports.get(bound.name)
        if before is not None and not job.ran:  # it ran in this run, before a damaged file made us plan again
            action, job.seconds, job.why = before.action, before.seconds, before.why
        else:
            action = "ran" if job.ran else "reused"
        branches, said = len(order) if bound.fanned else 0, job.branches[0].message if job.branches else ""
        report = StepReport(bound.name, bound.label, action, outputs, job.seconds, branches, said, job.why)
        self.reports[bound.name] = report
        if bound.fanned or action == "reused":
            self.record.add(self.run, job.row(report))
        if bound.label.is_open:
            self.record.note_metrics(self.run, numbers_of(self.objects, outputs), reused=action == "reused")
        self.progress("end", report)
        for user in self.users.get(bound.name, ()):
            self.missing[user] -= 1
            if not self.missing[user]:
                self.ready.append(user)
