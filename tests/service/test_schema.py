"""The API asked by a machine that has read its description: whatever it makes up, no answer is an error of the server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from served_shop import Serving


def test_the_description_names_every_route_of_the_contract(serving: Serving):
    told = serving.ask("/openapi.json").json
    paths = {"/search", "/suggest", "/recommend", "/documents/{id}", "/models", "/models/{alias}", "/health", "/metrics"}
    assert paths <= set(told["paths"])
    assert set(told["paths"]["/recommend"]) == {"get", "post"}
    for path, methods in told["paths"].items():
        assert all(one.get("summary") for one in methods.values()), path


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_question_that_the_description_allows_ends_in_an_error_of_the_server(
    serving: Serving, tool: Callable[[str], Path], tmp_path: Path
):
    program = tool("schemathesis").parent / "schemathesis"
    options = ["--checks", "not_a_server_error", "--max-examples", "25", "--seed", "7", "--max-time", "30", "--no-color"]
    command = [program, "run", f"{serving.address}openapi.json", *options, "--generation-database", ":memory:"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert serving.ask("/health").json["status"] == "ok"
