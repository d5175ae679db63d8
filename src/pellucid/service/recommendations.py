"""What a served recommender says to a history, with the titles of the search index where there is one. The history is not kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from pellucid.models import is_cold_start, recommend
from pellucid.search import DATES
from pellucid.service.followed_models import FollowedModels, Served, told_of

MOST_ITEMS = 1000  # of a history that is sent


class History(BaseModel):
    """What POST /recommend takes. `diversity` 0 to 1; `half_life` in days, which halves the relevance of documents by age."""

    items: Annotated[list[str | int], Field(max_length=MOST_ITEMS)] = []
    k: Annotated[int, Field(ge=1, le=100)] = 10
    without: Annotated[list[str | int], Field(max_length=MOST_ITEMS)] = []
    only: Annotated[list[str | int] | None, Field(max_length=MOST_ITEMS)] = None
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    half_life: Annotated[float | None, Field(gt=0, le=1e6)] = None

    @property
    def history(self) -> list[str]:
        """The items as text, as they stand in an index."""
        return [str(item) for item in self.items]


def recommended(followed: FollowedModels, served: Served, asked: History) -> tuple[list[dict[str, Any]], list[str]]:
    """The results of a recommender, and the items that it does not know."""
    known = {str(item): item for item in served.model.arrays["items"].tolist()}
    search_model = followed.current.get("search")
    engine = search_model.engine if search_model else None
    dated = engine.ages if engine and asked.half_life is not None else {}
    if asked.half_life is not None and not dated:
        raise HTTPException(400, f"half_life: the index keeps no day of its documents (a column {', '.join(DATES)})")
    found = recommend(
        served.model, _known(known, asked.history), asked.k, without=_known(known, map(str, asked.without)),
        only=None if asked.only is None else _known(known, map(str, asked.only)), diversity=asked.diversity,
        ages={known[name]: age for name, age in dated.items() if name in known} if dated else None,
        half_life=asked.half_life or 1.0,
    )  # fmt: skip
    results = []
    for item, score in found:
        title = engine.title_of(str(item)) if engine else None
        results.append({"id": str(item), "title": title or str(item), "score": score})
    return results, [item for item in asked.history if item not in known]


def recommendations(followed: FollowedModels, asked: History, alias: str = "recommend") -> dict[str, Any]:
    """The same with the model that says so, and whether it rests on the history or, for want of one, on popularity."""

    def question(served: Served) -> tuple[dict[str, Any], bool]:
        deployment, (results, unknown) = served.deployment, recommended(followed, served, asked)
        about = {
            "name": deployment.output,
            "version": deployment.version,
            "digest": deployment.digest,
            "package": told_of(served)["package"],
        }
        known = _known({str(item): item for item in served.model.arrays["items"].tolist()}, asked.history)
        told = {
            "results": results,
            "basis": "popularity" if is_cold_start(served.model, known) else "history",
            "model": about if deployment.version else {**about, "canary": True},
        }
        return told | ({"unknown": unknown} if unknown else {}), not results

    return followed.ask(alias, question)


def _known(known: Mapping[str, Any], names: Iterable[str]) -> list[Any]:
    return [known[name] for name in names if name in known]
