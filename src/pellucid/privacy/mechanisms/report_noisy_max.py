"""The noisy maximum: which of several candidates has the highest score, with integers alone and a pure epsilon.

Every candidate's integer score gets a geometric draw G >= 0 of its own, and the candidate with the largest sum is named, of equal ones
the first; nothing else leaves. With exponential noise this is the permute-and-flip mechanism (McKenna, Sheldon, "Permute-and-Flip",
2020; Ding et al., "The permute-and-flip mechanism is identical to report-noisy-max with exponential noise", 2021), which errs at most
half as much as the exponential mechanism. Dwork, Roth, "The algorithmic foundations" (2014), Claim 3.9, is the argument for
real-valued noise; here it is for integers with ties.

Hold the draws of all candidates but i fixed. Then i is named if and only if G_i >= T_i - s_i with T_i = max over the others j of
s_j + G_j, plus 1 where j comes before i. On neighbouring data let every score move by at most `shift` in either direction: T_i rises by
at most shift and s_i falls by at most shift, so the bar for G_i rises by at most 2 shift. If all scores move in one direction
(`monotone`), then either T_i rises or s_i falls, and the bar rises by at most shift. The draws obey P[G >= g + 1] >= e^-e P[G >= g]
for every g >= 0 with e the sampler's `epsilon` (laplace.py: each ratio of neighbouring probabilities is at most e^e, on both
branches of the sign), and P[G >= g] = 1 for g <= 0. So P[i named] falls by a factor of at most e^(bar e), whatever the other draws:
bar e <= epsilon is pure epsilon privacy.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pellucid.privacy.noise import DiscreteLaplace, laplace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise import Stream


def noise_for_maximum(epsilon: Fraction | float, shift: int, *, monotone: bool) -> DiscreteLaplace:
    """The noise that makes one noisy maximum purely epsilon private when scores move by at most `shift`."""
    return laplace(epsilon, shift if monotone else 2 * shift)


def noisy_maximum(scores: NDArray[Any], noise: DiscreteLaplace, stream: Stream) -> int:
    """The place of the largest noised score, the first of equal ones."""
    import numpy as np

    return int(np.argmax(scores + noise.geometric(stream, len(scores))))
