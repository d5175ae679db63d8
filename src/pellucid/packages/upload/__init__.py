"""Uploads: a package as a draft in a repository, with its description; published only where that is asked for.

One file a service: zenodo (its deposit API), invenio (InvenioRDM's records API), ckan (its action API). Written from what they publish of
their APIs and tried against a server in the tests that keeps to that; not tried against the real services.
"""

from __future__ import annotations

# Bound here, eagerly, because the function shares its name with a part of this room's name.
from pellucid.packages.upload.deposit import SERVICES, Uploaded, upload

__all__ = ["SERVICES", "Uploaded", "upload"]
