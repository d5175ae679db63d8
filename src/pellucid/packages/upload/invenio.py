"""InvenioRDM's REST API (https://inveniordm.docs.cern.ch/reference/rest_api_drafts_records/): a draft, one file in three steps, its
publication."""

from __future__ import annotations

from html import escape
from typing import Any
from urllib.parse import quote

from pellucid.errors import UploadError
from pellucid.packages.upload.deposit import UNTRIED, Deposit, Uploaded, going_on, identifier, refuse_other_bytes
from pellucid.packages.upload.http_client import Client
from pellucid.pipeline.declaration import Creator


def put(client: Client, one: Deposit, *, publish: bool, draft: str, organization: str) -> Uploaded:
    """Create or go on with a draft, and publish it where asked to."""
    told = record(one)
    if draft:
        name = identifier(draft, str)
        found = client.call("GET", f"/api/records/{name}/draft")
        if found.get("is_published") is True:
            raise UploadError("it is published already, and nothing was changed", where=f"record {name}")
    else:
        found = client.call("POST", "/api/records", data=told, accept=(201,), creates="a draft")
        name = identifier(found.get("id"), str)
    with going_on(name):
        place = f"/api/records/{name}/draft"
        dropped = _dropped(client, client.call("PUT", place, data=told) if draft else found)
        if dropped and publish:
            raise UploadError("it did not take all of the description, and drops the rest", where=f"record {name}", why=dropped,
                              fix="Put it right there, and publish it there")  # fmt: skip
        sent = _send(client, place, one)
        if publish:
            client.call("POST", f"{place}/actions/publish", accept=(202,), settled=lambda: _published(client, name))
    links = found.get("links")
    page = links.get("self_html") if isinstance(links, dict) else ""
    notes = [] if one.licence else ["the licence is an expression: choose one there"]
    notes += [f"it did not take all of the description: {dropped}"] if dropped else []
    return Uploaded(
        "invenio", name, client.safe(str(page or "")), one.name, one.size, one.sha256, sent, publish, (*notes, UNTRIED)
    )


def _dropped(client: Client, answer: dict[str, Any]) -> str:
    """What of a draft the repository did not take, in its own words: it says so in an answer of success."""
    errors = answer.get("errors")
    said = [
        f"{one.get('field')}: {'; '.join(map(str, one.get('messages') or []))}"
        for one in (errors if isinstance(errors, list) else [])
        if isinstance(one, dict)
    ]
    return client.safe(", ".join(said))


def _send(client: Client, place: str, one: Deposit) -> bool:
    """The file started, sent and committed; false where it is there already."""
    file = f"{place}/files/{quote(one.name)}"
    known = _file(client, place, one)
    if known is not None and known.get("status") == "completed":
        if str(known.get("checksum")).removeprefix("md5:") == one.md5:
            return False
        client.call("DELETE", file, accept=(204,))
        known = None
    if known is None:
        client.call("POST", f"{place}/files", data=[{"key": one.name}], accept=(201,), settled=lambda: _file(client, place, one))
    client.call("PUT", f"{file}/content", body=one.portions, size=one.size)

    def committed() -> dict[str, Any] | None:
        found = _file(client, place, one)
        return found if found is not None and found.get("status") == "completed" else None

    kept = client.call("POST", f"{file}/commit", settled=committed)
    refuse_other_bytes(one, kept.get("checksum"), kept.get("size"))
    return True


def _file(client: Client, place: str, one: Deposit) -> dict[str, Any] | None:
    entries = client.call("GET", f"{place}/files").get("entries")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("key") == one.name:
            return entry
    return None


def _published(client: Client, name: str) -> dict[str, Any] | None:
    found = client.call("GET", f"/api/records/{name}", missing=True)
    return found if found.get("is_published") is True else None


def record(one: Deposit) -> dict[str, Any]:
    """The draft as the API takes it. Its description is HTML, so the text is escaped."""
    about = one.about
    told: dict[str, Any] = {
        "resource_type": {"id": "dataset"},
        "title": about.title,
        "publication_date": one.date,
        "creators": [{"person_or_org": _person(person)} for person in about.people],
        "description": f"<p>{escape(one.text)}</p>",
        "publisher": about.people[0].name,
        "version": about.version,
        "languages": [{"id": "eng"}],
        "subjects": [{"subject": word} for word in about.keywords],
    }
    if one.licence:
        told["rights"] = [{"id": one.licence.lower()}]
    return {"access": {"record": "public", "files": "public"}, "files": {"enabled": True}, "metadata": told}


def _person(person: Creator) -> dict[str, Any]:
    if not person.is_person:
        return {"type": "organizational", "name": person.name}
    told: dict[str, Any] = {"type": "personal", "family_name": person.family, "given_name": person.given}
    if person.orcid:
        told["identifiers"] = [{"scheme": "orcid", "identifier": person.orcid}]
    return told
