"""How the catalogue looks: style, script and templates. Colours and type are those of a package's own page."""

from __future__ import annotations

from pellucid.packages.standards import html_preview

STYLE = (
    html_preview.STYLE
    + """
nav { font-size: .93rem; } nav a { margin-right: 1rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; } ul.list { list-style: none; margin: 1rem 0; padding: 0; }
ul.list > li { border: 1px solid var(--line); border-radius: .4rem; padding: .7rem 1rem; margin: .6rem 0; }
ul.list > li[hidden] { display: none; } ul.list h2 { margin: 0; font-size: 1.05rem; } ul.list p { margin: .25rem 0 0; }
.clip { display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
.kind { display: inline-block; font-size: .75rem; line-height: 1.5; padding: 0 .5rem; border-radius: 1rem; background: var(--tint);
  border: 1px solid var(--line); color: var(--soft); vertical-align: .1rem; }
.good { color: var(--good); font-weight: 600; } .bad { color: #9a2b1e; font-weight: 600; }
form { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.2rem 0 .4rem; align-items: end; } form[hidden] { display: none; }
form label { display: block; font-size: .85rem; color: var(--soft); } .grow { flex: 1 1 16rem; min-width: 0; }
input, select { height: 2.6rem;
  font: inherit; color: inherit; width: 100%; padding: .45rem .6rem; border: 1px solid #8793a1; border-radius: .4rem;
  background: #fff; } input:focus-visible, select:focus-visible, a:focus-visible { outline: .2rem solid #0b5cad; outline-offset: .1rem; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1rem; margin: .8rem 0; }
dt { color: var(--soft); } dd { margin: 0; } footer { margin-top: 3rem; padding-top: .8rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .88rem; }
@media (max-width: 34rem) { dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .5rem; } }
"""
)

SCRIPT = """
(() => {
  const index = JSON.parse(document.getElementById("index").textContent);
  const items = document.querySelectorAll("#list > li");
  const form = document.getElementById("search"), words = form.elements.q, kind = form.elements.kind;
  const count = document.getElementById("count");
  const plain = (text) => text.normalize("NFKD").replace(/\\p{M}/gu, "").toLowerCase();
  const show = () => {
    const asked = plain(words.value).split(/\\s+/).filter(Boolean);
    let found = 0;
    index.forEach((entry, at) => {
      const hit = (!kind.value || entry.kind === kind.value) && asked.every((word) => entry.text.includes(word));
      items[at].hidden = !hit;
      found += hit;
    });
    count.textContent = found === index.length ? `${found} entries` : `${found} of ${index.length} entries`;
  };
  const asked = new URLSearchParams(location.search);
  words.value = asked.get("q") || "";
  form.hidden = false;
  form.addEventListener("input", show);
  form.addEventListener("change", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
"""

BASE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<link rel="alternate" type="application/atom+xml" href="{{ up }}feed.atom" title="{{ site.title }}">
<title>{% block title %}{{ site.title }}{% endblock %}</title>
<style>{{ style }}</style>
{% block head %}{% endblock %}</head>
<body>
<main>
{% block body %}{% endblock %}
</main>
<footer>
<p><a href="{{ up }}index.html">{{ site.title }}</a> · for machines: <a href="{{ up }}catalog.jsonld">DCAT-AP</a>,
<a href="{{ up }}feed.atom">Atom</a>{% if site.url %}, <a href="{{ up }}feed.rss">RSS</a>,
<a href="{{ up }}sitemap.xml">sitemap</a>{% endif %}</p>
<p>Every package here was found whole before it was listed. What its pages say is its publisher's word; what a receipt says is its
signer's.</p>
</footer>
</body>
</html>
"""

INDEX = """{% extends "base" %}{% block body %}
<h1>{{ site.title }}</h1>
<p>{{ total }} {{ "package" if total == 1 else "packages" }} that anyone can re-run, with their open data sets and models.</p>
<form id="search" role="search" hidden>
<div class="grow"><label for="q">Search titles, people, keywords, columns, licences</label>
<input id="q" name="q" type="search" autocomplete="off"></div>
<div><label for="kind">What</label><select id="kind" name="kind"><option value="">everything</option>
<option value="package">packages</option><option value="dataset">data sets</option><option value="model">models</option></select></div>
</form>
<p class="soft" id="count" role="status">{{ rows | length }} entries</p>
<ul class="list" id="list">
{% for one, shelf in rows %}<li>
<h2><a href="{{ one.path }}">{{ one.title }}</a> <span class="kind">{{ words[one.kind] }}</span></h2>
<p class="clip">{{ one.description }}</p>
<p class="soft">
{%- if one.id in shelf.previews and one.files | length == 1 %}rows: {{ "{:,}".format(shelf.previews[one.id].rows) }} · {% endif -%}
{{ one.date }} · {{ one.creators | map(attribute="name") | join("; ") }}
· {{ one.licences | join(", ") }} · {{ again(shelf.tally) }}</p>
</li>
{% endfor %}</ul>
<script type="application/json" id="index">{{ index }}</script>
<script>{{ program }}</script>
{% endblock %}"""

SHARED = """{% macro facts(one, shelf) %}
<dl>
<dt>made by</dt><dd>{% for person in one.creators %}{% if person.url -%}
<a href="{{ person.url }}" rel="nofollow noopener">{{ person.name }}</a>
{%- else %}{{ person.name }}{% endif %}{% if not loop.last %}; {% endif %}{% endfor %}</dd>
<dt>made on</dt><dd>{{ one.date }}, version {{ one.version }}</dd>
<dt>licence</dt><dd>{% for licence in one.licences %}<a href="{{ spdx(licence) }}" rel="nofollow noopener">{{ licence }}</a>
{%- if not loop.last %}, {% endif %}{% endfor %}</dd>
{% if one.keywords %}<dt>keywords</dt><dd>{{ one.keywords | join(", ") }}</dd>{% endif %}
<dt>re-run by others</dt><dd>{{ again(shelf.tally) }}</dd>
<dt>cite</dt><dd>{{ one.citation }}</dd>
</dl>
{% endmacro %}
{% macro downloads(one, up) %}
<div class="wide" tabindex="0" role="region" aria-label="Files"><table><tr><th>file</th><th>bytes</th><th>SHA-256</th></tr>
{% for file in one.files %}<tr><td><a href="{{ up }}{{ quoted(file.path) }}" download>{{ file.name }}</a></td>
<td class="n">{{ "{:,}".format(file.size) }}</td><td><code>{{ file.sha256 }}</code></td></tr>
{% endfor %}</table></div>
{% endmacro %}
{% macro grid(label, head, rows) %}
<div class="wide" tabindex="0" role="region" aria-label="{{ label }}"><table>
{% if head %}<thead><tr>{% for cell in head %}<th scope="col">{{ cell }}</th>{% endfor %}</tr></thead>{% endif %}
<tbody>{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endmacro %}
{% macro preview(seen, files) %}{% if seen %}<h2>First rows</h2>
{% set wide = seen.columns | length + seen.more %}
<p class="soft">{{ "{:,}".format(seen.rows) }} {{ "row" if seen.rows == 1 else "rows" }}, {{ "{:,}".format(wide) }}
{{ "column" if wide == 1 else "columns" }}; the first {{ seen.cells | length }} of the rows
{%- if seen.more %} and {{ seen.columns | length }} of the columns{% endif %} are shown
{%- if files | length > 1 %}. They are those of {{ files[0].name }}, one of {{ files | length }} files{% endif %}.</p>
{{ grid("First rows", seen.columns | map("first") | list, seen.cells) }}{% endif %}{% endmacro %}
{% macro shown(blocks, up) %}{% if blocks %}<h2>What the notebook shows</h2>
{% for block in blocks %}{% if block.kind == "h2" %}<h3>{{ block.text }}</h3>
{% elif block.kind == "pre" %}<pre>{{ block.text }}</pre>
{% elif block.kind == "p" %}<p>{{ block.text }}</p>
{% elif block.kind == "table" %}{{ grid("Table of the notebook", block.rows[0], block.rows[1:]) }}
{% else %}<p><img src="{{ up }}{{ quoted(block.path) }}" alt="Picture that the notebook shows" loading="lazy"></p>
{% endif %}{% endfor %}{% endif %}{% endmacro %}
{% macro promised(one) %}{% if one.releases %}<h2>What people were promised</h2>
{% for release in one.releases %}<div class="card">
<p><strong>{{ release.step }}</strong>: epsilon {{ "{:g}".format(release.epsilon) }}, delta {{ "{:g}".format(release.delta) }},
for each {{ release.unit }}</p>
{% for sentence in release.words %}<p>{{ sentence }}</p>{% endfor %}</div>
{% endfor %}{% endif %}{% endmacro %}
{% macro lineage(one) %}<h2>Where it comes from</h2>
<ul>{% for said in one.lineage %}<li>{{ said }}</li>{% endfor %}</ul>{% endmacro %}
"""

RECORD = """{% extends "base" %}{% from "shared" import facts, downloads, promised, lineage %}
{% block title %}{{ one.title }} · {{ site.title }}{% endblock %}
{% block head %}{% if described %}<script type="application/ld+json">{{ described }}</script>
{% endif %}{% endblock %}
{% block body %}
<nav><a href="{{ up }}index.html">← {{ site.title }}</a>{% if one.kind != "package" %}
<a href="{{ up }}{{ one.package_path }}">its package</a>{% endif %}</nav>
<p class="soft">{{ words[one.kind] | capitalize }}</p>
<h1>{{ one.title }}</h1>
<p>{{ one.description }}</p>
{{ facts(one, shelf) }}
{% block rest %}{% endblock %}
{% endblock %}"""

PACKAGE = """{% extends "record" %}{% from "shared" import downloads, promised, shown, lineage %}
{% block rest %}
<h2>Check it yourself</h2>
{% set place = site.address(one.files[0].path) %}
<pre>pellucid reproduce {{ place }}</pre>
{{ downloads(one, up) }}
<p class="soft">The zip leaves out the wheels, which this site keeps once for all packages:
{% for wheel in shelf.wheels[:5] %}<a href="{{ up }}{{ quoted(wheel.path) }}"
download="{{ wheel.name.rpartition("/")[2] }}">{{ wheel.name.rpartition("/")[2] }}</a>
{%- if not loop.last %}, {% endif %}{% endfor %}
{%- if shelf.wheels | length > 5 %} and {{ shelf.wheels | length - 5 }} more, in the folder <code>wheels</code>{% endif %}.
The command takes them from here. Do you get the zip by hand? Then put its wheels beside it.</p>
<p class="soft">Its list of files has the SHA-256 <code>{{ one.digest }}</code>.
{% if shelf.signed %}Signed by the key <code>{{ shelf.signed }}</code>.{% else %}It is not signed.{% endif %}</p>

<h2>Receipts</h2>
{% if shelf.tally.counted %}<div class="wide" tabindex="0" role="region" aria-label="Receipts">
<table><tr><th>verdict</th><th>when (UTC)</th><th>key</th><th>machine</th><th>file</th></tr>
{% for receipt, known in shelf.tally.counted %}<tr>
<td class="{{ "good" if receipt.verdict in ("bit-identical", "within tolerance") else "bad" }}">{{ receipt.verdict }}</td>
<td>{{ receipt.when[:10] }} {{ receipt.when[11:16] }}</td><td><code>{{ receipt.key[:16] }}</code>
{% if known %} (trusted by this catalogue){% endif %}</td>
<td>{{ receipt.machine.cpu }}, {{ receipt.machine.system }}, Python {{ receipt.machine.python }}</td>
<td><a href="{{ up }}{{ quoted(shelf.receipts[loop.index0][0]) }}" download>receipt</a></td></tr>
{% endfor %}</table></div>{% else %}<p>Nobody has sent one yet. Send yours: <code>pellucid reproduce {{ place }} --receipt mine.json
--sign KEY</code></p>{% endif %}

{% for kind, head in (("dataset", "Data sets"), ("model", "Models")) %}
{% set some = shelf.parts | selectattr("kind", "equalto", kind) | list %}
{% if some %}<h2>{{ head }}</h2>
<ul>{% for part in some %}<li><a href="{{ up }}{{ part.path }}">{{ part.title }}</a></li>{% endfor %}</ul>{% endif %}{% endfor %}
{{ shown(shelf.shown, up) }}
{{ promised(one) }}
{% if shelf.metrics %}<h2>Numbers</h2>
<div class="wide" tabindex="0" role="region" aria-label="Numbers"><table><tr><th>of</th><th>what</th><th>number</th></tr>
{% for of, name, value in shelf.metrics %}<tr><td>{{ of }}</td><td>{{ name }}</td><td class="n">{{ value }}</td></tr>
{% endfor %}</table></div>{% endif %}
<h2>Steps</h2>
<div class="wide" tabindex="0" role="region" aria-label="Steps"><table><tr><th>step</th><th>kind</th><th>who can re-run it</th></tr>
{% for step, kind, role in shelf.steps %}<tr><td>{{ step }}</td><td>{{ kind }}</td><td>{{ roles[role] }}</td></tr>
{% endfor %}</table></div>
{% endblock %}"""

DATASET = """{% extends "record" %}{% from "shared" import downloads, preview, promised, lineage %}
{% block rest %}
{% set kinds = dict(shelf.previews[one.id].columns) if one.id in shelf.previews else {} %}
<h2>Files</h2>
{{ downloads(one, up) }}
{{ preview(shelf.previews.get(one.id), one.files) }}
{% if one.columns %}<h2>Columns</h2>
<div class="wide" tabindex="0" role="region" aria-label="Columns"><table><tr><th>column</th><th>type</th>
{%- if kinds %}<th>stored as</th>{% endif %}</tr>
{% for name, type in one.columns %}<tr><td>{{ name }}</td><td>{{ type }}</td>
{%- if kinds %}<td>{{ kinds.get(name, "") }}</td>{% endif %}</tr>
{% endfor %}</table></div>{% endif %}
{{ promised(one) }}{{ lineage(one) }}
{% endblock %}"""

MODEL = """{% extends "record" %}{% from "shared" import downloads, promised, lineage %}
{% block rest %}
<h2>Files</h2>
{{ downloads(one, up) }}
{% for element, text in card %}{% if element == "li" %}
{% if loop.first or card[loop.index0 - 1][0] != "li" %}<ul>{% endif %}<li>{{ text }}</li>
{% if loop.last or card[loop.index][0] != "li" %}</ul>{% endif %}{% elif element == "h2" %}<h2>{{ text }}</h2>
{% elif element == "p" %}<p>{{ text }}</p>{% else %}<h3>{{ text }}</h3>{% endif %}{% endfor %}
{{ promised(one) }}{{ lineage(one) }}
{% endblock %}"""

TEMPLATES = {
    "base": BASE, "shared": SHARED, "index": INDEX, "record": RECORD, "package": PACKAGE, "dataset": DATASET, "model": MODEL,
}  # fmt: skip
