"""The AOL manner: people write their own names. Whose texts are these, when the name of a person is known?

In August 2006 searches of 650,000 people were published under numbers; reporters found one of them by what she had searched, her
own surname among it (Barbaro and Zeller, The New York Times, 9 August 2006). Here the adversary knows a person's name or handle,
reads each record's texts for it, and takes the record in which it makes up the largest share of words, weighed by how rare it is
elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from pellucid.errors import UsageError
from pellucid.privacy.attacks.finding import Finding, Rate

_WORD = re.compile(r"\w[\w'-]*")


def text_reidentification(texts: Mapping[str, Sequence[str]], names: Mapping[str, Sequence[str]], *, target: str) -> Finding:
    """How often a person's own terms lead to their record.

    `texts`: record -> what was written in it; `names`: record -> the terms its person is known by (the judge knows which record is
    whose; the attack is given the terms alone). A tie counts as the share of it that is right, no hit as a guess at random.
    `details` give how many people can be found at all. Raises UsageError when there is no record or nobody to look for.
    """
    wanted = {record: {word.lower() for term in terms for word in _WORD.findall(term)} for record, terms in names.items()}
    wanted = {record: terms for record, terms in sorted(wanted.items()) if record in texts and terms}
    if not wanted:
        raise UsageError(
            "nobody's terms belong to a record", where="text_reidentification", fix="Give terms for people who are in the texts"
        )
    sought = set().union(*wanted.values())
    shares: dict[str, dict[str, float]] = {term: {} for term in sought}
    for record, written in sorted(texts.items()):
        words = Counter(word.lower() for text in written for word in _WORD.findall(text))
        size = sum(words.values())
        for term in sought & words.keys():
            shares[term][record] = words[term] / size
    right, found = 0.0, 0
    for record, terms in wanted.items():
        scores: dict[str, float] = {}
        for term in sorted(terms):
            for other, share in shares[term].items():
                scores[other] = scores.get(other, 0.0) + share / len(shares[term])
        if not scores:
            right += 1 / len(texts)
            continue
        found += record in scores
        best = max(scores.values())
        winners = [other for other, score in scores.items() if score >= best * (1 - 1e-12)]
        right += (record in winners) / len(winners)
    return Finding(
        attack="text_reidentification",
        target=target,
        question="which record's texts are this person's, from the name they go by",
        rate=Rate(right, len(wanted)),
        baselines={"random guess": 1 / len(texts)},
        details={"people who wrote a term of their own": found / len(wanted)},
        assumes="the name or handle of each person",
    )
