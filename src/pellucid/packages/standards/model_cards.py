"""Model cards (Mitchell et al., "Model cards for model reporting", 2019), one page for each model in a package."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pellucid.packages.standards.description import Description
from pellucid.packages.standards.markdown import code, plain


def files(description: Description) -> Iterator[tuple[str, bytes]]:
    """A page a model."""
    for name, entry, leaf in description.leaves("model"):
        yield f"models/{name}.md", _page(description, name, entry.step, leaf.path).encode()


def path_of(name: str) -> str:
    """Where a model's card is."""
    return f"models/{name}.md"


def settings_of(description: Description, path: str) -> tuple[str, dict[str, object], dict[str, list[int]]]:
    """A model's kind, its settings, and the shapes of its arrays, from its file."""
    import numpy as np

    with np.load(description.folder / path, allow_pickle=False) as file:
        about = json.loads(file["__model__"].tobytes())
        shapes = {array: list(file[array].shape) for array in file.files if array != "__model__"}
    return about["kind"], about["settings"], shapes


def ancestry(description: Description, step: str) -> list[str]:
    """The steps that a step's result comes from, itself included, in the order of the trace."""
    made_by = {name: entry.step for entry in description.manifest.trace for name in entry.outputs}
    found, waiting = {step}, [step]
    while waiting:
        for name, _ in description.entry(waiting.pop()).inputs.values():
            if made_by[name] not in found:
                found.add(made_by[name])
                waiting.append(made_by[name])
    return [entry.step for entry in description.manifest.trace if entry.step in found]


def _page(description: Description, name: str, step: str, path: str) -> str:
    about = description.about
    kind, settings, shapes = settings_of(description, path)
    entry, steps = description.entry(step), ancestry(description, step)
    lines = [
        f"# Model card: {name}",
        "",
        f"Of {plain(about.title)}. A model of kind {code(kind)} in `{path}`; numpy alone opens it.",
        "",
    ]
    lines += [
        f"- made by: {plain('; '.join(about.creators))}",
        f"- made on: {description.date}",
        f"- licence: {about.data_licence}",
    ]
    lines += [f"- parameters: {', '.join(code(f'{array} {shape}') for array, shape in shapes.items())}"]
    known = {**settings, **entry.settings}
    lines += [f"- settings: {', '.join(code(f'{key} {value}') for key, value in known.items()) or 'none'}"]
    lines += ["", "## Trained on", ""]
    for one in steps:
        made = description.entry(one)
        if made.guarantee is not None:
            mechanism = made.guarantee["mechanism"]
            lines.append(
                f"- `{one}`, a release of private data: epsilon {made.guarantee['epsilon']:g}, delta {made.guarantee['delta']:g} for each"
                f" {plain(mechanism['unit'])} (privacy/{one}.json). What is computed from it costs no more."
            )
        elif made.kind == "source":
            lines.append(f"- `{one}`, open data, {description.licence_of(made)}")
    lines += ["", "## Measured", ""]
    rows = [(metrics, key, value) for metrics, values in description.metrics() for key, value in values.items()]
    lines += [
        f"- {metrics}: {code(key)} {value:.6g}" if isinstance(value, float) else f"- {metrics}: {code(key)} {plain(value)}"
        for metrics, key, value in rows
    ]
    lines += [] if rows else ["Nothing in this package was measured."]
    lines += ["", "## Use and limits", "", plain(about.description), ""]
    lines += [
        "What the data do not hold, the model does not know: a release names only what many people hold, so the rare is missing."
    ]
    return "\n".join(lines) + "\n"
