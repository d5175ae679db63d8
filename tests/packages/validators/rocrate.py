"""Run in the environment of roc-validator: validate a crate without network; print the findings as JSON.

    python rocrate.py CRATE CONTEXTS PROFILE SEVERITY

The JSON-LD contexts that the validator would fetch are put into its cache first, from files.
"""

import io
import json
import sys
import tempfile
from pathlib import Path

import requests
import urllib3
from requests_cache import CachedSession
from rocrate_validator import services

CONTEXTS = {
    "https://w3id.org/ro/crate/1.1/context": "ro-crate-1.1.jsonld",
    "https://w3id.org/ro/terms/workflow-run/context": "workflow-run.json",
}


class Files(requests.adapters.HTTPAdapter):
    """Answers the contexts' addresses from files."""

    def __init__(self, folder):
        super().__init__()
        self.folder = Path(folder)

    def send(self, request, **_):
        body = (self.folder / CONTEXTS[request.url]).read_bytes()
        headers = {"Content-Type": "application/ld+json", "Content-Length": str(len(body))}
        answer = urllib3.HTTPResponse(
            io.BytesIO(body), headers=headers, status=200, preload_content=False, request_url=request.url
        )
        return self.build_response(request, answer)


def seed(folder, cache):
    """Answers for the contexts, as if they had been fetched."""
    session = CachedSession(cache_name=cache, backend="sqlite", expire_after=-1, allowable_methods=("GET",))
    session.mount("https://", Files(folder))
    for url in CONTEXTS:
        for headers in ({"Accept": "application/ld+json, application/json"}, {}):
            session.get(url, headers=headers)
    session.close()


def main(crate, contexts, profile, severity):
    cache = tempfile.mkdtemp() + "/cache"
    seed(contexts, cache)
    settings = {
        "rocrate_uri": crate,
        "profile_identifier": profile,
        "requirement_severity": severity,
        "offline": True,
        "cache_path": cache,
    }
    result = services.validate(services.ValidationSettings(**settings))
    print(json.dumps([[i.severity.name, i.check.identifier, i.message, str(i.violatingEntity)] for i in result.get_issues()]))


main(*sys.argv[1:])
