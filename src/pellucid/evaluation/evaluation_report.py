"""An evaluation as one page of HTML: tables, plots, tests, what nobody judged. It needs no script and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.evaluation import evaluation_charts
from pellucid.evaluation.retrieval_measures import MEASURES, Evaluation

MOST_ROWS = 200  # queries of a table; all are in `pellucid evaluate --json`
COLOURS = 6
FIRST = "nDCG@10"


def html_report(
    found: Evaluation,
    unjudged: Mapping[str, list[str]],
    *,
    run: str,
    judgements: str,
    notes: tuple[str, ...] = (),
) -> str:
    """The page. `unjudged`: by query the documents among the first ten that nobody judged (`unjudged_documents`); `notes`: more to say."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) or not isinstance(value, str) else evaluation_charts.visible(value),
    )  # fmt: skip
    template = environment.from_string(Path(__file__).with_name("evaluation_report.html").read_text(encoding="utf-8"))
    everyone = {run: found, **found.baselines}
    rows = [
        (f"{measure} {_name(name)}", f"c{at % COLOURS}", one.intervals[measure][0], one.means[measure], one.intervals[measure][1])
        for measure in MEASURES
        for at, (name, one) in enumerate(everyone.items())
    ]
    return template.render(
        run=run,
        judgements=judgements,
        notes=notes,
        found=found,
        everyone=everyone,
        measures=MEASURES,
        colours=COLOURS,
        first=FIRST,
        means=Markup(evaluation_charts.intervals("Means with 95 % intervals", rows, 0.0, 1.0)),
        compared=[_compared(found, name, Markup) for name in found.baselines],
        unjudged=[(query, documents) for query, documents in unjudged.items() if documents],
        count=sum(map(len, unjudged.values())),
        most=MOST_ROWS,
    )


def _compared(found: Evaluation, baseline: str, markup: Any) -> dict[str, Any]:
    """What the page says about one baseline."""
    tests = [one for one in found.comparisons if one.baseline == baseline]
    reach = max([abs(end) for one in tests for end in (one.low, one.high)] or [0.0]) or 1.0
    rows = [(one.measure, _kind(one.difference), one.low, one.difference, one.high) for one in tests]
    mine, other = found.per_query[FIRST], found.baselines[baseline].per_query[FIRST]
    queries = [(query, mine[query], other[query], mine[query] - other[query]) for query in mine]
    return {
        "baseline": baseline,
        "tests": tests,
        "chart": markup(evaluation_charts.intervals(f"Differences to {baseline} with 95 % intervals", rows, -reach, reach)),
        "bars": markup(
            evaluation_charts.differences(
                f"{FIRST} of each query, less that of {baseline}", [(one[0], one[3]) for one in queries]
            )
        ),
        "queries": sorted(queries, key=lambda one: (-abs(one[3]), one[0]))[:MOST_ROWS],
        "better": sum(one[3] > 0 for one in queries),
        "worse": sum(one[3] < 0 for one in queries),
        "equal": sum(one[3] == 0 for one in queries),
    }


def _kind(difference: float) -> str:
    return "better" if difference > 0 else "worse" if difference < 0 else "quiet"


def _name(path: str) -> str:
    return Path(path).name or path
