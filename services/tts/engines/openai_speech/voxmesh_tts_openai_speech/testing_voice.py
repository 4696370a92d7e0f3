"""Help for tests: a speech server that speaks real words, with hibari called directly. Needs the extra `test`."""

from __future__ import annotations

import threading

import numpy as np
from hibari import Hibari
from hibari.tts import MAX_PHONEMES

from voxmesh_runtime.audio import Samples
from voxmesh_testing.http import Play, fails
from voxmesh_tts_openai_speech.testing import SpeechRequest, as_asked

VOICES = {"voices": [{"id": "af_heart", "name": "af_heart", "language": "en-US"}]}
_UNREADABLE = (ValueError, LookupError, ArithmeticError, AttributeError, TypeError)


class SpeakingVoice:
    """Answers requests; one at a time."""

    def __init__(self) -> None:
        self._model = Hibari(threads=1)
        self._lock = threading.Lock()

    def answer(self, request: SpeechRequest) -> Play:
        """The answer to a request; no audio for what cannot be spoken."""
        fields = request.fields
        if fields["voice"] != "af_heart":
            return fails(400, f"Voice '{fields['voice']}' not found")
        speed = float(fields.get("speed", 1.0))
        if not 0.25 <= speed <= 4.0:  # noqa: PLR2004 # OpenAI's limits
            return fails(422, "speed must be from 0.25 to 4")
        with self._lock:
            return as_asked(self._spoken(fields["input"], min(2.0, max(0.5, speed))), request)

    def _spoken(self, text: str, speed: float) -> Samples:
        try:
            strings = self._model.phonemize(text)
        except _UNREADABLE:
            strings = []
        strings = [string[:MAX_PHONEMES] for string in strings if any(map(str.isalpha, string))]
        parts = [self._model.from_phonemes(string, speed, seed=0) for string in strings]
        return np.concatenate([np.zeros(0, np.float32), *parts])
