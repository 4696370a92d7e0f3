"""What is written of two words that sound alike, by what the context says: `python biasing.py WORDS.npz`.

Takes are those of `fixture.py speak`, of the voices that the tests' checkpoint never heard.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np

from voxmesh_stt.biasing import rich_context
from voxmesh_stt.engine import Phrase, RecognitionOptions
from voxmesh_stt_qwen_asr.backend import Speech
from voxmesh_stt_qwen_asr.settings import QwenAsrSettings
from voxmesh_stt_qwen_asr.transformers_backend import load_transformers

RARE, COMMON = "claude", "cloud"
HELD_OUT = ("en-gb-x-rp", "en-us+f5")
WORDS = Path(__file__).parent.parent / "tests" / "data" / "words"


def widened(*texts: str) -> str:
    """The context that the engine makes of phrases."""
    return rich_context(RecognitionOptions(phrases=tuple(map(Phrase, texts))), max_characters=1000)[0]


def main() -> None:
    """Print the table."""
    contexts = {
        "none": "",
        "others, widened": widened("river", "music"),
        "sparse, as it is": RARE,
        "sparse, widened": widened(RARE),
        "rich, widened": widened(RARE, "river", "weather", "project"),
        "sentence": f"We talk about {RARE}.",
    }
    takes = np.load(sys.argv[1])
    backend = load_transformers(WORDS, "cpu", QwenAsrSettings())
    print(f"| context | said {RARE!r} | said {COMMON!r} |\n|---|---|---|")
    for name, context in contexts.items():
        cells: list[str] = []
        for word in (RARE, COMMON):
            names = [name for name in takes.files if name.split("/")[0] == word and name.split("/")[1] in HELD_OUT]
            audio = [np.pad(takes[name], (5000, 3200)) for name in names]
            heard = [backend.decode([Speech(backend.track(context, None), 0, one)])[0].text for one in audio]
            cells.append(", ".join(f"{text} {count}/{len(heard)}" for text, count in Counter(heard).most_common()))
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
