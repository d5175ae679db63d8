"""Uploads: a package as a draft in a repository, with its description; published only where that is asked for.

One file a service: zenodo (its deposit API), invenio (InvenioRDM's records API), ckan (its action API). Written from what they publish of
their APIs and tried against a server in the tests that keeps to that; not tried against the real services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.front_page import lazy_names

if TYPE_CHECKING:
    from pellucid.packages.upload.deposit import SERVICES, Uploaded, upload

__all__ = ["SERVICES", "Uploaded", "upload"]

__getattr__ = lazy_names(
    __name__,
    {
        "deposit": (
            "SERVICES",
            "Uploaded",
            "upload",
        ),
    },
)
