"""uv's command line: which uv is used, and its settings."""

from __future__ import annotations

import configparser
import os
import sys
from pathlib import Path

SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")  # uv trusts its own list alone unless told otherwise


def uv_command() -> list[str]:
    """uv, as it was installed with pellucid."""
    return [sys.executable, "-m", "uv"]


def uv_settings(offline: bool) -> dict[str, str]:
    """uv's surroundings: the user's own, and what pip is told about the index here, which uv does not read by itself."""
    drop = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT_ENVIRONMENT", "UV_CONSTRAINT", "UV_OVERRIDE")
    env = {name: value for name, value in os.environ.items() if name not in drop}
    env |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    if offline:
        env["UV_OFFLINE"] = "1"
    config = Path(env.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    told = {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_CONFIG_FILE"} & env.keys() or (config / "uv" / "uv.toml").is_file()
    if not told and (index := _pip(config, "index-url")):
        env["UV_DEFAULT_INDEX"] = index
    if host := _pip(config, "trusted-host"):
        env.setdefault("UV_INSECURE_HOST", host)
    system = str(SYSTEM_CERTIFICATES) if SYSTEM_CERTIFICATES.is_file() else ""
    if certificates := _pip(config, "cert") or env.get("REQUESTS_CA_BUNDLE") or system:
        env.setdefault("SSL_CERT_FILE", certificates)
    return env


def _pip(config: Path, setting: str) -> str:
    """A setting of pip: from its environment variable, else its files, the user's own last."""
    named = os.environ.get(f"PIP_{setting.upper().replace('-', '_')}")
    if named:
        return named
    parser = configparser.RawConfigParser(strict=False)
    places = [Path("/etc/pip.conf"), Path.home() / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
    if "PIP_CONFIG_FILE" in os.environ:
        places.append(Path(os.environ["PIP_CONFIG_FILE"]))
    try:
        parser.read(places)
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return parser.get("global", setting, fallback="")
