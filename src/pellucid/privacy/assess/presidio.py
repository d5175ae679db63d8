"""Names in text by Presidio's recognisers, where `pip install presidio-analyzer` was done.

Only its recognisers by pattern and checksum are used: its engine wants a language model, which would have to be downloaded. The
e-mail recogniser would fetch the list of public suffixes from the network; here it uses the copy that comes with its package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pellucid.errors import UsageError

KINDS = ("EMAIL_ADDRESS", "IP_ADDRESS", "URL", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE")


def counter(minimum: float = 0.3) -> Callable[[Iterable[str]], dict[str, int]]:
    """A function from texts to how many of them hold each kind in `KINDS` with at least this score. Raises UsageError."""
    recognisers = _recognisers()

    def count(texts: Iterable[str]) -> dict[str, int]:
        found = dict.fromkeys(KINDS, 0)
        for text in texts:
            for kind, recogniser in recognisers.items():
                hits: list[Any] = recogniser.analyze(text=text, entities=[kind], nlp_artifacts=None) or []
                found[kind] += any(hit.score >= minimum for hit in hits)
        return found

    return count


def _recognisers() -> dict[str, Any]:
    try:
        from presidio_analyzer import predefined_recognizers as known
        from tldextract import TLDExtract
    except ImportError as error:
        raise UsageError("Presidio is not installed", fix="pip install presidio-analyzer") from error
    offline = TLDExtract(suffix_list_urls=(), cache_dir=None)

    class Email(known.EmailRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            return bool(offline(pattern_text).top_domain_under_public_suffix)

    made = (
        Email(),
        known.IpRecognizer(),
        known.UrlRecognizer(),
        known.PhoneRecognizer(),
        known.CreditCardRecognizer(),
        known.IbanRecognizer(),
    )
    return dict(zip(KINDS, made, strict=True))
