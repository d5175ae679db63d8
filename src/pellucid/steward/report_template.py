"""How the report looks: the template of the page and what it adds to the style of packages. Reads on a phone, and printed."""

from __future__ import annotations

LOOKS = """
body { max-width: 54rem; overflow-wrap: break-word; }
.private { background: #fbecec; border: 1px solid #e6bcbc; border-radius: .4rem; padding: .4rem .8rem; font-size: .93rem; }
ol.path { list-style: none; display: grid; grid-template-columns: repeat(6, 1fr); gap: .4rem; padding: 0; margin: 1.2rem 0; }
ol.path li { border-top: .3rem solid var(--line); padding-top: .3rem; font-size: .85rem; }
ol.path li.done { border-color: var(--good); } ol.path li.again { border-color: #b7791f; }
ol.path b { display: block; font-size: .95rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; } td, th { overflow-wrap: break-word; }
.figures td { white-space: nowrap; } .pair th { width: 11rem; color: var(--soft); font-weight: normal; }
.finding { border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .9rem; margin: .7rem 0; break-inside: avoid; }
.finding p { margin: .15rem 0; }
.bar { display: grid; grid-template-columns: 11rem 1fr 11rem; gap: .6rem; align-items: center; font-size: .9rem; margin: .25rem 0; }
.bar svg { width: 100%; height: .85rem; background: var(--tint); display: block; }
.bar .figure { font-variant-numeric: tabular-nums; white-space: nowrap; }
.hit rect.v { fill: #35618f; } .base rect.v { fill: #9aa7b5; } .other rect.v { fill: #d3b98c; } rect.i { fill: #1d2733; }
.pass, .good { color: var(--good); } .fail, .bad { color: #a32020; } .pass, .fail, .good, .bad { font-weight: 600; }
.again { color: #8a5a12; } .sign { border: 2px solid var(--ink); border-radius: .4rem; padding: .6rem 1rem; margin: .8rem 0; }
.key span { display: inline-block; width: .8rem; height: .8rem; margin: 0 .3rem 0 .8rem; vertical-align: -.1rem; }
.key .hit { background: #35618f; margin-left: 0; } .key .base { background: #9aa7b5; } .key .other { background: #d3b98c; }
@media (max-width: 40rem) {
  ol.path { grid-template-columns: repeat(3, 1fr); }
  .wide td, .wide th { padding-right: .5rem; }
  .bar { grid-template-columns: 1fr auto; gap: .1rem .6rem; } .bar svg { grid-column: 1 / 3; grid-row: 2; }
  .pair, .pair tbody, .pair tr, .pair th, .pair td { display: block; width: auto; }
  .pair th { border: 0; padding-bottom: 0; } .pair td { padding-top: 0; }
}
@media print {
  body { max-width: none; padding: 0; font-size: 11pt; } h2 { break-after: avoid; } .card, .sign, tr { break-inside: avoid; }
  svg, rect, .key span, ol.path li, .private { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""

PAGE = """\
{% macro again(step) %}{% if step in stale %} <span class="again">(of earlier data or settings: to do again)</span>{% endif %}{% endmacro %}
{% macro pair(values) %}{{ "%g" | format(values[0]) }}, {{ "%g" | format(values[1]) }}{% endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ name }}: may it leave?</title>
<style>{{ style }}</style>
</head>
<body>
<p class="soft">Steward's report · {{ on }}</p>
<h1>{{ name }}: may it leave?</h1>
<p class="private"><b>Private.</b> The figures here are computed from the data of people. This page is for those who decide; it is as
confidential as the data. What is for everybody is in the folder <code>card</code>.</p>
<ol class="path">
{% for step in steps %}
<li class="{{ {"done": "done", "to do again": "again"}.get(step.state, "") }}"><b>{{ step.name }}</b>{{ step.state }}<br>
<span class="soft">{{ step.at }}</span></li>
{% endfor %}
</ol>

<h2>What is in the data, and whose are they?</h2>
<p><b>{{ inventory.source }}</b>: {{ "{:,}".format(inventory.rows) }} rows{% if assess %}, of {{ "{:,}".format(assess.people) }}
people{% endif %}.</p>
<table class="pair">
{% for one in roles %}
<tr><th>{{ one.role }}</th><td><b>{{ one.columns }}</b><br><span class="soft">{{ one.means }}</span></td></tr>
{% endfor %}
</table>

{% if assess %}
<h2>How identifying are they as they stand?{{ again("assess") }}</h2>
<p>{{ meaning }}</p>
{% for one in assess.assessments %}
<h3>{{ one.what }}</h3>
<table class="pair">
{% for finding in one.findings %}
<tr><th>{{ finding.measure.replace("_", " ") }}</th>
<td><b>{{ "{:,}".format(finding.value) if finding.value is integer else "%.4g" | format(finding.value) }}</b>:
{{ finding.meaning }}</td></tr>
{% endfor %}
</table>
{% endfor %}
{% endif %}

{% if protect %}
<h2>What is to leave, and under which guarantee?{{ again("protect") }}</h2>
{% for one in releases %}
<div class="card">
<p><b>{{ one.name }}</b>: {{ one.kind }} ({{ one.bounds }}) of {{ one.of }}</p>
{% for sentence in one.words %}
<p>{{ sentence }}</p>
{% endfor %}
</div>
<table class="pair">
<tr><th>epsilon, delta</th><td>{{ "%g" | format(one.epsilon) }}, {{ "%g" | format(one.delta) }}</td></tr>
<tr><th>promised to</th><td>each {{ one.unit }} ({{ one.relation }})</td></tr>
<tr><th>why it holds</th><td>{{ one.sensitivity }}; {{ one.noise }}</td></tr>
{% for label, said in one.size %}
<tr><th>{{ label }}</th><td>{{ said }}</td></tr>
{% endfor %}
<tr><th>not covered</th><td>{{ one.not_covered | join("; ") }}</td></tr>
</table>
{% endfor %}
<h3>What to expect, by {{ "declared numbers" if protect.forecast.declared else "the people counted in the data" }}</h3>
<ul>
{% for one in protect.forecast.releases %}
{% for line in one.lines %}
<li>{{ one.release }}: {{ line }}</li>
{% endfor %}
{% if one.problem %}
<li class="bad">{{ one.release }}: {{ one.problem }}. Would help: {{ one.advice | join("; ") }}</li>
{% endif %}
{% endfor %}
</ul>
<p class="soft">It reads no row of the data{% if not protect.forecast.declared %} but to count the people, which is private{% endif %}. The
simulated figures above do: choosing by them is a use of the data that no guarantee covers, and the card says so.</p>
{% for one in protect.transforms %}
<p><b>{{ one.step }}</b> ({{ one.transforms | join(", ") }}) proves nothing: what it gives stays here.</p>
{% endfor %}
<h3>Budget</h3>
<div class="wide"><table class="figures"><tr><th>account</th><th>spent before</th><th>after this</th><th>cap</th><th>fits</th></tr>
{% for one in protect.accounts %}
<tr><td>{{ one.account }}</td><td>{{ pair(one.spent) }}</td><td>{{ pair(one.after) }}</td><td>{{ pair(one.cap) }}</td>
<td class="{{ "good" if one.fits else "bad" }}">{{ "fits" if one.fits else "does not fit" }}</td></tr>
{% endfor %}
</table></div>
{% endif %}

{% if attack %}
<h2>What would an adversary get?{{ again("attack") }}</h2>
<p class="soft">Each bar is how often an attack is right, from never to always; the dark mark is its 95 % interval.</p>
<p class="soft key"><span class="hit"></span>the attack<span class="base"></span>without the data (chance, people who are not in
them)<span class="other"></span>for comparison</p>
{% for group in groups %}
<h3>{{ group.head }}</h3>
{% for one in group.findings %}
<div class="finding">
<p><b>{{ one.attack }}</b>: <span class="{{ "bad" if one.bad else "good" }}">{{ one.verdict }}</span></p>
<p>{{ one.question[0] | upper }}{{ one.question[1:] }}?</p>
{% for bar in one.bars %}
<div class="bar {{ bar.kind }}"><span>{{ bar.name }}</span>
<svg viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{{ bar.name }} {{ bar.figure }}">
<rect class="v" x="0" y="1" width="{{ bar.width }}" height="6"/>
{% if bar.span %}<rect class="i" x="{{ bar.low }}" y="3" width="{{ bar.span }}" height="2"/>{% endif %}
</svg><span class="figure">{{ bar.figure }}</span></div>
{% endfor %}
{% if one.assumes %}<p class="soft">The adversary has: {{ one.assumes }}.</p>{% endif %}
</div>
{% endfor %}
{% endfor %}
{% for one in attack.audits %}
<p>Audit of <b>{{ one.release }}</b> on {{ "{:,}".format(one.runs) }} made-up neighbours: epsilon is at least
{{ "%.3f" | format(one.epsilon_at_least) }} ({{ "%.1f" | format(100 * one.confidence) }} % sure), declared
{{ "%g" | format(one.declared_epsilon) }}:
<span class="{{ "bad" if one.refuted else "good" }}">{{ "refuted" if one.refuted else "not refuted" }}</span>.</p>
{% endfor %}
<p class="soft">An attack that fails proves nothing. What holds is the guarantee above.</p>
{% endif %}

{% if decide %}
<h2>May it leave?{{ again("decide") }}</h2>
<table class="pair">
{% for one in decide.checks %}
<tr><th>{{ one.name }}</th><td><span class="{{ "pass" if one.passed else "fail" }}">{{ "pass" if one.passed else "fails" }}</span>:
{{ one.says }}</td></tr>
{% endfor %}
</table>
<div class="sign">
<p><b>{{ decide.by }}</b> signed on {{ decide.at[:10] }} at {{ decide.at[11:16] }} UTC for {{ decide.of.releases | join(", ") }},
of the data as they were then.</p>
{% if decide.although %}<p><b>Although</b> checks failed: {{ decide.although }}</p>{% endif %}
{% if decide.note %}<p>{{ decide.note }}</p>{% endif %}
<p class="soft">The ledger holds this decision. If the data or a setting changes, it no longer counts.</p>
</div>
{% endif %}

{% if release %}
<h2>What left?{{ again("release") }}</h2>
<table class="pair">
{% for one in release.released %}
<tr><th>{{ one.name }}</th><td><a href="{{ one.file }}">{{ one.file }}</a>, {{ "{:,}".format(one.size) }} bytes</td></tr>
{% endfor %}
{% for one in release.accounts %}
<tr><th>account {{ one.name }}</th><td>spent {{ "%g" | format(one.spent_epsilon) }}, {{ "%g" | format(one.spent_delta) }}; left
{{ "%g" | format(one.left_epsilon) }}, {{ "%g" | format(one.left_delta) }}</td></tr>
{% endfor %}
</table>
<p>What people are told: <a href="card/index.html">card/index.html</a>.</p>
{% endif %}
</body>
</html>
"""
