"""Draws per second of the keyed discrete Gaussian and Laplace samplers, in ratio to OpenDP's in the same run.

Bar: at least 5 million draws/s. Run: python benchmarks/noise.py [--json]
"""

from __future__ import annotations

import json
import math
import sys
import time
import warnings
from fractions import Fraction
from typing import Any

from pellucid.privacy.noise.gaussian import DiscreteGaussian, _table
from pellucid.privacy.noise.stream import Stream

BAR = 5e6


def opendp_rate(sigma: float, draws: int = 20_000) -> float:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i32"))
    measure = dp.m.make_gaussian(domain, dp.l2_distance(T="i32"), scale=sigma)
    start = time.perf_counter()
    measure([0] * draws)
    return draws / (time.perf_counter() - start)


def laplace_rates(sigma: float, draws: int = 5_000_000) -> tuple[float, float, float]:
    """Seconds for the table, draws per second, and OpenDP's."""
    import opendp.prelude as dp

    from pellucid.privacy.noise.laplace import laplace

    start = time.perf_counter()
    noise = laplace(math.acosh(1 + 1 / sigma**2), 1)
    noise.draw(Stream(bytes(32)), 1)
    built = time.perf_counter()
    noise.draw(Stream(bytes(32)), draws)
    rate = draws / (time.perf_counter() - built)
    measure = dp.m.make_laplace(dp.vector_domain(dp.atom_domain(T="i32")), dp.l1_distance(T="i32"), scale=float(noise.scale))
    begun = time.perf_counter()
    measure([0] * 20_000)
    return built - start, rate, 20_000 / (time.perf_counter() - begun)


def own_rate(sigma2: Fraction, draws: int = 5_000_000) -> tuple[float, float]:
    start = time.perf_counter()
    _table(sigma2)
    built = time.perf_counter()
    DiscreteGaussian(sigma2).draw(Stream(bytes(32)), draws)
    return built - start, draws / (time.perf_counter() - built)


def main() -> int:
    warnings.simplefilter("ignore")
    rows: list[dict[str, Any]] = []
    for sigma2 in (Fraction(1, 4), Fraction(551, 2), Fraction(10**6), Fraction(10**8)):
        build, rate = own_rate(sigma2)
        peer = opendp_rate(float(sigma2) ** 0.5)
        rows.append(
            {
                "noise": "gaussian",
                "sigma": float(sigma2) ** 0.5,
                "table_seconds": build,
                "draws_per_second": rate,
                "opendp": peer,
                "ratio": rate / peer,
            }
        )
    for sigma in (0.5, 16.6, 1_000.0, 10_000.0):
        build, rate, peer = laplace_rates(sigma)
        given = {"noise": "laplace", "sigma": sigma, "table_seconds": build, "draws_per_second": rate}
        rows.append({**given, "opendp": peer, "ratio": rate / peer})
    if "--json" in sys.argv:
        print(json.dumps(rows))
    else:
        print(f"{'noise':<9}{'sigma':>10} {'table, s':>9} {'M draws/s':>10} {'OpenDP, M/s':>12} {'ratio':>7}")
        for row in rows:
            print(
                f"{row['noise']:<9}{row['sigma']:>10.1f} {row['table_seconds']:>9.3f} {row['draws_per_second'] / 1e6:>10.1f}"
                f" {row['opendp'] / 1e6:>12.3f} {row['ratio']:>7.0f}"
            )
    return 0 if all(row["draws_per_second"] >= BAR for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
