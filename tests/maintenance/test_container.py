"""The container file and the description for a cluster: read by the programs that use them, and built and asked where they can be."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pellucid.cli.main import parse
from pellucid.service.access.roles import ACCESS

ROOT = Path(__file__).parents[2]
FILE, CLUSTER = ROOT / "deploy" / "Containerfile", ROOT / "deploy" / "kubernetes"
BASE = "python:3.11-slim"


def test_the_container_file_takes_what_there_is_by_its_lock_and_runs_as_nobody_else():
    text = FILE.read_text()
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {BASE}
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        assert all((ROOT / name).exists() for name in line.split()[:-1]), line
    assert "--require-hashes -r requirements.lock" in text and "src/pellucid/requirements.lock" in text
    assert re.findall(r"^USER (.+)$", text, re.MULTILINE) == ["10001:10001"]
    (command,) = re.findall(r"^CMD (.+)$", text, re.MULTILINE)
    assert parse(json.loads(command)).host == "0.0.0.0"


def rendered(tool: Callable[[str], Path], folder: Path) -> str:
    kubectl = tool("kubernetes").with_name("kubectl")
    return subprocess.run([kubectl, "kustomize", folder], check=True, capture_output=True, text=True).stdout


def validate(tool: Callable[[str], Path], text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    file = folder / "rendered.yaml"
    file.write_text(text)
    command = [tool("kubernetes").with_name("kubernetes-validate"), "--strict", file]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_cluster_knows_every_word_of_it(tool: Callable[[str], Path], tmp_path: Path):
    text = rendered(tool, CLUSTER)
    done = validate(tool, text, tmp_path)
    assert done.returncode == 0 and (done.stdout + done.stderr).count(" passed ") == 3, done.stderr
    for right, wrong in (("readOnlyRootFilesystem", "readOnlyRootFileSystem"), ("replicas: 1", "replicas: one")):
        assert validate(tool, text.replace(right, wrong), tmp_path).returncode != 0, "or the check would say nothing"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_pod_gives_up_what_it_does_not_need_and_is_asked_what_anybody_may_ask(tool: Callable[[str], Path]):
    import yaml

    found: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all(rendered(tool, CLUSTER))}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert found["Deployment"]["spec"]["replicas"] == 1 and found["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    held = container["securityContext"]
    assert held["readOnlyRootFilesystem"] and not held["allowPrivilegeEscalation"] and held["capabilities"] == {"drop": ["ALL"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert ACCESS["GET", container[probe]["httpGet"]["path"]] == "public"
    mounts = {one["mountPath"] for one in container["volumeMounts"]}
    assert all(any(one["value"].startswith(f"{mount}/") for mount in mounts) for one in container["env"])
    assert str(pod["securityContext"]["runAsUser"]) in FILE.read_text()
    assert parse(container["args"]).host == "0.0.0.0"


def buildah(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    return subprocess.run(["buildah", *words], capture_output=True, text=True, env=environment, check=False, **options)


def missing() -> str:
    """Why an image cannot be built here; "" where it can."""
    if shutil.which("buildah") is None or os.geteuid() != 0:
        return "needs buildah (Debian: apt-get install buildah) and root"
    if buildah("inspect", "--type", "image", f"docker.io/library/{BASE}").returncode:
        return f"needs the image {BASE} (buildah pull docker.io/library/{BASE})"
    return ""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_image_is_built_and_answers_as_a_user_of_its_own():
    if why := missing():
        pytest.skip(why)
    own = [
        word for file in ("/etc/pip.conf", "/etc/ssl/certs") if Path(file).exists() for word in ("--volume", f"{file}:{file}:ro")
    ]
    done = buildah("build", "--pull=never", *own, "--tag", "pellucid-tested", "--file", str(FILE), str(ROOT), timeout=1000)
    assert done.returncode == 0, done.stderr[-2000:]
    name = buildah("from", "--pull=never", "pellucid-tested").stdout.strip()
    try:
        said = buildah("run", name, "--", "sh", "-c", "id -u; touch /opt/pellucid/x; ls -A /var/lib/pellucid").stdout
        assert said.split() == ["10001"]  # nothing else can be written, and the volume is empty
        command = ["buildah", "run", name, "--", "pellucid", "serve", "--host", "0.0.0.0", "--port", "18080"]
        served = subprocess.Popen(command, env={**os.environ, "BUILDAH_ISOLATION": "chroot"}, stdout=subprocess.PIPE, text=True)
        try:
            assert served.stdout is not None
            assert served.stdout.readline().startswith("http://")
            until = time.monotonic() + 20
            while True:
                try:
                    with urllib.request.urlopen("http://127.0.0.1:18080/health", timeout=5) as answer:
                        assert json.load(answer)["status"] == "ok"
                    break
                except OSError:
                    assert time.monotonic() < until
        finally:
            served.terminate()
            served.communicate(timeout=30)
    finally:
        buildah("rm", name)
        buildah("rmi", "pellucid-tested")
