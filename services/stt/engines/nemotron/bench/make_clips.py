"""Make the clips of tests/data: words that the test model knows, spoken by espeak-ng.

    python services/stt/engines/nemotron/bench/make_clips.py

espeak-ng comes with Debian; its voices are formant synthesis, not recordings.
"""

from __future__ import annotations

from pathlib import Path

import soundfile
from speech import RATE_HERTZ, spoken

FOLDER = Path(__file__).parent.parent / "tests" / "data"

CLIPS = {
    "counting": ("zero one two three four five six", "en-gb+m2", 137, 65),
    "asking": ("hello weather code please yes stop", "en-gb+m2", 137, 65),
    "claude": ("hello claude please", "en-gb+m2", 137, 65),
    "cloud": ("hello cloud weather", "en-gb", 138, 48),
}


def main() -> None:
    """Write one file for each clip."""
    for name, (text, voice, words_per_minute, pitch) in CLIPS.items():
        samples = spoken(text, voice, words_per_minute, pitch)
        soundfile.write(FOLDER / f"{name}.flac", samples, RATE_HERTZ, subtype="PCM_16")
        print(f"{name}.flac  {len(samples) / RATE_HERTZ:.1f} s  {text}")


if __name__ == "__main__":
    main()
