"""A page in a real browser: read by axe in both themes, at the width of a desk and of a phone; pictures go to build/screenshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

PICTURES = Path(__file__).parents[2] / "build" / "screenshots"


def view(browser: Any, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 900 if width > 500 else 740, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def reads_well(browser: Any, axe: str, address: str, name: str) -> None:
    """No critical or serious finding, nothing wider than the screen, nothing in the console."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            view(browser, width, scheme)
            browser.get(address)
            browser.execute_script(axe)
            told = browser.execute_async_script("const done = arguments[0]; axe.run().then(done)")
            bad = [(one["id"], one["nodes"][0]["html"]) for one in told["violations"] if one["impact"] in ("serious", "critical")]
            assert bad == [], (name, width, scheme)
            beyond = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert browser.execute_script(beyond) <= 0, (name, width, scheme)
            if width < 500:  # the first screen is for what the page is about, and what is looked for
                assert browser.execute_script("return document.querySelector('header nav').offsetHeight") <= 120, (name, scheme)
            assert [one for one in browser.get_log("browser") if "404" not in one["message"]] == []
            browser.save_screenshot(PICTURES / f"dashboard-{name}-{width}-{scheme}.png")
