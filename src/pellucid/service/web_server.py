"""Running the service: bind first, say where it answers once it does, end cleanly on SIGTERM and Ctrl-C."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from pellucid.errors import UsageError

LIMIT = 200  # connections at once


def serve(
    home: Path, *, host: str = "127.0.0.1", port: int = 8080, sign_in: bool = False, started: Callable[[str], None]
) -> None:
    """Serve the state folder until interrupted. `started` is told the address; port 0 takes a free one. With `sign_in` whoever asks from
    this machine has to sign in too.

    Raises UsageError for an address that cannot be had.
    """
    import uvicorn
    from threadpoolctl import threadpool_limits

    from pellucid.service.access import LOOPBACK
    from pellucid.service.application import create_app

    bound = _bound(host, port)
    address = f"http://[{host}]" if ":" in host else f"http://{host}"

    def ready() -> None:  # the models are loaded: from here on this process only answers
        threadpool_limits(1)  # threads for sums as small as a request's would only wait, and sum in another order
        sys.setswitchinterval(0.001)  # a request that waits for its turn waits a thousandth of a second, not five
        gc.freeze()  # what was loaded stays: it need not be looked through while requests wait
        started(f"{address}:{bound.getsockname()[1]}/")

    app = create_app(home, loopback=host in LOOPBACK and not sign_in, on_start=ready)
    config = uvicorn.Config(
        app,
        access_log=False,  # it would hold addresses and queries
        log_level="warning",
        server_header=False,
        date_header=False,
        limit_concurrency=LIMIT,
        h11_max_incomplete_event_size=1 << 16,
        timeout_graceful_shutdown=5,
    )
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # the server ends by itself, then raises the signal again
    try:
        uvicorn.Server(config).run(sockets=[bound])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)
        bound.close()


def _bound(host: str, port: int) -> socket.socket:
    # TCP by name: asyncio turns Nagle's delay off only for sockets that say so; with it a small answer waits 40 ms for an acknowledgement
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(LIMIT)  # from here on callers wait instead of being refused
    except (OSError, OverflowError) as error:
        found.close()
        raise UsageError(
            "it cannot be served there", where=f"{host}:{port}", why=str(error)[:200], fix="Name another with --port"
        ) from None
    return found
