"""Numbers in Kannada, and the endings that grow together with them.

`indic-numtowords` 1.1.0 calls 83 as 82 and every hundred with a ten by a word that is no number.
"""

from __future__ import annotations

from typing import Final

_BELOW_TWENTY: Final = (
    "ಸೊನ್ನೆ ಒಂದು ಎರಡು ಮೂರು ನಾಲ್ಕು ಐದು ಆರು ಏಳು ಎಂಟು ಒಂಬತ್ತು ಹತ್ತು ಹನ್ನೊಂದು ಹನ್ನೆರಡು ಹದಿಮೂರು ಹದಿನಾಲ್ಕು "
    "ಹದಿನೈದು ಹದಿನಾರು ಹದಿನೇಳು ಹದಿನೆಂಟು ಹತ್ತೊಂಬತ್ತು"
).split()
_TENS: Final = "- - ಇಪ್ಪತ್ತ ಮೂವತ್ತ ನಲವತ್ತ ಐವತ್ತ ಅರವತ್ತ ಎಪ್ಪತ್ತ ಎಂಬತ್ತ ತೊಂಬತ್ತ".split()
"""Without the vowel of their own, which gives way to that of what follows."""
_AFTER_TENS: Final = "ು ೊಂದು ೆರಡು ಮೂರು ನಾಲ್ಕು ೈದು ಾರು ೇಳು ೆಂಟು ೊಂಬತ್ತು".split()
_HUNDREDS: Final = "- ನೂರು ಇನ್ನೂರು ಮುನ್ನೂರು ನಾನೂರು ಐನೂರು ಆರುನೂರು ಏಳುನೂರು ಎಂಟುನೂರು ಒಂಬೈನೂರು".split()
_SCALES: Final = ((10**7, "ಕೋಟಿ", "ಕೋಟಿ"), (10**5, "ಲಕ್ಷ", "ಲಕ್ಷದ"), (10**3, "ಸಾವಿರ", "ಸಾವಿರದ"))
"""Value, name, and name before a smaller number."""
_U: Final = "\u0cc1"


def cardinal(number: int) -> str:
    """25 as "ಇಪ್ಪತ್ತೈದು"."""
    words: list[str] = []
    for value, name, before_more in _SCALES:
        count, number = divmod(number, value)
        if count:
            words += [cardinal(count), before_more if number else name]
    if number or not words:
        words.append(_below_thousand(number))
    return " ".join(words)


def with_ending(words: str, ending: str) -> str:
    """A number with what is written at it: "ಇಪ್ಪತ್ತಾರು" and "ರಲ್ಲಿ" are "ಇಪ್ಪತ್ತಾರರಲ್ಲಿ"."""
    return words.removesuffix(_U) + ending


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if not hundreds:
        return _below_hundred(rest)
    return f"{_HUNDREDS[hundreds].removesuffix(_U)} {_below_hundred(rest)}" if rest else _HUNDREDS[hundreds]


def _below_hundred(number: int) -> str:
    if number < len(_BELOW_TWENTY):
        return _BELOW_TWENTY[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + _AFTER_TENS[ones]
