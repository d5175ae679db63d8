"""What a served recommender says to a history, with the titles of the search index where there is one. The history is not kept."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from pellucid.models import recommend
from pellucid.service.followed_models import FollowedModels, Served, told_of

MOST_ITEMS = 1000  # of a history that is sent


class History(BaseModel):
    """What POST /recommend takes."""

    items: Annotated[list[str | int], Field(max_length=MOST_ITEMS)] = []
    k: Annotated[int, Field(ge=1, le=100)] = 10


def recommended(followed: FollowedModels, served: Served, history: list[str], k: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The results of a recommender, and the items that it does not know."""
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

    def question(served: Served) -> tuple[dict[str, Any], bool]:
        deployment, (results, unknown) = served.deployment, recommended(followed, served, history, k)
        about = {
            "name": deployment.output,
            "version": deployment.version,
            "digest": deployment.digest,
            "package": told_of(served)["package"],
        }
        told = {"results": results, "model": about if deployment.version else {**about, "canary": True}}
        return told | ({"unknown": unknown} if unknown else {}), not results

    return followed.ask(alias, question)
