"""Help for tests: a transcription server that hears real words, with Moonshine tiny-en called directly.

Needs the extra `test`. It does what whisper servers do: JSON, verbose JSON with word times,
events, and a refusal of languages that it does not know. Moonshine gives no word times; those
told are spread over the audio by the words' lengths.
"""

from __future__ import annotations

import io
import json
import os
import threading
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from moonshine_voice import ModelArch
from moonshine_voice.transcriber import Transcriber

from voxmesh_runtime.audio import Samples
from voxmesh_stt_openai_audio.testing import Play, Upload, fails, says, streams

RATE_HERTZ = 16000


class Recogniser:
    """Answers uploads; one decode at a time.

    Args:
        is_plain: knows neither `verbose_json` nor events, as small servers do.
    """

    def __init__(self, *, is_plain: bool = False) -> None:
        os.environ["MOONSHINE_ORT_SINGLE_THREAD"] = "1"
        folder = Path(str(files("moonshine_voice"))) / "assets" / "tiny-en"
        options = {"vad_threshold": "0", "vad_max_segment_duration": "60", "return_audio_data": "false"}
        self._transcriber = Transcriber(folder, ModelArch.TINY, options=options)
        self._is_plain = is_plain
        self._lock = threading.Lock()

    def transcribe(self, speech: Samples) -> str:
        """The words of speech at 16 kHz."""
        audio = np.concatenate([speech, np.zeros(RATE_HERTZ // 2, np.float32)]).tolist()
        with self._lock:
            lines = self._transcriber.transcribe_without_streaming(audio, RATE_HERTZ).lines
        return " ".join(line.text.strip() for line in lines).strip()

    def answer(self, upload: Upload) -> Play:
        """The answer to a request."""
        fields = upload.fields
        if fields.get("language", "en") != "en":
            return fails(400, f"language {fields['language']!r} is not supported")
        is_verbose = fields["response_format"] == "verbose_json"
        if self._is_plain and is_verbose:
            return fails(400, "Currently only support response_format `text` or `json`")
        samples, _ = soundfile.read(io.BytesIO(upload.wav), dtype="float32")
        text = self.transcribe(samples.astype(np.float32))
        if is_verbose:
            return Play(json.dumps(_verbose(text, len(samples) / RATE_HERTZ)).encode())
        if fields.get("stream") == "true" and not self._is_plain:
            deltas = [{"type": "transcript.text.delta", "delta": f"{word} "} for word in text.split()]
            return streams(*deltas, {"type": "transcript.text.done", "text": text})
        return says(text)

    def close(self) -> None:
        """Free the model."""
        self._transcriber.close()


def _verbose(text: str, audio_s: float) -> dict[str, Any]:
    words = text.split()
    ends = np.cumsum([len(word) for word in words]) / max(1, sum(map(len, words))) * audio_s
    starts = [0.0, *ends[:-1].tolist()]
    times = [
        {"word": word, "start": start, "end": end}
        for word, start, end in zip(words, starts, ends.tolist(), strict=False)
    ]
    return {"text": text, "language": "english", "duration": audio_s, "words": times}
