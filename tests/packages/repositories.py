"""A server that speaks what Zenodo, InvenioRDM and CKAN publish of their APIs, and is strict about it: routes, headers, shapes of JSON.

Written from developers.zenodo.org (deposit API, files by bucket), inveniordm.docs.cern.ch (drafts and draft files) and CKAN's action API
guide. What a request has that the documentation does not know is refused. `faults` break requests on purpose.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "secret-token-0123456789abcdef"
CREATORS = {"name", "affiliation", "orcid", "gnd"}
ZENODO = {
    "upload_type", "publication_date", "title", "creators", "description", "access_right", "license", "keywords", "version", "language",
    "notes", "related_identifiers",
}  # fmt: skip
INVENIO = {
    "resource_type", "title", "publication_date", "creators", "description", "publisher", "version", "languages", "subjects", "rights",
}  # fmt: skip
CKAN = {
    "name", "title", "notes", "private", "owner_org", "author", "license_id", "version", "tags", "extras", "url", "resources", "groups",
}  # fmt: skip


class RefusedError(Exception):
    """What the service would refuse."""

    def __init__(self, status: int, said: str) -> None:
        self.status = status
        super().__init__(said)


@dataclass
class Fault:
    """For the next `times` requests that match: answer `status` (0: hang up); with `late`, only after doing what was asked."""

    request: str
    status: int
    times: int = 1
    late: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Repository:
    """All that the server holds."""

    drafts: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    spoil: bool = False  # keep other bytes than were sent
    elsewhere: bool = False  # give links to another host
    drops: str = ""  # a field that InvenioRDM cannot take: it says so beside its 201, and goes on without
    under: str = ""  # a path that all addresses begin with
    base: str = ""

    def published(self) -> list[dict[str, Any]]:
        return [draft for draft in self.drafts.values() if draft["published"]]

    @property
    def bodies(self) -> list[bytes]:
        return [body for draft in self.drafts.values() for body in draft["files"].values()]


def need(holds: object, said: str, status: int = 400) -> None:
    if not holds:
        raise RefusedError(status, said)


def answer(repository: Repository, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any]:
    """What the services answer."""
    authorization = headers.get("Authorization", "")
    ckan = path.startswith("/api/3/action/")
    need(authorization == (TOKEN if ckan else f"Bearer {TOKEN}"), f"no access with {authorization}", 403 if ckan else 401)
    if method in ("POST", "PUT") and body:
        need(headers.get("Content-Length") == str(len(body)), "no length", 411)
    need(path.startswith(repository.under), "no such place", 404)
    path = path.removeprefix(repository.under)
    for pattern, serve in ROUTES:
        match = re.fullmatch(pattern, f"{method} {path}")
        if match:
            return serve(repository, headers, body, *map(unquote, match.groups()))
    raise RefusedError(404, "no such route")


def other(body: bytes) -> bytes:
    """As many bytes, and one of them another."""
    return body[:-1] + bytes([body[-1] ^ 1])


def as_json(headers: Any, body: bytes) -> Any:
    need(headers.get_content_type() == "application/json", "not JSON", 415)
    return json.loads(body)


# Zenodo ------------------------------------------------------------------------------------------------------------------


def zenodo_json(repository: Repository, name: str) -> dict[str, Any]:
    draft = repository.drafts[name]
    host = "https://evil.example" if repository.elsewhere else repository.base
    place = f"{host}/api/deposit/depositions/{name}"
    return {
        "id": int(name),
        "links": {
            "bucket": f"{host}/api/files/bucket-{name}",
            "html": f"{host}/deposit/{name}",
            "publish": f"{place}/actions/publish",
            "self": place,
        },
        "metadata": draft["metadata"],
        "state": "done" if draft["published"] else "unsubmitted",
        "submitted": draft["published"],
    }


def of(repository: Repository, name: str) -> dict[str, Any]:
    need(name in repository.drafts, "PID does not exist", 404)
    return repository.drafts[name]


def zenodo_create(repository: Repository, headers: Any, body: bytes) -> tuple[int, Any]:
    need(as_json(headers, body) == {}, "an empty deposition is asked for with {}")
    name = str(1000 + len(repository.drafts))
    repository.drafts[name] = {"metadata": {}, "files": {}, "published": False}
    return 201, zenodo_json(repository, name)


def zenodo_get(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    of(repository, name)
    return 200, zenodo_json(repository, name)


def zenodo_put(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    draft, told = of(repository, name), as_json(headers, body)
    need(set(told) == {"metadata"}, "only metadata")
    known = told["metadata"]
    need(not draft["published"], "it is published", 403)
    need(set(known) <= ZENODO, f"unknown: {set(known) - ZENODO}")
    need({"upload_type", "title", "creators", "description"} <= set(known), "something is missing")
    need(known["upload_type"] in ("dataset", "software", "other"), "no such type")
    need(all(set(one) <= CREATORS and one["name"] for one in known["creators"]), "no such creator")
    need(re.fullmatch(r"\d{4}-\d\d-\d\d", known["publication_date"]), "no date")
    need("license" not in known or known["license"] == known["license"].lower(), "no such licence")
    draft["metadata"] = known
    return 200, zenodo_json(repository, name)


def zenodo_files(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    files = of(repository, name)["files"].items()
    return 200, [{"filename": f, "filesize": len(b), "checksum": hashlib.md5(b).hexdigest(), "id": f} for f, b in files]


def zenodo_bucket(repository: Repository, headers: Any, body: bytes, name: str, file: str) -> tuple[int, Any]:
    need(headers.get_content_type() == "application/octet-stream", "raw bytes", 415)
    draft = of(repository, name)
    need(not draft["published"], "it is published", 403)
    draft["files"][file] = other(body) if repository.spoil else body
    kept = draft["files"][file]
    return 201, {"key": file, "size": len(kept), "checksum": f"md5:{hashlib.md5(kept).hexdigest()}", "is_head": True}


def zenodo_publish(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    draft = of(repository, name)
    need(draft["metadata"] and draft["files"], "no metadata or no file")
    need(not draft["published"], "it is published already", 403)
    draft["published"] = True
    return 202, zenodo_json(repository, name)


# InvenioRDM --------------------------------------------------------------------------------------------------------------


def invenio_json(repository: Repository, name: str) -> dict[str, Any]:
    draft = repository.drafts[name]
    page = "records" if draft["published"] else "uploads"
    links = {"self_html": f"{repository.base}/{page}/{name}", "files": f"{repository.base}/api/records/{name}/draft/files"}
    return {"id": name, "is_published": draft["published"], "links": links, "metadata": draft["metadata"]}


def invenio_record(headers: Any, body: bytes) -> dict[str, Any]:
    told = as_json(headers, body)
    need(set(told) == {"access", "files", "metadata"}, "access, files and metadata")
    need(told["access"] == {"record": "public", "files": "public"} and told["files"] == {"enabled": True}, "no such access")
    known = told["metadata"]
    need(set(known) <= INVENIO, f"unknown: {set(known) - INVENIO}")
    need(known["resource_type"] == {"id": "dataset"} and known["title"] and known["publication_date"], "something is missing")
    for one in known["creators"]:
        person = one["person_or_org"]
        need(person["type"] in ("personal", "organizational"), "no such person")
        need(person["family_name"] if person["type"] == "personal" else person["name"], "no name")
        need(all(set(known) == {"scheme", "identifier"} for known in person.get("identifiers", [])), "no such identifier")
    need(all(set(one) == {"id"} and one["id"].islower() for one in known.get("rights", [])), "no such rights")
    return dict(known)


def invenio_create(repository: Repository, headers: Any, body: bytes) -> tuple[int, Any]:
    known = invenio_record(headers, body)
    name = f"abcde-{len(repository.drafts):05d}"
    repository.drafts[name] = {"metadata": known, "files": {}, "pending": {}, "published": False}
    errors = [{"field": repository.drops, "messages": ["Invalid value."]}] if repository.drops else []
    return 201, invenio_json(repository, name) | ({"errors": errors} if errors else {})


def invenio_get(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    of(repository, name)
    return 200, invenio_json(repository, name)


def invenio_put(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    of(repository, name)["metadata"] = invenio_record(headers, body)
    return 200, invenio_json(repository, name)


def invenio_record_get(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    need(of(repository, name)["published"], "PID is not registered", 404)
    return 200, invenio_json(repository, name)


def entry(draft: dict[str, Any], file: str) -> dict[str, Any]:
    if file in draft["files"]:
        kept = draft["files"][file]
        return {"key": file, "status": "completed", "checksum": f"md5:{hashlib.md5(kept).hexdigest()}", "size": float(len(kept))}
    return {"key": file, "status": "pending"}


def invenio_files(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    draft = of(repository, name)
    return 200, {"enabled": True, "entries": [entry(draft, file) for file in {**draft["files"], **draft["pending"]}]}


def invenio_start(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    draft, told = of(repository, name), as_json(headers, body)
    need(isinstance(told, list) and all(set(one) == {"key"} for one in told), "a list of keys")
    for one in told:
        need(one["key"] not in {**draft["files"], **draft["pending"]}, "File with key already exists")
        draft["pending"][one["key"]] = None
    return 201, invenio_files(repository, headers, body, name)[1]


def invenio_content(repository: Repository, headers: Any, body: bytes, name: str, file: str) -> tuple[int, Any]:
    draft = of(repository, name)
    need(headers.get_content_type() == "application/octet-stream", "raw bytes", 415)
    need(file in draft["pending"], "no upload was started", 404)
    draft["pending"][file] = other(body) if repository.spoil else body
    return 200, entry(draft, file)


def invenio_commit(repository: Repository, headers: Any, body: bytes, name: str, file: str) -> tuple[int, Any]:
    draft = of(repository, name)
    need(draft["pending"].get(file) is not None, "no content was sent")
    draft["files"][file] = draft["pending"].pop(file)
    return 200, entry(draft, file)


def invenio_delete(repository: Repository, headers: Any, body: bytes, name: str, file: str) -> tuple[int, Any]:
    draft = of(repository, name)
    need(draft["files"].pop(file, None) is not None, "no such file", 404)
    return 204, None


def invenio_publish(repository: Repository, headers: Any, body: bytes, name: str) -> tuple[int, Any]:
    draft = of(repository, name)
    need(draft["files"] and not draft["pending"], "Missing uploaded files")
    need(not draft["published"], "no draft", 404)
    draft["published"] = True
    return 202, invenio_json(repository, name)


# CKAN --------------------------------------------------------------------------------------------------------------------


def ckan_json(draft: dict[str, Any]) -> dict[str, Any]:
    return {**draft["metadata"], "id": "0000", "private": not draft["published"], "resources": draft["resources"]}


def ckan_action(repository: Repository, headers: Any, body: bytes, action: str) -> tuple[int, Any]:
    if action == "resource_create":
        return 200, {"help": "", "success": True, "result": ckan_resource(repository, headers, body)}
    told = as_json(headers, body)
    if action == "package_create":
        need(set(told) <= CKAN, f"unknown: {set(told) - CKAN}", 409)
        need(re.fullmatch("[a-z0-9_-]{2,100}", told["name"]), "no such name", 409)
        need(told["name"] not in repository.drafts, "That URL is already in use.", 409)
        need(told["owner_org"] == "town", "Organization does not exist", 409)
        need(
            all(re.fullmatch(r"[\w .-]{2,100}", tag["name"]) and set(tag) == {"name"} for tag in told["tags"]), "no such tag", 409
        )
        need(all(set(extra) == {"key", "value"} for extra in told["extras"]), "no such extra", 409)
        known = {"metadata": told, "files": {}, "resources": [], "published": not told.get("private", False)}
        repository.drafts[told["name"]] = known
    elif action == "package_patch":
        need(set(told) == {"id", "private"}, "unknown", 409)
        of(repository, told["id"])["published"] = not told["private"]
    else:
        need(action == "package_show" and set(told) == {"id"}, "Action name not known", 400)
    return 200, {"help": "", "success": True, "result": ckan_json(of(repository, told.get("name") or told["id"]))}


def ckan_resource(repository: Repository, headers: Any, body: bytes) -> dict[str, Any]:
    need(headers.get_content_type() == "multipart/form-data", "a form", 415)
    form = BytesParser().parsebytes(b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body)
    parts = {}
    for part in form.get_payload():
        parts[part.get_param("name", header="content-disposition")] = part
    fields = {name: part.get_payload(decode=True).decode() for name, part in parts.items() if name != "upload"}
    need(set(fields) <= {"package_id", "name", "description", "format", "mimetype", "hash"}, "unknown", 409)
    draft = of(repository, fields["package_id"])
    start = body.index(b"\r\n\r\n", body.index(b'name="upload"')) + 4
    kept = body[start : body.rindex(b"\r\n--")]
    draft["files"][fields["name"]] = kept + b"!" if repository.spoil else kept
    resource = {**fields, "size": len(draft["files"][fields["name"]]), "url_type": "upload"}
    draft["resources"].append(resource)
    return resource


ROUTES: list[tuple[str, Any]] = [
    (r"POST /api/deposit/depositions", zenodo_create),
    (r"GET /api/deposit/depositions/(\d+)", zenodo_get),
    (r"PUT /api/deposit/depositions/(\d+)", zenodo_put),
    (r"GET /api/deposit/depositions/(\d+)/files", zenodo_files),
    (r"PUT /api/files/bucket-(\d+)/([^/]+)", zenodo_bucket),
    (r"POST /api/deposit/depositions/(\d+)/actions/publish", zenodo_publish),
    (r"POST /api/records", invenio_create),
    (r"GET /api/records/([^/]+)", invenio_record_get),
    (r"GET /api/records/([^/]+)/draft", invenio_get),
    (r"PUT /api/records/([^/]+)/draft", invenio_put),
    (r"GET /api/records/([^/]+)/draft/files", invenio_files),
    (r"POST /api/records/([^/]+)/draft/files", invenio_start),
    (r"PUT /api/records/([^/]+)/draft/files/([^/]+)/content", invenio_content),
    (r"POST /api/records/([^/]+)/draft/files/([^/]+)/commit", invenio_commit),
    (r"DELETE /api/records/([^/]+)/draft/files/([^/]+)", invenio_delete),
    (r"POST /api/records/([^/]+)/draft/actions/publish", invenio_publish),
    (r"POST /api/3/action/(\w+)", ckan_action),
]


@contextmanager
def running() -> Iterator[Repository]:
    """The server, at `base`."""
    repository = Repository()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            request = f"{self.command} {urlsplit(self.path).path}"
            repository.requests.append(request)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = next((one for one in repository.faults if one.times and re.search(one.request, request)), None)
            if fault is not None:
                fault.times -= 1
            if fault is not None and not fault.late:
                self.reply(fault.status, {"message": f"broken {self.headers['Authorization']}"}, fault.headers)
                return
            try:
                status, told = answer(repository, self.command, urlsplit(self.path).path, self.headers, body)
            except RefusedError as error:
                status, told = error.status, {"message": str(error)}
            if fault is not None:
                status, told = fault.status, {"message": "broken, but done"}
            self.reply(status, told, {})

        do_GET = do_PUT = do_POST = do_DELETE = serve

        def reply(self, status: int, told: Any, headers: dict[str, str]) -> None:
            if status == 0:
                self.close_connection = True
                return
            text = b"" if told is None else json.dumps(told).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    repository.base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield repository
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
