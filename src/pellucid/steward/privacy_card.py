"""The card of a release that came the steward's way: its guarantee, what is known of attacks without looking at a private row, and
who decided.

How often an attack succeeded on the private data is a statistic of private data: no guarantee covers it, so it is not on the card.
What is there depends on the mechanism and its settings alone: the most that any attack can achieve under the guarantee, and the
audit on made-up neighbours.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.packages.standards import STYLE, card
from pellucid.steward.attack_stage import bound
from pellucid.steward.current_state import PlannedRelease
from pellucid.steward.protection_stage import bounds_in_words
from pellucid.store import Table

FIRST_ROWS = 10

WITHHELD = (
    "Attacks were measured on the private data before the decision. Their rates are withheld: they are computed from private data,"
    " and nothing was spent to release them."
)
UNMEASURED = "No attack was measured on the private data before the decision."
LOOKED = (
    "the choice to release, and of these settings: it was made by somebody who had looked at the data, at attacks on it, and at"
    " simulated releases"
)
OVERRODE = "that somebody released it although a check had failed, and the reason they gave"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ name }}: what was released</title>
<style>{{ style }}</style>
</head>
<body>
<p class="soft">Released data · {{ on }}</p>
<h1>{{ name }}</h1>
{% for card in cards %}<h2>{{ card.release }}</h2>
{% if card.table is defined %}<p>{% if card.table.rows %}{{ "{:,}".format(card.table.rows) }} rows of
{{ card.table.columns | join(", ") }}.{% else %}<b>Empty</b>: it has the columns {{ card.table.columns | join(", ") }} and no row,
since nothing reached the threshold.{% endif %}</p>
{% if card.table.rows %}<div class="wide"><table>
<tr>{% for name in card.table.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in card.table.first %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table></div>{% endif %}
{% endif %}
<p>Data: <a href="{{ card.data[0] }}">{{ card.data[0] }}</a>
· for machines: <a href="{{ card.release }}.json">{{ card.release }}.json</a></p>
<div class="card">{% for sentence in card.in_words %}<p>{{ sentence }}</p>
{% endfor %}</div>
<div class="wide"><table>
<tr><th>promised to</th><td>each {{ card.unit }} ({{ card.relation }})</td></tr>
<tr><th>epsilon, delta</th><td>{{ card.epsilon }}, {{ card.delta }}</td></tr>
<tr><th>mechanism</th><td>{{ card.mechanism.mechanism }}; {{ card.mechanism.sensitivity }}; {{ card.mechanism.noise }}</td></tr>
<tr><th>bounds</th><td>{{ card.bounds | bounds }}</td></tr>
<tr><th>released as they are</th><td>{{ card.invariants | join("; ") or "nothing" }}</td></tr>
<tr><th>decided by</th><td>{{ card.decision.by }}, {{ card.decision.at }}{% if card.decision.although %}; although a check failed:
{{ card.decision.although }}{% endif %}</td></tr>
</table></div>
<h2>What an attacker can get</h2>
<p>Who wants to know whether one person was in the data, and accuses at most so many of those who were not, finds at most so many of
those who were. This follows from the guarantee, whatever else they know.</p>
<div class="wide"><table><tr><th>wrongly accused</th><th>rightly accused, at most</th></tr>
{% for one in card.attacks.bound %}<tr><td>{{ "%.0f%%" | format(100 * one.false_alarms) }}</td>
<td>{{ one.true_alarms_at_most | at_most }}</td></tr>
{% endfor %}</table></div>
{% if card.attacks.audit %}<p>Audit on {{ "{:,}".format(card.attacks.audit.runs) }} made-up neighbours:
epsilon is at least {{ "%.3f" | format(card.attacks.audit.epsilon_at_least) }} (declared {{ card.epsilon }};
{{ "%.1f%%" | format(100 * card.attacks.audit.confidence) }} sure; so many could show {{ "%.3f" | format(card.attacks.audit.reach) }}
at most).</p>{% endif %}
<p>{{ card.attacks.on_private_data }}</p>
<p class="soft">Not covered: {{ card.not_covered | join("; ") }}.</p>
<p class="soft">The ledger's event {{ card.ledger.seq }} settled it: <code>{{ card.ledger.hash }}</code>. The noise was drawn with the
key that this commits to: <code>{{ card.key_commitment }}</code>.</p>
{% endfor %}</body>
</html>
"""


def card_of(
    coming: PlannedRelease,
    guarantee: Mapping[str, Any],
    data: str,
    digest: str,
    attacked: Mapping[str, Any] | None,
    decided: Mapping[str, Any],
    released: Table | None,
) -> dict[str, Any]:
    """The card as plain JSON: nothing in it depends on a private row but what was released, and the decision itself. `released` is the
    released table, where it is one: its size and its first rows are on the card."""
    made = card(coming.name, guarantee, [data])
    audits = [one for one in (attacked or {}).get("audits", []) if one["release"] == coming.name]
    made["bounds"] = [
        [name, value] for name, value in coming.terms[0].parameters().items() if name not in ("mechanism", "version")
    ]
    made["digest"] = digest
    if released is not None:
        first = released.polars().head(FIRST_ROWS).collect().rows()
        made["table"] = {
            "rows": released.num_rows,
            "columns": released.columns,
            "first": [list(map(_plain, row)) for row in first],
        }
    made["attacks"] = {
        "bound": bound(guarantee["epsilon"], guarantee["delta"]),
        "audit": {name: value for name, value in audits[0].items() if name != "release"} if audits else None,
        "on_private_data": UNMEASURED if attacked is None else WITHHELD,
    }
    made["decision"] = {
        "by": decided["by"],
        "at": decided["at"],
        "although": decided["although"],
        "checks": [
            {"check": one["name"], "passed": one["passed"] if one["open"] else "withheld: it depends on private data"}
            for one in decided["checks"]
        ],
    }
    made["not_covered"] = [*made["not_covered"], LOOKED, *([OVERRODE] if decided["although"] else [])]
    return made


def _plain(cell: Any) -> Any:
    return cell if cell is None or isinstance(cell, str | int | float | bool) else str(cell)


def written(folder: Path, name: str, cards: list[dict[str, Any]], on: str) -> None:
    """Each card, and the page for people."""
    import jinja2
    from markupsafe import Markup

    for made in cards:
        text = json.dumps(made, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / f"{made['release']}.json").write_text(text + "\n", encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    environment.filters["at_most"] = lambda share: f"{math.ceil(1000 * share) / 10:.1f}%"
    environment.filters["bounds"] = lambda bounds: bounds_in_words(dict(bounds))
    page = environment.from_string(PAGE).render(name=name, cards=cards, on=on[:10], style=Markup(STYLE + "th { width: 9rem; }"))
    (folder / "index.html").write_text(page, encoding="utf-8")
