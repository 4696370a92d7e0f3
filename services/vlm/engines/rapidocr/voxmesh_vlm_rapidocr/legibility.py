"""Whether what was made of a line is what it says.

The recogniser reads something into every script, often with great confidence, but little of it: a line of Kannada is a
full stop to it. So it is asked how many letters it found for the ink there is.
"""

from __future__ import annotations

import unicodedata

import cv2
import numpy as np

from voxmesh_vlm.engine import Picture

LEAST_CONFIDENCE = 0.7
"""What is read with less is no text, or wrong."""
LEAST_LETTERS = 0.6
"""In a stretch of ink as long as the line is high: Latin letters are 2, Chinese ones 1.1."""
READ = ("LATIN", "CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "FULLWIDTH", "HALFWIDTH", "IDEOGRAPHIC")
"""Unicode's words for the letters that are read well; of Greek some come out, without accents."""
_INK = 0.4
"""Of the strongest contrast in a line."""
_LEAST_CONTRAST = 40


def is_legible(crop: Picture, text: str, confidence: float) -> bool:
    """What was read of a line, cut out straight, is what it says."""
    letters = len("".join(text.split()))
    return (
        confidence >= LEAST_CONFIDENCE
        and letters >= LEAST_LETTERS * inked_length(crop)
        and letters > 0
        and _is_read(text)
    )


def inked_length(crop: Picture) -> float:
    """How long the ink of a line is without the gaps, in heights of the line."""
    grey = cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.int16)
    contrast = np.abs(grey - np.median(grey))
    inked = (contrast > _INK * max(_LEAST_CONTRAST, int(contrast.max()))).any(axis=0)
    return float(np.count_nonzero(inked)) / grey.shape[0]


def _is_read(text: str) -> bool:
    letters = [unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha()]
    return 2 * sum(word in READ for word in letters) >= len(letters)
