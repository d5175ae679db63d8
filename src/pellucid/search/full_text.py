"""The full-text side of an index, on tantivy: which documents match, filters, counts, snippets, completion, spelling.

It is built in memory from the search index's own terms, which are not analysed again, by one writer in one go, and asked which documents
match; how they are ranked is `label_free`'s part. Stop words are not in it, so they do not count in a phrase either. The parser is only
given what is safe: it crashes on thousands of brackets, so a query is at most `LONGEST` characters and `DEEPEST` brackets deep, without
control characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import UsageError, suggest
from pellucid.search.label_free import LONGEST_QUERY, TITLE_WEIGHT
from pellucid.search.publication_dates import day_of, in_ranges, year_range
from pellucid.search.search_index import FIELDS, YEAR, unpack
from pellucid.search.spelling import Words
from pellucid.search.text_analysis import analyser

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pellucid.store import Model

LONGEST = 1000  # characters of a query
DEEPEST = 20  # brackets inside brackets
SNIPPET = 240  # characters
_HEAP = 64_000_000
_SYNTAX = re.compile(r'["()\[\]{}*:]|(^|\s)[-+]\S|\b(AND|OR|NOT)\b')
_EXCLUDED = re.compile(r'(^|\s|\()(-|NOT\s+)(\w+:)?("[^"]*"|[^\s()]+)')
_FIELD = re.compile(r"\b\w+:(?=\S)")
_WORD = re.compile(r"\w+", re.UNICODE)
_QUOTED = re.compile(r'"([^"]*)"')


@dataclass(frozen=True)
class Matches:
    """`documents`: the best by words, by number and sorted, at most as many as asked; `total`: how many match in all."""

    documents: NDArray[Any]
    total: int


@dataclass(frozen=True)
class Snippet:
    """A piece of a document's text, and the places (characters, begin and end) of the words that matched."""

    text: str
    marks: tuple[tuple[int, int], ...]


class FullText:
    """One index's full text. Built once; then only asked, by many threads."""

    def __init__(self, index: Model) -> None:
        import tantivy

        self._index = index
        self.facets = tuple(str(name) for name in index.settings["facets"])
        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("number", fast=True)
        for name in FIELDS:
            builder.add_text_field(name, tokenizer_name="words")
        self.years = str(index.settings["years"]) if index.settings.get("years") else ""
        builder.add_unsigned_field("year", indexed=True, fast=True)
        for place in range(len(self.facets)):
            builder.add_text_field(f"facet_{place}", tokenizer_name="raw", index_option="basic", fast=True)
        self._schema = builder.build()
        self._tantivy = tantivy.Index(self._schema)
        self._analyser = analyser(str(index.settings["language"]))
        self._tantivy.register_tokenizer("words", _terms_as_they_are())
        writer = self._tantivy.writer(_HEAP, 1)  # one writer: more would number documents in an order of chance
        for document in self._documents():
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self._tantivy.register_tokenizer("words", self._analyser)  # for queries and snippets, which are text
        self._tantivy.reload()
        self._searcher = self._tantivy.searcher()
        self._words = Words(index.arrays["words"].tolist(), index.arrays["words.documents"])

    def _documents(self) -> Iterator[Any]:
        import tantivy

        terms, tokens = self._index.arrays["terms"].tolist(), self._index.arrays["tokens"]
        ends = self._index.arrays["tokens.ends"].tolist()
        for number in range(len(self._index.arrays["id"])):
            document = tantivy.Document()
            document.add_unsigned("number", number)
            for place, name in enumerate(FIELDS, 2 * number):
                document.add_text(name, " ".join([terms[token] for token in tokens[ends[place] : ends[place + 1]].tolist()]))
            if self.years and (day := day_of(unpack(self._index, self.years, number))):
                document.add_unsigned("year", day.year)
            for place, name in enumerate(self.facets):
                if value := unpack(self._index, name, number):
                    document.add_text(f"facet_{place}", value)
            yield document

    def parsed(self, query: str, filters: Mapping[str, Sequence[str]]) -> tuple[Any, tuple[str, ...]]:
        """The query in tantivy's form, with filters, and notes on what of it could not be used."""
        import tantivy

        notes: tuple[str, ...] = ()
        if not query.strip():
            asked = tantivy.Query.all_query()
        elif _SYNTAX.search(query) and _depth(query) <= DEEPEST:
            phrases = _QUOTED.sub(self._without_stop_words, query)
            asked, problems = self._tantivy.parse_query_lenient(phrases, list(FIELDS), field_boosts={"title": TITLE_WEIGHT})
            notes = tuple(dict.fromkeys(_explained(problem) for problem in problems))
            if problems:
                asked = self._plain(query)
        else:
            if _SYNTAX.search(query):
                notes = (f"more than {DEEPEST} brackets inside each other: taken as words",)
            asked = self._plain(query)
        parts = [(tantivy.Occur.Must, asked)]
        for name, values in filters.items():
            if name == YEAR and self.years:
                spans = [(tantivy.Occur.Should, self._span(*year_range(value))) for value in values]
                parts.append((tantivy.Occur.Must, tantivy.Query.boolean_query(spans)))
                continue
            if name not in self.facets:
                known = (*self.facets, *((YEAR,) if self.years else ()))
                raise UsageError(f'there is no filter "{name}"', fix=suggest(name, known) if known else "This index has none")
            field = f"facet_{self.facets.index(name)}"
            either = [(tantivy.Occur.Should, tantivy.Query.term_query(self._schema, field, value)) for value in values]
            parts.append((tantivy.Occur.Must, tantivy.Query.boolean_query(either)))
        return (asked if len(parts) == 1 else tantivy.Query.boolean_query(parts)), notes

    def _span(self, first: int, last: int) -> Any:
        import tantivy

        return tantivy.Query.range_query(self._schema, "year", tantivy.FieldType.Unsigned, first, last)

    def _without_stop_words(self, phrase: re.Match[str]) -> str:
        """A phrase without the words that the index does not have, so that those on their two sides are neighbours as they are there."""
        return '"' + " ".join(word for word in _WORD.findall(phrase[1]) if self._analyser.analyze(word)) + '"'

    def _plain(self, query: str) -> Any:
        """Any of the words, without syntax and without the parser."""
        import tantivy

        either = []
        for term in dict.fromkeys(self._analyser.analyze(query)[:LONGEST_QUERY]):
            for name, boost in (("title", TITLE_WEIGHT), ("text", 1.0)):
                one = tantivy.Query.term_query(self._schema, name, term)
                either.append((tantivy.Occur.Should, one if boost == 1.0 else tantivy.Query.boost_query(one, boost)))
        return tantivy.Query.boolean_query(either) if either else tantivy.Query.empty_query()

    def matches(self, parsed: Any, most: int) -> Matches:
        """The documents that match, the best `most` of them by words."""
        import numpy as np

        found: Any = self._searcher.search(parsed, limit=most + 1, count=True)
        hits = found.hits
        if len(hits) > most:  # equal scores at the edge come in an order of chance: none of them is taken
            edge = hits[-1][0]
            hits = [hit for hit in hits if hit[0] > edge] or hits[:most]
        numbers: Any = self._searcher.fast_field_values("number", [address for _, address in hits])
        return Matches(np.array(sorted(numbers), dtype=np.int64), int(found.count))

    def counts(self, parsed: Any, most: int = 50) -> dict[str, list[tuple[str, int]]]:
        """For each facet the values of the documents that match, most frequent first, with how many have each."""
        if not self.facets and not self.years:
            return {}
        asked = {f"facet_{place}": {"terms": {"field": f"facet_{place}", "size": most}} for place in range(len(self.facets))}
        if self.years:
            asked["years"] = {"terms": {"field": "year", "size": 10_000}}
        told = self._searcher.aggregate(parsed, asked)
        found = {}
        for place, name in enumerate(self.facets):
            buckets = [(str(one["key"]), int(one["doc_count"])) for one in told[f"facet_{place}"]["buckets"]]
            found[name] = sorted(buckets, key=lambda bucket: (-bucket[1], bucket[0]))
        if self.years:
            found[YEAR] = in_ranges({int(one["key"]): int(one["doc_count"]) for one in told["years"]["buckets"]})
        return found

    def snippet(self, parsed: Any, document: int, field: str = "text", length: int = SNIPPET) -> Snippet:
        """The piece of a document's field that shows most of the query, or its beginning."""
        import tantivy

        text = unpack(self._index, field, document)
        maker = tantivy.SnippetGenerator.create(self._searcher, parsed, self._schema, field)
        maker.set_max_num_chars(length)
        shown = tantivy.Document()
        shown.add_text(field, text)
        found = maker.snippet_from_doc(shown)
        piece = found.fragment()
        if not piece:
            cut = text if len(text) <= length else text[:length].rsplit(" ", 1)[0] + " …"
            return Snippet(cut, ())
        data = piece.encode()
        marks = tuple(
            (len(data[: one.start].decode(errors="ignore")), len(data[: one.end].decode(errors="ignore")))
            for one in found.highlighted()
        )
        return Snippet(piece, marks)

    def completions(self, text: str, most: int = 8) -> list[str]:
        """The text with its last word completed to words of the documents, most frequent first."""
        *before, last = text.lower().split(" ") if text.strip() else [""]
        words = _WORD.findall(last)
        if not words or len(last) > 40:
            return []
        prefix = words[-1]
        found = self._words.beginning_with(prefix, most + 1)
        head = " ".join([*before, last[: len(last) - len(prefix)]]).strip()
        return [f"{head} {word}".strip() for word in found if word != prefix][:most]

    def did_you_mean(self, query: str) -> str | None:
        """The query with words that no document has replaced by the nearest that one has; None where nothing is replaced."""
        if _SYNTAX.search(query):
            return None
        return self._words.corrected(query)


def _terms_as_they_are() -> Any:
    """The analyser of what is analysed already."""
    import tantivy

    return tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.whitespace()).build()


def checked_query(query: str) -> str:
    """The query without control characters. Raises UsageError for one that is too long."""
    if len(query) > LONGEST:
        raise UsageError(f"the query has {len(query):,} characters", fix=f"At most {LONGEST:,} are looked at")
    kept = "".join(one if one.isprintable() or ord(one) > 0xA0 else " " for one in query)
    return " ".join("".join("" if 0xD800 <= ord(one) < 0xE000 else one for one in kept).split())


def uses_syntax(query: str) -> bool:
    """Whether a query has quotes, brackets, signs, a field or AND, OR, NOT, so that the parser must read it."""
    return bool(_SYNTAX.search(query))


def asked_words(query: str) -> str:
    """What a query is to be ranked by: its words without those that are excluded, names of fields, AND, OR and NOT."""
    if uses_syntax(query):
        query = re.sub(r"\b(AND|OR|NOT)\b", " ", _FIELD.sub(" ", _EXCLUDED.sub(" ", query)))
    return " ".join(_WORD.findall(query))


def _depth(query: str) -> int:
    deepest = now = 0
    for one in query:
        now += (one in "([{") - (one in ")]}")
        deepest = max(deepest, now)
    return deepest


def _explained(problem: Any) -> str:
    said = str(problem)
    field = re.search(r"[Ff]ield(?: does not exist)?:? ?['\"]?([\w.]+)", said)
    if "FieldDoesNotExist" in type(problem).__name__ or "exist" in said:
        return f'there is no field "{field[1] if field else said}": taken as words'
    return "the query is not well formed: taken as words"
