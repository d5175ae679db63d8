"""Who draws the noise: pellucid's keyed samplers, or OpenDP's, whose randomness nobody holds.

Noise without a key cannot be drawn again. A release made so is stored, and while its file is there it is the release; when the
file is lost it cannot be made again under the same spend, and is refused (release_step): a second draw would show more than was paid for.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

from pellucid.errors import PrivacyError
from pellucid.privacy.noise.gaussian import DiscreteGaussian
from pellucid.privacy.noise.laplace import DiscreteLaplace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.privacy.noise.stream import Stream

BACKENDS = ("pellucid", "opendp")


def checked_backend(name: str) -> None:
    """Refuse a backend that is not installed."""
    from importlib.util import find_spec

    if name == "opendp" and find_spec("opendp") is None:
        raise PrivacyError('backend "opendp" is not installed', fix="pip install opendp, or leave backend= out")


def noise_for(backend: str, noise: DiscreteGaussian | DiscreteLaplace, stream: Stream, count: int) -> NDArray[Any]:
    """`count` draws of the noise (int64).

    OpenDP takes the scale as a floating-point number and is exact for that number: it is rounded up by two units in the last place. That is
    more noise; what it adds to a threshold's tail is far below the billionth of delta that the plan leaves unused.
    """
    if backend == "pellucid":
        return noise.draw(stream, count)
    import numpy as np
    import opendp.prelude as dp

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dp.enable_features("contrib")
        domain = dp.vector_domain(dp.atom_domain(T="i64"))
        if isinstance(noise, DiscreteGaussian):
            measure = dp.m.make_gaussian(domain, dp.l2_distance(T="f64"), scale=_up(noise.sigma))
        else:
            measure = dp.m.make_laplace(domain, dp.l1_distance(T="i64"), scale=_up(float(noise.scale)))
        return np.array(measure([0] * count), dtype=np.int64)


def _up(scale: float) -> float:
    return math.nextafter(math.nextafter(scale, math.inf), math.inf)
