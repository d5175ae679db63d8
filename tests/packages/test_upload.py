"""Uploads to a server that keeps to what Zenodo, InvenioRDM and CKAN publish of their APIs: what arrives, what is retried, what is not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from repositories import TOKEN, Fault, Repository, running

from pellucid.errors import PackageError, PellucidError, UploadError, UsageError
from pellucid.packages import check
from pellucid.packages.format import archive
from pellucid.packages.upload import SERVICES as SERVICE_WORDS
from pellucid.packages.upload import Uploaded, upload
from pellucid.packages.upload.deposit import Deposit, deposit
from pellucid.packages.upload.http_client import connect

pytestmark = pytest.mark.timeout(120)
SERVICES = list(SERVICE_WORDS)


@pytest.fixture
def repository() -> Iterator[Repository]:
    with running() as one:
        yield one


def put(service: str, package: Path, repository: Repository, **more: Any) -> Uploaded:
    known: dict[str, Any] = {"url": repository.base, "token": TOKEN, "pause": 0.001}
    return upload(service, package, **{**known, **({"organization": "town"} if service == "ckan" else {}), **more})


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.quick(1)
def test_a_package_arrives_whole_as_a_draft(service: str, published: Path, repository: Repository, tmp_path: Path) -> None:
    done = put(service, published, repository)
    assert (done.published, done.sent, repository.published()) == (False, True, [])
    (body,) = repository.bodies
    (tmp_path / done.file).write_bytes(body)
    assert check(tmp_path / done.file).digest == check(published).digest
    (draft,) = repository.drafts.values()
    text = str(draft["metadata"])
    assert "What a shop sells" in text and "Doe" in text and "pellucid reproduce" in text
    assert re.search("cc-by", text)
    assert done.notes[-1].endswith("not tried against the real service: look at the draft")


@pytest.mark.quick(1)
def test_it_is_published_when_that_is_asked_for(service: str, published: Path, repository: Repository) -> None:
    done = put(service, published, repository, publish=True)
    assert done.published
    assert len(repository.published()) == 1


@pytest.mark.quick(1)
def test_going_on_with_a_draft_sends_nothing_twice(service: str, published: Path, repository: Repository, tmp_path: Path) -> None:
    first = put(service, published, repository)
    archive.write(published, tmp_path / "same.zip")
    again = put(service, tmp_path / "same.zip", repository, draft=first.id, publish=True)
    assert (again.id, again.sent, again.published, again.sha256) == (first.id, False, True, first.sha256)
    assert (len(repository.drafts), len(repository.bodies)) == (1, 1)
    if service != "ckan":  # CKAN finds the data set by its name
        with pytest.raises(PellucidError, match="published already"):
            put(service, published, repository, draft=first.id)


@pytest.mark.quick(1)
def test_what_passes_is_tried_again_and_nothing_is_done_twice(service: str, published: Path, repository: Repository) -> None:
    """Every request fails once, each kind of failure in turn; and once more after it was done."""
    module = import_module(f"pellucid.packages.upload.{service}")

    def sent(one: Deposit, server: Repository) -> Uploaded:
        client = connect(server.base, TOKEN, scheme=SERVICE_WORDS[service][1], pause=0.001)
        done: Uploaded = module.put(client, one, publish=True, draft="", organization="town")
        return done

    with deposit(published) as one:
        sent(one, repository)
        asked = list(dict.fromkeys(repository.requests))
        assert len(asked) >= 4
        for at, request in enumerate(asked):
            for late in (False, True):
                if re.fullmatch(r"POST /api/(deposit/depositions|records)", request) and (
                    late or [429, 500, 503, 0, 502][at % 5] != 429
                ):
                    continue  # what may have made a draft is not tried again: see below
                with running() as fresh:
                    status = [429, 500, 503, 0, 502][at % 5]
                    fault = Fault(f"^{re.escape(request)}$", status, late=late, headers={"Retry-After": "0"})
                    fresh.faults.append(fault)
                    done = sent(one, fresh)
                    assert (done.published, len(fresh.published()), len(fresh.drafts), len(fresh.bodies)) == (True, 1, 1, 1), (
                        request
                    )
                    (draft,) = fresh.drafts.values()
                    assert len(draft.get("resources", [0])) == 1
                    assert fault.times == 0, request


@pytest.mark.quick(1)
def test_after_a_break_the_error_says_how_to_go_on(service: str, published: Path, repository: Repository) -> None:
    place = {"zenodo": "PUT /api/files", "invenio": "content$", "ckan": "resource_create"}[service]
    repository.faults.append(Fault(place, 503, times=99))
    with pytest.raises(UploadError) as caught:
        put(service, published, repository, publish=True)
    assert repository.published() == []
    draft = re.search(r"--draft (\S+)$", str(caught.value))
    assert draft, caught.value
    repository.faults.clear()
    done = put(service, published, repository, draft=draft[1])
    assert (done.id, done.sent, len(repository.drafts)) == (draft[1], True, 1)


@pytest.mark.quick(1)
def test_other_bytes_than_were_sent_are_found_out_and_not_published(
    service: str, published: Path, repository: Repository
) -> None:
    repository.spoil = True
    with pytest.raises(UploadError, match="what it has is not what was sent"):
        put(service, published, repository, publish=True)
    assert repository.published() == []
    if service == "invenio":  # a file that is another is replaced
        repository.spoil = False
        (name,) = repository.drafts
        assert put(service, published, repository, draft=name, publish=True).sent
        assert len(repository.published()) == 1


def test_a_package_that_is_not_whole_is_not_sent(service: str, package: Path, repository: Repository) -> None:
    with (package / "artifacts" / "goods.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(PackageError, match="the file was changed"):
        put(service, package, repository)
    assert repository.requests == []


@pytest.mark.quick(1)
def test_the_token_goes_to_nobody_else_and_into_no_message(service: str, published: Path, repository: Repository) -> None:
    with pytest.raises(UploadError) as caught:
        put(service, published, repository, token=f"{TOKEN}-of-another")
    assert "Check the token" in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_no_redirect_is_followed_and_no_unfit_address_or_token_is_used(published: Path, repository: Repository) -> None:
    for status in (301, 302, 307, 400):
        repository.faults[:] = [Fault(".", status, headers={"Location": "http://127.0.0.1:9/"})]
        with pytest.raises(UploadError, match=r"leads elsewhere|refused: 400") as caught:
            put("zenodo", published, repository)
        assert TOKEN not in str(caught.value)
        assert "\n" not in str(caught.value)
    for url in (
        "http://zenodo.org", "ftp://127.0.0.1", "https://me:s3cret@x.example", "https://x.example/?a=s3cret", "nonsense",
        "me:s3cret@x.example", "http://127.0.0.1:99999", "http://[::1", "http://127.0.0.1:x", "http://me:pa/s3cret@[::1",
        "https://x y", "https://:s3cret@", "http://", "https://me:p@ss:s3cret@x.example",
    ):  # fmt: skip
        before = len(repository.requests)
        with pytest.raises(UsageError) as caught:
            put("zenodo", published, repository, url=url)
        assert len(repository.requests) == before
        assert "s3cret" not in str(caught.value)
    for token in ("", "two words", "a\r\nX-Evil: 1", "é"):
        with pytest.raises(UsageError, match="token"):
            put("zenodo", published, repository, token=token)


def test_a_link_to_another_host_is_not_followed(published: Path, repository: Repository) -> None:
    repository.elsewhere = True
    with pytest.raises(UploadError, match="a link to another place"):
        put("zenodo", published, repository)
    assert repository.bodies == []
    client = connect(repository.base, TOKEN, scheme="Bearer ", pause=0.001)
    for link in ("http://127.0.0.1:99999/x", "http://[::1", None, "", "//x", f"{repository.base}"):
        with pytest.raises(UploadError, match="a link to another place"):
            client.within(link)


def test_what_a_server_says_is_bounded_and_of_its_shape(published: Path, repository: Repository) -> None:
    client = connect(repository.base, TOKEN, scheme="Bearer ", pause=0.001)
    assert TOKEN not in repr(client)
    repository.faults.append(Fault("GET", 404))
    assert client.call("GET", "/api/records/x", missing=True) == {"missing": True}
    assert client.safe(f"a\x1b[2J{TOKEN}\n" + "x" * 1000).startswith("a [2J*** xxx")
    assert len(client.safe("x" * 1000)) == 300


def test_the_command_reads_the_token_from_the_environment_and_says_what_was_not_tried(
    published: Path, repository: Repository
) -> None:
    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pellucid", "upload", "zenodo", str(published), "--url", repository.base, *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **more})

    done = run("--token-env", "ZENODO_TOKEN", ZENODO_TOKEN=TOKEN)
    assert done.returncode == 0, done.stderr
    assert "a draft, not published: 1000" in done.stdout
    assert "not tried against the real service" in " ".join(done.stdout.split())
    assert TOKEN not in done.stdout + done.stderr
    assert repository.published() == []
    done = run("--token-env", "NONE_OF_IT")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    with pytest.raises(UsageError, match="whose the data set is"):
        put("ckan", published, repository, organization="")
    with pytest.raises(UsageError, match="no service"):
        put("figshare", published, repository)


@pytest.mark.quick(1)
@pytest.mark.parametrize("status", [0, 500])
@pytest.mark.parametrize("service", ["zenodo", "invenio"])
def test_where_a_draft_may_have_been_made_no_second_one_is(
    service: str, status: int, published: Path, repository: Repository
) -> None:
    repository.faults.append(Fault("^POST /api/(deposit/depositions|records)$", status, late=True))
    with pytest.raises(UploadError, match="nobody can tell whether it made a draft") as refused:
        put(service, published, repository)
    assert "--draft" in str(refused.value.fix)
    assert len(repository.drafts) == 1
    (draft,) = repository.drafts
    assert put(service, published, repository, draft=draft).id == draft
    assert len(repository.drafts) == 1


def test_what_the_repository_does_not_take_of_the_description_is_said(published: Path, repository: Repository) -> None:
    repository.drops = "metadata.rights.0.id"
    assert (
        "did not take all of the description: metadata.rights.0.id: Invalid value."
        in put("invenio", published, repository).notes[0]
    )
    with pytest.raises(UploadError, match="did not take all of the description, and drops the rest") as refused:
        put("invenio", published, repository, publish=True)
    assert "metadata.rights.0.id" in str(refused.value) and "--draft" in str(refused.value.fix)
    assert repository.published() == []


def test_a_repository_may_be_below_a_path(published: Path, repository: Repository) -> None:
    repository.under = "/data/repo"
    repository.base += repository.under
    assert put("invenio", published, repository, url=repository.base).sent
    assert put("zenodo", published, repository, url=f"{repository.base}/").sent
    with pytest.raises(UploadError, match="it refused: 404"):
        put("invenio", published, repository, url=repository.base.removesuffix("/data/repo"))


def test_the_proxy_that_the_environment_names_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its own tunnel, with its own name and word; never for this machine."""
    import socket
    import threading

    heard = []

    def listen(server: socket.socket) -> None:
        while True:
            try:
                taken, _ = server.accept()
            except OSError:
                return
            heard.append(taken.recv(4096).decode())
            taken.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            taken.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:my%20word@127.0.0.1:{server.getsockname()[1]}")
        client = connect("https://repository.example/x", TOKEN, scheme="Bearer ", pause=0.001)
        with pytest.raises(UploadError):
            client.call("POST", "/api/records", data={}, creates="a draft")
    assert heard[0].startswith("CONNECT repository.example:443 ")
    assert "Proxy-Authorization: Basic bWU6bXkgd29yZA==" in heard[0] and TOKEN not in heard[0]
