"""Personal scores in a real Chromium: 10,000 items, histories of 10, 50 and 200, by the page's own script. Needs chromium and its driver.

Exits 1 where the median passes the bar.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np

import pellucid.service
from pellucid.service.browser_model import packed
from pellucid.store import Model

ITEMS, BAR = 10_000, 20.0  # milliseconds
PAGE = "<!doctype html><title>scoring</title>"
SCRIPT = """
const [size, done] = arguments;
Promise.all([import("/scoring.js"), fetch("/model").then((one) => one.arrayBuffer())]).then(([scoring, held]) => {
  const begun = performance.now();
  const model = scoring.read(held);
  const reading = performance.now() - begun;
  const times = [];
  for (let turn = 0; turn < 60; turn += 1) {
    const history = Array.from({ length: size }, (_, at) => String((turn * 131 + at * 37) % 10000));
    const start = performance.now();
    scoring.score(model, history, 10);
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  done([held.byteLength, reading, times[30], times[57]]);
});
"""


def main() -> int:
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        print("needs chromium and chromium-driver")
        return 0
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copy(Path(pellucid.service.__file__).parent / "assets" / "scoring.js", place)
        (place / "index.html").write_text(PAGE)
        random = np.random.Generator(np.random.PCG64(1))
        arrays = {
            "items": np.array([str(one) for one in range(ITEMS)]),
            "weights": random.normal(size=(ITEMS, ITEMS)).astype(np.float32),
            "popularity": random.random(ITEMS),
        }
        (place / "model").write_bytes(packed(Model("ease", arrays), None, "d"))
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
        handler.log_message = lambda *_: None  # type: ignore[attr-defined]
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        options = Options()
        for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(word)
        browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            browser.get(f"http://127.0.0.1:{server.server_address[1]}/")
            for size in (10, 50, 200):
                count, reading, middle, late = browser.execute_async_script(SCRIPT, size)
                wrong += middle > BAR
                said = f"history of {size}: median {middle:.1f} ms, 95 % {late:.1f} ms (bar {BAR:g} ms)"
                print(f"{ITEMS:,} items, {count / 1e6:.1f} MB, read in {reading:.0f} ms; {said}")
        finally:
            browser.quit()
            server.shutdown()
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
