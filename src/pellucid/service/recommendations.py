"""What a served recommender says to a history, with the titles of the search index where there is one. The history is not kept."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from pellucid.models import recommend
from pellucid.service.followed_models import FollowedModels, need, told_of

MOST_ITEMS = 1000  # of a history that is sent


class History(BaseModel):
    """What POST /recommend takes."""

    items: Annotated[list[str | int], Field(max_length=MOST_ITEMS)] = []
    k: Annotated[int, Field(ge=1, le=100)] = 10


def recommended(
    followed: FollowedModels, history: list[str], k: int, alias: str = "recommend"
) -> tuple[list[dict[str, Any]], list[str]]:
    """The results of the recommender behind an alias, and the items that it does not know."""
    served = followed.current.get(alias)
    if served is None:
        return [], history
    known = {str(item): item for item in served.model.arrays["items"].tolist()}
    search_model = followed.current.get("search")
    engine = search_model.engine if search_model else None
    results = []
    for item, score in recommend(served.model, [known[item] for item in history if item in known], k):
        title = engine.title_of(str(item)) if engine else None
        results.append({"id": str(item), "title": title or str(item), "score": score})
    return results, [item for item in history if item not in known]


def recommendations(followed: FollowedModels, history: list[str], k: int, alias: str = "recommend") -> dict[str, Any]:
    """The same with the model that says so."""
    deployment = need(followed, alias).deployment
    results, unknown = recommended(followed, history, k, alias)
    told = told_of(followed, alias)
    model = {"name": deployment.output, "version": deployment.version, "digest": deployment.digest, "package": told["package"]}
    return {"results": results, "model": model, **({"unknown": unknown} if unknown else {})}
