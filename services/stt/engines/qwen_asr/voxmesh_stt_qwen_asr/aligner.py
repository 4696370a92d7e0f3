"""Word times by the package's forced aligner, for finals whose caller wants them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from qwen_asr import Qwen3ForcedAligner

from voxmesh_stt.engine import Word
from voxmesh_stt_qwen_asr.attention import attend_within_windows
from voxmesh_stt_qwen_asr.backend import LONGEST_ALIGNED_S, SAMPLE_RATE_HERTZ, Spoken, long_enough
from voxmesh_stt_qwen_asr.languages import ALIGNER_NAMES


class Aligner:
    """A loaded forced aligner; its calls block and must not overlap.

    Args:
        folder: of the checkpoint.
        device: to run on.
    """

    def __init__(self, folder: Path, device: str) -> None:
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        kwargs: dict[str, Any] = {"dtype": dtype, "device_map": device, "attn_implementation": "sdpa"}
        self._model: Any = Qwen3ForcedAligner.from_pretrained(str(folder), **kwargs)
        attend_within_windows(self._model.model.eval().thinker.audio_tower)
        known: list[str] | None = self._model.get_supported_languages()
        self.languages = tuple(name for name in ALIGNER_NAMES if known is None or name.lower() in known)

    def align(self, finals: Sequence[Spoken]) -> list[tuple[Word, ...]]:
        """Words with times in seconds of their speech; none for what the aligner cannot take."""
        words: list[tuple[Word, ...]] = [()] * len(finals)
        taken = [index for index, final in enumerate(finals) if self._takes(final)]
        if not taken:
            return words
        results = self._model.align(
            audio=[(long_enough(finals[index].samples), SAMPLE_RATE_HERTZ) for index in taken],
            text=[finals[index].text for index in taken],
            language=[finals[index].language for index in taken],
        )
        for index, result in zip(taken, results, strict=True):
            words[index] = _words(result.items, len(finals[index].samples) / SAMPLE_RATE_HERTZ)
        return words

    def _takes(self, final: Spoken) -> bool:
        if final.language not in self.languages or len(final.samples) > LONGEST_ALIGNED_S * SAMPLE_RATE_HERTZ:
            return False
        # A text of punctuation alone has no words, which the package does not expect.
        return bool(self._model.aligner_processor.encode_timestamp(final.text, final.language)[0])


def _words(items: Sequence[Any], length_s: float) -> tuple[Word, ...]:
    """The words in order and within the speech, whatever the aligner thinks of their times."""
    words: list[Word] = []
    earliest_s = 0.0
    for item in items:
        start_s = min(max(item.start_time, earliest_s), length_s)
        words.append(Word(item.text, start_s, min(max(item.end_time, start_s), length_s)))
        earliest_s = start_s
    return tuple(words)
