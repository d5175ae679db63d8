"""Zenodo's deposit API (https://developers.zenodo.org): a deposition, its metadata, one file into its bucket, and its publication."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

from pellucid.errors import UploadError, UsageError
from pellucid.packages.upload.deposit import UNTRIED, Deposit, Uploaded, going_on, identifier, refuse_other_bytes
from pellucid.packages.upload.http_client import Client

_PLACE = "/api/deposit/depositions"


def put(client: Client, one: Deposit, *, publish: bool, draft: str, organization: str) -> Uploaded:
    """Create or go on with a deposition, and publish it where asked to."""
    if draft:
        if not draft.isdecimal() or not draft.isascii():
            raise UsageError(f"{draft!r:.40} is no deposition", where="--draft", fix="It is a number")
        found = client.call("GET", f"{_PLACE}/{draft}")
        if found.get("submitted") is True:
            raise UploadError("it is published already, and nothing was changed", where=f"deposition {draft}")
    else:
        found = client.call("POST", _PLACE, data={}, accept=(201,), creates="a draft")
    name = identifier(found.get("id"), int)
    with going_on(name):
        links = found.get("links")
        bucket = client.within(links.get("bucket") if isinstance(links, dict) else None)
        client.call("PUT", f"{_PLACE}/{name}", data={"metadata": metadata(one)})
        sent = not _is_there(client, name, one)
        if sent:
            path = f"{bucket}/{quote(one.name)}"
            kept = client.call("PUT", path, body=one.portions, size=one.size, accept=(200, 201))
            refuse_other_bytes(one, kept.get("checksum"), kept.get("size"))
        if publish:
            published = _published(client, name)
            if published is None:
                client.call("POST", f"{_PLACE}/{name}/actions/publish", accept=(202,), settled=lambda: _published(client, name))
    page = links.get("html") if isinstance(links, dict) else ""
    notes = () if one.licence else ("the licence is an expression: choose one there",)
    return Uploaded(
        "zenodo", name, client.safe(str(page or "")), one.name, one.size, one.sha256, sent, publish, (*notes, UNTRIED)
    )


def metadata(one: Deposit) -> dict[str, Any]:
    """The deposition's metadata. Its description is HTML, so the text is escaped."""
    about = one.about
    told: dict[str, Any] = {
        "upload_type": "dataset",
        "publication_date": one.date,
        "title": about.title,
        "creators": [{"name": p.name, **({"orcid": p.orcid} if p.orcid else {})} for p in about.people],
        "description": f"<p>{escape(one.text)}</p>",
        "access_right": "open",
        "keywords": list(about.keywords),
        "version": about.version,
        "language": "eng",
    }
    return told | ({"license": one.licence.lower()} if one.licence else {})


def _is_there(client: Client, name: str, one: Deposit) -> bool:
    files = client.call("GET", f"{_PLACE}/{name}/files").get("items")
    return any(
        isinstance(file, dict) and file.get("filename") == one.name and str(file.get("checksum")).removeprefix("md5:") == one.md5
        for file in (files if isinstance(files, list) else [])
    )


def _published(client: Client, name: str) -> dict[str, Any] | None:
    found = client.call("GET", f"{_PLACE}/{name}")
    return found if found.get("submitted") is True else None
