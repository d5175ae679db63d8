"""Membership: was this person's data used to fit the model? The likelihood-ratio attack, LiRA.

Carlini, Chien, Nasr, Song, Terzis, Tramer, "Membership inference attacks from first principles" (2022), section V: shadow models are
fitted on random halves of the people; for each target a Gaussian is fitted to the model's score of them where they were in and
where they were out, and the attacked model is judged by the ratio. What counts is the true positive rate at a low false positive
rate, not an average.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError
from pellucid.privacy.attacks.finding import Finding, Rate
from pellucid.privacy.attacks.sampling import chosen, stream_of, uniform

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_MODELS = 8


def membership(
    fit: Callable[[NDArray[Any], int], Any],
    score: Callable[[Any, NDArray[Any]], NDArray[Any]],
    people: int,
    *,
    target: str,
    models: int = 32,
    targets: int = 1000,
    false_positive: float = 0.01,
    seed: int = 0,
) -> Finding:
    """The true positive rate of LiRA at a false positive rate, over `models` leave-one-out attacks on `targets` people each.

    `fit(inside, draw)` fits a model on the people marked in `inside` (bool, one a person); a release in it must draw its noise anew for
    each `draw` and bound the data as the mechanism does. `score(model, places)` is the model's confidence about these people, larger
    for those it knows. Each model is attacked with all others as shadows. The threshold is the one that `false_positive` of the people
    outside exceed. The interval takes trials as independent, though each target is tried under every model. Raises UsageError for
    fewer than 8 models.
    """
    import numpy as np

    if models < LEAST_MODELS or not 0 < false_positive < 1:
        raise UsageError(
            f"LiRA needs at least {LEAST_MODELS} models and a false positive rate between 0 and 1", where="membership"
        )
    stream = stream_of(seed, "membership")
    places = np.sort(chosen(stream, people, targets))
    inside = np.stack([uniform(stream, people) < 0.5 for _ in range(models)])
    scores = np.stack([np.asarray(score(fit(inside[at], at), places), dtype=np.float64) for at in range(models)])
    member = inside[:, places]
    ratios = np.stack([_ratio(scores, member, at) for at in range(models)])
    outside, within = np.sort(ratios[~member]), ratios[member]
    threshold = outside[min(len(outside) - 1, int(np.ceil(len(outside) * (1 - false_positive))))]
    false = int((outside > threshold).sum())
    true = int((within > threshold).sum())
    order = np.argsort(np.concatenate([outside, within]), kind="stable")
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    area = (ranks[len(outside) :].sum() - len(within) * (len(within) + 1) / 2) / (len(within) * len(outside))
    return Finding(
        attack="membership",
        target=target,
        question=f"was this person in the data, where {false_positive:.1%} of those who were not are taken for members",
        rate=Rate(true, len(within)),
        baselines={"random guess": Rate(false, len(outside))},
        details={"area under the curve": float(area), "models": float(models)},
        assumes="the person's own data, and other people's data to fit models like it",
    )


def _ratio(scores: NDArray[Any], member: NDArray[Any], at: int) -> NDArray[Any]:
    """The log likelihood ratio of each target's score under the attacked model, from all the others."""
    import numpy as np

    others = np.arange(len(scores)) != at
    found = []
    for side in (member[others], ~member[others]):
        count = np.maximum(side.sum(axis=0), 1)
        mean = np.where(side, scores[others], 0).sum(axis=0) / count
        variance = np.where(side, (scores[others] - mean) ** 2, 0).sum(axis=0) / count
        found.append((mean, variance))
    pooled = np.maximum((found[0][1] + found[1][1]) / 2, 1e-18)  # few shadows: one variance for both sides is steadier
    return np.asarray(((scores[at] - found[1][0]) ** 2 - (scores[at] - found[0][0]) ** 2) / (2 * pooled))
