"""Noise: discrete Gaussian and Laplace samplers over a keyed stream, and the calibration of their scale. Whole numbers only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.privacy.noise.calibration import (
        REACH,
        ROUNDING,
        delta_for_counts,
        delta_for_l2,
        law_of_sum,
        sigma_for_counts,
        sigma_for_l2,
    )
    from pellucid.privacy.noise.gaussian import DiscreteGaussian
    from pellucid.privacy.noise.laplace import DiscreteLaplace, laplace
    from pellucid.privacy.noise.noise_backend import BACKENDS, checked_backend, noise_for
    from pellucid.privacy.noise.stream import Stream

__all__ = [
    "BACKENDS",
    "REACH",
    "ROUNDING",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "Stream",
    "checked_backend",
    "delta_for_counts",
    "delta_for_l2",
    "laplace",
    "law_of_sum",
    "noise_for",
    "sigma_for_counts",
    "sigma_for_l2",
]

__getattr__ = lazy_names(
    __name__,
    {
        "calibration": (
            "REACH",
            "ROUNDING",
            "delta_for_counts",
            "delta_for_l2",
            "law_of_sum",
            "sigma_for_counts",
            "sigma_for_l2",
        ),
        "gaussian": ("DiscreteGaussian",),
        "laplace": (
            "DiscreteLaplace",
            "laplace",
        ),
        "noise_backend": (
            "BACKENDS",
            "checked_backend",
            "noise_for",
        ),
        "stream": ("Stream",),
    },
)
