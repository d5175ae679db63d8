"""Values that the text does not tell."""

import os

TABLE = {"limit": int(os.environ.get("PELLUCID_TEST_TABLE", "1"))}


def read(step=int(os.environ.get("PELLUCID_TEST_DEFAULT", "1"))):  # noqa: B008
    return step
