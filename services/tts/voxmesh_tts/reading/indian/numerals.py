"""Numbers in the words of Indian languages."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import cast

from voxmesh_tts.reading.indian import kannada

_CRORE = 10**7
_MOST = 10**9
"""From here on the library has no names."""


def cardinal(number: int, language: str) -> str:
    """A number that is not negative; digit by digit where the language has no name that people follow."""
    if language == "kn":
        return kannada.cardinal(number)
    if number < _MOST:
        return _library()(number, lang=language)
    if language == "hi" and number < _MOST * _CRORE:
        crores, rest = divmod(number, _CRORE)
        return f"{cardinal(crores, language)} करोड़" + (f" {cardinal(rest, language)}" if rest else "")
    return digits(str(number), language)


def digits(written: str, language: str) -> str:
    """Every digit of `written` by its name."""
    return " ".join(cardinal(int(digit), language) for digit in written if digit.isdecimal())


def number(written: str, language: str, point: str) -> str:
    """A number as it is written, such as 1,25,000.50, with the word for the decimal point."""
    whole, _, fraction = written.replace(",", "").partition(".")
    if not fraction and (len(whole) > 15 or (len(whole) > 1 and whole[0] == "0")):
        return digits(whole, language)
    words = cardinal(int(whole), language) if len(whole) < 16 else digits(whole, language)
    return f"{words} {point} {digits(fraction, language)}" if fraction else words


@cache
def _library() -> Callable[..., str]:
    # Its tables of 23 languages are only read for those who need them.
    from indic_numtowords import num2words  # noqa: PLC0415

    # One string, unless the caller asks for variations.
    return cast("Callable[..., str]", num2words)
