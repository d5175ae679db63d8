"""From text to terms: words in lower case, accents folded, stop words left out, cut to their stems (Snowball), by tantivy.

The same analyser is used for documents and queries, for the ranking's own arrays and for the full-text index.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pellucid.errors import UsageError, suggest

if TYPE_CHECKING:
    import tantivy

LONGEST = 40  # bytes of a word; what is longer is no word anyone searches for
LANGUAGES = (
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "greek", "hungarian", "italian", "norwegian", "portuguese",
    "romanian", "russian", "spanish", "swedish", "tamil", "turkish",
)  # fmt: skip
_WITHOUT_STOP_WORDS = {"arabic", "greek", "romanian", "tamil", "turkish"}  # tantivy has no list for them

# Words of grammar, which say nothing about what a text is about.
_ENGLISH = """
a about above across after again against all almost along already also although always am among an and another any anyone anything are
around as at away back be became because been before behind being below between both but by came can cannot come could d did do does
doing done down during each either else ever every few for from further get give go goes gone had has have having he her here hers
herself him himself his how however i if in into is it its itself just ll least less let like m made make many may me might more most
much must my myself neither never no nobody none nor not nothing now of off often on once one only onto or other others ought our ours
ourselves out over own per perhaps put quite rather re s same see seem seemed seems several shall she should since so some someone
something still such t take than that the their theirs them themselves then there therefore these they thing this those though through
thus to together too toward towards under until up upon us ve very was we well were what whatever when where whether which while who
whole whom whose why will with within without would yet you your yours yourself yourselves
"""


def checked_language(language: str) -> str:
    """The language in lower case, or UsageError."""
    lower = str(language).lower()
    if lower not in LANGUAGES:
        raise UsageError(f'there is no analyser for the language "{language}"', fix=suggest(lower, LANGUAGES))
    return lower


@cache
def analyser(language: str) -> tantivy.TextAnalyzer:
    """The analyser of a language; `.analyze(text)` gives the terms in order."""
    import tantivy
    from tantivy import Filter

    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    builder = builder.filter(Filter.remove_long(LONGEST)).filter(Filter.lowercase())
    if language == "english":
        builder = builder.filter(Filter.ascii_fold()).filter(Filter.custom_stopword(_ENGLISH.split()))
    elif language not in _WITHOUT_STOP_WORDS:
        builder = builder.filter(Filter.stopword(language))
    builder = builder.filter(Filter.stemmer(language))
    return (builder if language == "english" else builder.filter(Filter.ascii_fold())).build()


@cache
def plain_analyser() -> tantivy.TextAnalyzer:
    """Whole words in lower case, neither stemmed nor left out: for completion and spelling."""
    import tantivy
    from tantivy import Filter

    return (
        tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
        .filter(Filter.remove_long(LONGEST))
        .filter(Filter.lowercase())
        .build()
    )
