"""Text to the phonemes that hibari speaks; what it cannot read is left out."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from hibari import Hibari
from hibari.tts import MAX_PHONEMES

log = logging.getLogger(__name__)

# Errors of the dictionary's rules on text that nobody foresaw.
_UNREADABLE = (ValueError, LookupError, ArithmeticError, AttributeError, TypeError)


def phonemes_of(model: Hibari, text: str) -> list[str]:
    """Phonemes of the text in strings that the model takes at once; none when nothing can be read."""
    strings = _read(model, text)
    if strings is None:
        words = [string for word in text.split() for string in _read(model, word) or ()]
        strings = [" ".join(words)]
    return [part for string in strings for part in _parts(string) if any(map(str.isalpha, part))]


def _read(model: Hibari, text: str) -> list[str] | None:
    try:
        return model.phonemize(text)
    except _UNREADABLE as error:
        # Neither the text nor the message, which may quote it.
        log.warning("text cannot be read", extra={"error": type(error).__name__, "characters": len(text)})
        return None


def _parts(phonemes: str) -> Iterator[str]:
    """`phonemes` cut at spaces into parts that are not too long."""
    while len(phonemes) > MAX_PHONEMES:
        end = phonemes.rfind(" ", 1, MAX_PHONEMES) + 1 or MAX_PHONEMES
        yield phonemes[:end]
        phonemes = phonemes[end:]
    yield phonemes
