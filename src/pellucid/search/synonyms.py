"""Synonyms: groups of words or phrases that mean the same. A query that has one of a group is asked with the others too.

The query is widened, not the documents: a group can be changed without another look at them, and the page says what was asked beside. Words
are compared as the index has them, by their stems. A query with syntax (quotes, AND, title:) is taken as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pellucid.errors import UsageError
from pellucid.search.text_analysis import analyser

MOST_GROUPS, MOST_WORDS, LONGEST = 10_000, 50, 100


def checked_synonyms(groups: Sequence[Sequence[str]], language: str) -> list[list[str]]:
    """The groups in a fixed order. Raises UsageError for one that is none, and for a phrase without a word that the index would have."""
    if len(groups) > MOST_GROUPS:
        raise UsageError(f"{len(groups)} groups of synonyms", why=f"at most {MOST_GROUPS:,} are looked at")
    analyse = analyser(language).analyze
    found = []
    for group in groups:
        if isinstance(group, str) or not all(isinstance(one, str) for one in group):
            raise UsageError(f"{group!r:.80} is no group of synonyms", fix='Write groups such as ("car", "automobile")')
        phrases = sorted({" ".join(one.split()) for one in group})
        if not 2 <= len(phrases) <= MOST_WORDS:
            raise UsageError(
                f"a group of synonyms has 2 to {MOST_WORDS} different phrases", why=f"{phrases!r:.80} has {len(phrases)}"
            )
        for one in phrases:
            if len(one) > LONGEST or not analyse(one):
                raise UsageError(
                    f'"{one:.80}" cannot be a synonym', why="it has no word that the index keeps, or too many characters"
                )
        found.append(phrases)
    return sorted(found)


def widening(groups: Sequence[Sequence[str]], language: str) -> Callable[[str], list[str]]:
    """A function from a query to the phrases that mean the same as one of its own, in the order of groups."""
    analyse = analyser(language).analyze
    by_first: dict[str, list[tuple[list[str], int, int]]] = {}
    for at, group in enumerate(groups):
        for place, phrase in enumerate(group):
            terms = analyse(phrase)
            by_first.setdefault(terms[0], []).append((terms, at, place))

    def widened(query: str) -> list[str]:
        terms = analyse(query)
        seen: dict[int, set[int]] = {}
        for start, term in enumerate(terms):
            for wanted, at, place in by_first.get(term, ()):
                if terms[start : start + len(wanted)] == wanted:
                    seen.setdefault(at, set()).add(place)
        return list(
            dict.fromkeys(phrase for at in sorted(seen) for place, phrase in enumerate(groups[at]) if place not in seen[at])
        )

    return widened
