"""Write the tests' clips: `python clips.py FOLDER`; their words are in the folder's clips.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import soundfile
from speech import SAMPLE_RATE_HERTZ, speak  # pyright: ignore[reportMissingImports] # the script beside this one

CLIPS = {
    "numbers": ("hi", "एक तीन पाँच सात नौ", "", 140),
    "greeting": ("hi", "नमस्ते पानी आठ दस नहीं", "+m3", 140),
    "counting": ("kn", "ಒಂದು ಮೂರು ಐದು ಏಳು ನಮಸ್ಕಾರ", "", 140),
    "claude": ("hi", "नमस्ते क्लॉड", "+m3", 140),
    "two": ("hi", "दो", "", 140),
    "four": ("hi", "चार", "", 140),
}


def write(folder: Path) -> None:
    """Speech between short silences, as 16-bit FLAC."""
    for name, (language, text, variant, speed) in CLIPS.items():
        said = speak(language, text.split(), variant, speed)
        soundfile.write(folder / f"{name}.flac", np.pad(said.samples, 3200), SAMPLE_RATE_HERTZ, subtype="PCM_16")
    texts = {name: {"language": language, "text": text} for name, (language, text, _, _) in CLIPS.items()}
    (folder / "clips.json").write_text(json.dumps(texts, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
