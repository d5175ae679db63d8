"""Heavy hitters, items with ratings, and means, against real data whose truth is known."""

from __future__ import annotations

import csv
import math
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from local_checks import Fixed, audit_breach, key

from pellucid.errors import PrivacyError
from pellucid.privacy.local import ItemRatings, OneBitMean, PrefixSearch
from pellucid.privacy.local.one_bit_mean import STEPS
from pellucid.privacy.local.oracles.dyadic import ONE
from pellucid.privacy.noise.stream import Stream

DATA = Path(__file__).parents[4] / "shared" / "data"


def rows(*parts: str) -> list[dict[str, str]]:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is not here")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# means ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0, 4.0])
def test_the_bit_of_a_mean_is_exactly_as_private_as_declared(epsilon: float) -> None:
    """By the real code at both sides of the threshold of each level tried, and of its neighbours."""
    chosen = OneBitMean(-1.0, 3.0, epsilon)
    masses = []
    for level in (0, 1, 17, STEPS // 2, STEPS - 1, STEPS):
        value, mass = -1.0 + 4.0 * level / STEPS, chosen.least + chosen.step * level
        words = np.array([mass - 1, mass], dtype=np.uint64) << np.uint64(11)
        assert chosen.perturb(np.full(2, value), Fixed(words)).reshape(-1).tolist() == [1, 0]
        masses.append(Fraction(mass, ONE))
    worst = max(max(masses) / min(masses), (1 - min(masses)) / (1 - max(masses)))
    assert math.log(worst) <= chosen.epsilon <= epsilon
    assert chosen.epsilon > 0.999 * epsilon


def test_the_audit_passes_the_mean_and_refutes_a_doubled_epsilon() -> None:
    def ends(epsilon: float) -> Any:
        return lambda codes, stream: OneBitMean(0, 1, epsilon).perturb(codes, stream)

    assert audit_breach(ends(1.0), (0, 1), 1.0, 60_000, 5) <= 0
    assert audit_breach(ends(2.0), (0, 1), 1.0, 60_000, 5) > 0


@pytest.mark.quick(1)
@pytest.mark.parametrize("epsilon", [0.5, 1.0, 2.0, 4.0])
def test_the_mean_rating_of_movielens_is_found_within_its_error(epsilon: float) -> None:
    ratings = np.array([float(row["rating"]) for row in rows("ml-latest-small", "ratings.csv")])
    chosen, off = OneBitMean(0.5, 5.0, epsilon), []
    for seed in range(60):
        mean, error = chosen.estimate(chosen.perturb(ratings, Stream(key(seed))))
        off.append((mean - ratings.mean()) / error)
    assert abs(np.mean(off)) < 4 / math.sqrt(60)
    assert 0.6 < np.mean(np.square(off)) < 1.45


@pytest.mark.parametrize("bad", [[math.nan], [math.inf], [[1.0]]])
def test_numbers_that_are_none_are_refused(bad: Any) -> None:
    with pytest.raises(PrivacyError):
        OneBitMean(0, 1, 1.0).perturb(np.array(bad), Stream(key(0)))


def test_numbers_out_of_bounds_count_as_the_bound() -> None:
    chosen = OneBitMean(0, 1, 1.0)
    assert (chosen.perturb(np.full(500, 99.0), Stream(key(1))) == chosen.perturb(np.full(500, 1.0), Stream(key(1)))).all()


# heavy hitters ----------------------------------------------------------------------------------------------------------------


def titles() -> list[str]:
    """One visited area's title for each of the people (the first they visited), in lower case letters, digits and spaces."""
    named = {
        row["area_id"]: "".join(c if c.isalnum() and c.isascii() else " " for c in row["title"].lower())
        for row in rows("msweb", "areas.csv")
    }
    first: dict[str, str] = {}
    for row in rows("msweb", "visits.csv"):
        first.setdefault(row["user_id"], named[row["area_id"]])
    return [text.strip() for text in first.values()]


ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789 "


def test_the_most_visited_titles_of_msweb_are_found_without_a_list() -> None:
    texts = titles()
    search = PrefixSearch(ALPHABET, 12, 4.0, step=2, keep=40)
    assert search.epsilon <= 4.0
    truth = Counter(text[:12].rstrip() if len(text) >= 12 else text for text in texts)
    found = search.search(search.perturb(texts, Stream(key(2))))
    names = [one.text.rstrip() for one in found]
    common = [text for text, count in truth.most_common(5) if count > 0.05 * len(texts)]
    assert len(common) >= 3
    assert set(common) <= set(names)
    for one in found:
        assert abs(one.share - truth[one.text.rstrip()] / len(texts)) < 5 * one.error
        assert truth[one.text.rstrip()] > 0, "a text nobody has"


def test_texts_nobody_shares_are_not_found() -> None:
    generator = Stream(key(3)).words(3000)
    texts = ["".join(ALPHABET[int(word) >> (5 * at) & 31] for at in range(6)) for word in generator]
    search = PrefixSearch(ALPHABET, 6, 2.0, keep=40)
    assert search.search(search.perturb(texts, Stream(key(4)))) == []


def test_groups_say_nothing_of_the_text_and_reports_no_more_than_epsilon() -> None:
    search = PrefixSearch("ab", 2, 1.0)
    groups = [search.perturb([text] * 1000, Stream(key(5)))[:, 0] for text in ("a", "bb")]
    assert (groups[0] == groups[1]).all()
    assert search.epsilon == search.oracle.epsilon <= 1.0


def test_a_character_never_declared_is_refused_without_being_shown() -> None:
    with pytest.raises(PrivacyError, match="never declared") as refused:
        PrefixSearch("ab", 2, 1.0).perturb(["ab", "xq"], Stream(key(0)))
    assert "xq" not in str(refused.value)


# items and ratings ------------------------------------------------------------------------------------------------------------


def crowd(copies: int) -> tuple[Any, Any, Any, int]:
    """MovieLens' people (many times over: they are few) with the ratings they gave to the 20 most rated films."""
    ratings = rows("ml-latest-small", "ratings.csv")
    films = [
        film for film, _ in sorted(Counter(row["movieId"] for row in ratings).items(), key=lambda one: (-one[1], one[0]))[:20]
    ]
    kept = [
        (int(row["userId"]) - 1, films.index(row["movieId"]), float(row["rating"])) for row in ratings if row["movieId"] in films
    ]
    clients, items, given = map(np.array, zip(*kept, strict=True))
    people = max(int(row["userId"]) for row in ratings)
    again = np.repeat(np.arange(copies), len(clients))
    return np.tile(clients, copies) + again * people, np.tile(items, copies), np.tile(given, copies), copies * people


@pytest.mark.parametrize("epsilon", [1.0, 4.0])
def test_shares_and_mean_ratings_of_movielens_are_found_within_their_errors(epsilon: float) -> None:
    clients, items, ratings, count = crowd(100)
    chosen = ItemRatings(20, 0.5, 5.0, epsilon, padding_length=20)  # nobody has more than 20 of 20 films: no bias
    found = chosen.estimate(chosen.perturb(clients, items, ratings, count, Stream(key(6))))
    shares = np.bincount(items, minlength=20) / count
    means = np.bincount(items, weights=ratings, minlength=20) / np.bincount(items, minlength=20)
    assert found.reports == count
    assert (np.abs(found.shares - shares) < 4.5 * found.share_errors).all()
    assert (np.abs(found.means - means) < 4.5 * found.mean_errors).all()
    assert np.mean(((found.shares - shares) / found.share_errors) ** 2) < 2.2
    if epsilon == 4.0:
        assert np.corrcoef(found.means, means)[0, 1] > 0.2
        assert (found.mean_errors < 0.5).all()


def test_a_client_without_items_reports_as_any_other() -> None:
    chosen = ItemRatings(5, 0, 1, 1.0, padding_length=2)
    none = np.array([], dtype=int)
    reports = chosen.perturb(none, none, none.astype(float), 4000, Stream(key(7)))
    found = chosen.estimate(reports)
    assert len(reports) == 4000
    assert (np.abs(found.shares) < 5 * found.share_errors).all()


def test_the_audit_passes_items_and_ratings() -> None:
    chosen = ItemRatings(3, 0, 1, 1.0, padding_length=1)

    def view(codes: Any, stream: Any) -> Any:
        clients = np.arange(len(codes))
        return chosen.perturb(clients, codes % 3, codes // 3 * 1.0, len(codes), stream)

    assert audit_breach(view, (0, 5), chosen.epsilon, 40_000, 6) <= 0


def test_two_calls_on_one_stream_draw_anew() -> None:
    """Reports of one person that share their noise would be compared; those of a batch made in two parts as well."""
    stream = Stream(key(0))
    search, rated = PrefixSearch("ab", 2, 1.0), ItemRatings(5, 0, 1, 1.0, padding_length=2)
    texts, clients = ["ab"] * 400, np.arange(400)
    first, second = (search.perturb(texts, stream) for _ in range(2))
    assert 0.2 < np.mean(first[:, 0] == second[:, 0]) < 0.8
    assert np.mean(np.all(first == second, axis=1)) < 0.05
    one, two = (rated.perturb(clients, clients % 5, np.ones(400), 400, stream) for _ in range(2))
    assert np.mean(np.all(one == two, axis=1)) < 0.9
