"""CKAN's action API (https://docs.ckan.org/en/latest/api/): a private data set of an organization, one resource, and making it public.

The data set's name holds the package's digest, so it is found again by itself; CKAN states no checksum of what it has, so its size
is compared and the SHA-256 is written beside the file.
"""

from __future__ import annotations

import re
from typing import Any

from pellucid.errors import UploadError, UsageError
from pellucid.packages.upload.deposit import UNTRIED, Deposit, Uploaded, going_on
from pellucid.packages.upload.http_client import Client, multipart

_ACTION = "/api/3/action/"
_LICENCES = {
    "CC-BY-4.0": "cc-by", "CC-BY-SA-4.0": "cc-by-sa", "CC0-1.0": "cc-zero", "ODbL-1.0": "odc-odbl", "ODC-By-1.0": "odc-by",
    "PDDL-1.0": "odc-pddl",
}  # fmt: skip


def put(client: Client, one: Deposit, *, publish: bool, draft: str, organization: str) -> Uploaded:
    """Create or go on with a private data set, and make it public where asked to."""
    name = one.name.removesuffix(".zip")
    if draft and draft != name:
        raise UsageError(f"{draft!r:.60} is not the data set of this package", where="--draft", fix=f"Its name is {name}")
    found = _show(client, name)
    if found is None:
        told = dataset(one, name, organization)
        found = _result(client, "package_create", told, settled=lambda: _show(client, name))
    with going_on(name):
        sent = not _is_there(found, one)
        if sent:
            _send(client, name, one)
        public = found.get("private") is False
        if publish and not public:
            told = {"id": name, "private": False}
            public = _result(client, "package_patch", told).get("private") is False
            if not public:
                raise UploadError("it is still private", where=f"data set {name}")
    notes = () if one.about.data_licence in _LICENCES else ("the licence is none of CKAN's own list: it is in the extras",)
    return Uploaded("ckan", name, f"{client.url}dataset/{name}", one.name, one.size, one.sha256, sent, public, (*notes, UNTRIED))


def dataset(one: Deposit, name: str, organization: str) -> dict[str, Any]:
    """The data set as package_create takes it."""
    about = one.about
    tags = [" ".join(re.sub(r"[^\w .-]", " ", word, flags=re.ASCII).split()) for word in about.keywords]
    return {
        "name": name,
        "title": about.title,
        "notes": one.text,
        "private": True,
        "owner_org": organization,
        "author": "; ".join(person.name for person in about.people),
        "license_id": _LICENCES.get(about.data_licence, "notspecified"),
        "version": about.version[:100],
        "tags": [{"name": tag} for tag in sorted({tag for tag in tags if 2 <= len(tag) <= 100})],
        "extras": [
            {"key": "date", "value": one.date},
            {"key": "licence (SPDX)", "value": about.data_licence},
            {"key": "package", "value": f"sha256:{one.digest}"},
        ],
    }


def _send(client: Client, name: str, one: Deposit) -> None:
    fields = {
        "package_id": name,
        "name": one.name,
        "description": "A package: pellucid reproduce re-runs it",
        "format": "ZIP",
        "mimetype": "application/zip",
        "hash": f"sha256:{one.sha256}",
    }
    body, size, media = multipart(fields, "upload", one.name, one.portions, one.size)

    def settled() -> dict[str, Any] | None:
        found = _show(client, name)
        return {"success": True, "result": {"size": one.size}} if found is not None and _is_there(found, one) else None

    answer = client.call("POST", f"{_ACTION}resource_create", body=body, size=size, media=media, settled=settled)
    kept = _succeeded(client, "resource_create", answer)
    if kept.get("size") not in (None, one.size):
        raise UploadError("what it has is not what was sent", where=one.name, why="its size is another")


def _is_there(found: dict[str, Any], one: Deposit) -> bool:
    resources = found.get("resources")
    return any(
        isinstance(resource, dict)
        and resource.get("name") == one.name
        and resource.get("hash") == f"sha256:{one.sha256}"
        and resource.get("size") in (None, one.size)
        for resource in (resources if isinstance(resources, list) else [])
    )


def _show(client: Client, name: str) -> dict[str, Any] | None:
    answer = client.call("POST", f"{_ACTION}package_show", data={"id": name}, missing=True)
    return None if answer.get("missing") else _succeeded(client, "package_show", answer)


def _result(client: Client, action: str, told: dict[str, Any], settled: Any = None) -> dict[str, Any]:
    def earlier() -> dict[str, Any] | None:
        found = settled()
        return None if found is None else {"success": True, "result": found}

    answer = client.call("POST", _ACTION + action, data=told, settled=earlier if settled else None)
    return _succeeded(client, action, answer)


def _succeeded(client: Client, action: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The result, which CKAN gives with 200 also where there is none."""
    result = answer.get("result")
    if answer.get("success") is not True or not isinstance(result, dict):
        raise UploadError("it refused", where=f"{client.url}{_ACTION[1:]}{action}", why=client.safe(str(answer.get("error"))))
    return result
