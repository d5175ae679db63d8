"""What the service counts: requests by route and status, and how long they took. Never what was asked, by whom, or from where.

Shown at /metrics in the text form of Prometheus (exposition format 0.0.4).
"""

from __future__ import annotations

import threading
from bisect import bisect_left

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds


class RequestCounters:
    """Counters that many threads add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = {}
        self._times: dict[str, list[float]] = {}

    def add(self, route: str, status: int, seconds: float) -> None:
        """Count one request of a route (its pattern, never the address asked)."""
        with self._lock:
            self._requests[route, status] = self._requests.get((route, status), 0) + 1
            held = self._times.setdefault(route, [0.0] * (len(BOUNDS) + 2))
            held[bisect_left(BOUNDS, seconds)] += 1
            held[-1] += seconds

    def text(self, models: dict[str, int]) -> str:
        """All counters, and the version of each served model."""
        with self._lock:
            requests, times = sorted(self._requests.items()), sorted((name, list(held)) for name, held in self._times.items())
        lines = ["# HELP pellucid_requests_total Requests answered.", "# TYPE pellucid_requests_total counter"]
        lines += [f'pellucid_requests_total{{route="{route}",status="{status}"}} {count}' for (route, status), count in requests]
        lines += ["# HELP pellucid_request_seconds Time to answer.", "# TYPE pellucid_request_seconds histogram"]
        for route, held in times:
            total = 0.0
            for bound, count in zip([*map(str, BOUNDS), "+Inf"], held[:-1], strict=True):
                total += count
                lines.append(f'pellucid_request_seconds_bucket{{route="{route}",le="{bound}"}} {total:.0f}')
            lines.append(f'pellucid_request_seconds_sum{{route="{route}"}} {held[-1]:.6f}')
            lines.append(f'pellucid_request_seconds_count{{route="{route}"}} {total:.0f}')
        lines += ["# HELP pellucid_model_version The served deployment of each alias.", "# TYPE pellucid_model_version gauge"]
        lines += [f'pellucid_model_version{{alias="{alias}"}} {version}' for alias, version in sorted(models.items())]
        return "\n".join(lines) + "\n"
