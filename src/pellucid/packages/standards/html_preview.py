"""The page of a package: what a person sees who opens its folder in a browser. No script, no address outside of the package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pellucid.packages.standards.description import Description
from pellucid.packages.standards.guarantee_text import in_words
from pellucid.packages.standards.privacy_cards import path_of

FILE = "ro-crate-preview.html"
PICTURES = (".svg", ".png", ".jpg", ".jpeg", ".webp")

STYLE = """
:root { color-scheme: light; --ink: #1d2733; --soft: #5a6675; --line: #d9dfe6; --tint: #f5f7f9; --good: #1e6b32; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 4rem; font: 16px/1.55 system-ui, sans-serif; color: var(--ink);
  overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .2rem 0 .4rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .5rem 0; } .soft { color: var(--soft); } a { color: #0b5cad; }
.wide { overflow-x: auto; } .wide:focus-visible { outline: .2rem solid #0b5cad; outline-offset: .1rem; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th { overflow-wrap: normal; } td { min-width: 4.5rem; }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums; }
code, pre { font: .88em/1.5 ui-monospace, monospace; }
pre { background: var(--tint); padding: .8rem; border-radius: .4rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.card { border: 1px solid var(--line); border-left: .3rem solid var(--good); border-radius: .4rem; padding: .6rem 1rem; margin: .8rem 0; }
img, svg { max-width: 100%; height: auto; }
"""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ about.title }}</title>
<style>{{ style }}</style>
</head>
<body>
<main>
<p class="soft">Reproducible run package · {{ of.date }} · version {{ about.version }}</p>
<h1>{{ about.title }}</h1>
<p>{{ about.description }}</p>
<p class="soft">{{ about.people | map(attribute="name") | join("; ") }} · data {{ about.data_licence }} · code {{ about.licence }}</p>

<h2>Check it yourself</h2>
<pre>pellucid reproduce .
sha256sum -c MANIFEST.sha256</pre>
<p class="soft">The first re-runs the open side and says whether it comes out the same;
the second checks the bytes alone, without Pellucid.</p>

<h2>How it was made</h2>
<div class="wide" tabindex="0" role="region" aria-label="How it was made">{{ graph }}</div>
<p class="soft">Green is open and in this package; red is private and is not, nor anything computed from it without a release between.</p>

{% if metrics %}<h2>Numbers</h2>
<div class="wide" tabindex="0" role="region" aria-label="Numbers"><table><tr><th>of</th><th>what</th><th>number</th></tr>
{% for of, name, value in metrics %}<tr><td>{{ of }}</td><td>{{ name }}</td><td class="n">{{ value }}</td></tr>
{% endfor %}</table></div>{% endif %}

{% if releases %}<h2>What people were promised</h2>
{% for release in releases %}<div class="card">
<p><strong>{{ release.step }}</strong>: epsilon {{ release.epsilon }}, delta {{ release.delta }},
for each {{ release.unit }} (<a href="{{ release.path }}">card</a>)</p>
{% for sentence in release.words %}<p>{{ sentence }}</p>{% endfor %}
<p class="soft">Not covered: {{ release.not_covered | join("; ") }}.</p></div>
{% endfor %}{% endif %}

{% for picture in pictures %}<figure>
<img src="{{ picture }}" alt="{{ picture }}"><figcaption class="soft">{{ picture }}</figcaption></figure>
{% endfor %}
<h2>What is in it</h2>
<div class="wide" tabindex="0" role="region" aria-label="Files"><table><tr><th>file</th><th>what</th><th>licence</th><th>bytes</th></tr>
{% for path, what, licence, size in files %}<tr><td><a href="{{ path }}">{{ path }}</a></td><td>{{ what }}</td><td>{{ licence }}</td>
<td class="n">{{ size }}</td></tr>
{% endfor %}</table></div>
<p class="soft">Described for machines in <a href="ro-crate-metadata.json">RO-Crate</a>, <a href="croissant.json">Croissant</a>,
<a href="datacite.json">DataCite</a>, <a href="CITATION.cff">CITATION.cff</a> and <a href="sbom.cdx.json">CycloneDX</a>; every step's
inputs and outputs are in <a href="manifest.json">manifest.json</a>.</p>
{% if withheld %}<p class="soft">Withheld, because not open: {{ withheld | join(", ") }}.</p>{% endif %}
</main>
</body>
</html>
"""


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """The one page."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.from_string(PAGE).render(
        of=description,
        about=description.about,
        style=Markup(STYLE),
        graph=Markup(_graph(description)),
        metrics=[
            (of, name, f"{value:.6g}" if isinstance(value, float) else str(value))
            for of, values in description.metrics()
            for name, value in values.items()
        ],
        releases=[_release(entry.step, guarantee) for entry, guarantee in description.releases()],
        pictures=[leaf.path for _, _, leaf in description.leaves("file") if leaf.path.endswith(PICTURES)],
        files=_listed(description),
        withheld=description.manifest.withheld,
    )
    yield FILE, page.encode()


def _release(step: str, guarantee: Any) -> dict[str, Any]:
    unit = guarantee["mechanism"]["unit"]
    return {
        "step": step,
        "epsilon": f"{guarantee['epsilon']:g}",
        "delta": f"{guarantee['delta']:g}",
        "unit": unit,
        "path": path_of(step),
        "words": in_words(guarantee["epsilon"], guarantee["delta"], unit),
        "not_covered": guarantee["mechanism"].get("not_covered", []),
    }


def _listed(description: Description) -> list[tuple[str, str, str, str]]:
    known = {
        leaf.path: (f"{leaf.kind}, by {entry.step}", description.licence_of(entry)) for _, entry, leaf in description.leaves()
    }
    rows = []
    for path, (_, size) in sorted(description.files.items()):
        what, licence = known.get(path, ("code" if path.startswith("code/") else "description", ""))
        rows.append((path, what, licence or (description.about.licence if what == "code" else ""), f"{size:,}"))
    return rows


def _graph(description: Description) -> str:
    from pellucid.pipeline.declaration import Drawn, svg

    made_by = {output[0]: node["step"] for node in description.manifest.graph for output in node["outputs"]}
    nodes = [
        Drawn(
            node["step"],
            node["kind"],
            node["label"],
            tuple(dict.fromkeys(made_by[name] for name in node["inputs"].values())),
            tuple(output[0] for output in node["outputs"] if output[0] != node["step"]),
        )
        for node in description.manifest.graph
    ]
    return svg(nodes)
