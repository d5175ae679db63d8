"""The browser on a page with the local client beside it."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from client_page import Handler


@pytest.fixture(scope="module")
def browser(chromium: Any) -> Iterator[Any]:
    """The browser on a page that this machine serves, with the client beside it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    chromium.set_script_timeout(600)
    chromium.get(f"http://127.0.0.1:{server.server_port}/")
    yield chromium
    server.shutdown()
    server.server_close()
    thread.join()
