"""Requests to the server: what it serves, and one transcription."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2
import numpy as np

from voxmesh_runtime.audio import Samples, wav_bytes
from voxmesh_runtime.http_upstream import HttpUpstream, json_of, kind_of_body, parts_of_body, whole_body
from voxmesh_runtime.upstreams import ServerFailure, quotable
from voxmesh_stt_openai_audio.answers import Answer, answer_of, cleaned
from voxmesh_stt_openai_audio.events import EventLines, StreamedText
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings

SAMPLE_RATE_HERTZ = 16000
_MIN_SAMPLES = SAMPLE_RATE_HERTZ // 2
"""Shorter audio is filled up with silence: servers refuse less than 0.1 s."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of one transcription request beside model and audio."""

    language: str = ""
    """ISO-639 code; empty lets the server detect."""
    prompt: str = ""
    is_verbose: bool = False
    wants_words: bool = False
    is_streamed: bool = False


class Server:
    """One address with one model; used on one event loop."""

    def __init__(self, settings: OpenAiAudioSettings) -> None:
        self.model = ""
        self._settings = settings
        self._http = HttpUpstream(
            settings.base_url, settings.api_key, settings.connect_timeout_s, settings.max_concurrent_requests + 1
        )
        extra = {name: _text(value) for name, value in settings.extra_fields.items()}
        self._fields: dict[str, str] = {"temperature": "0", **extra}

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def models(self) -> tuple[str, ...]:
        """The models that the server lists.

        Raises:
            ServerFailure: it does not answer, or has no list.
        """
        return await self._http.models()

    async def transcribe(self, samples: Samples, form: Form, written: StreamedText | None = None) -> Answer:
        """The text of speech at 16 kHz.

        Args:
            samples: of one utterance.
            form: what is wanted of it.
            written: where a streamed text can be read while it grows.

        Raises:
            ServerFailure: there is none.
        """
        missing = max(0, _MIN_SAMPLES - len(samples))
        wav = wav_bytes(np.pad(samples, (0, missing)), SAMPLE_RATE_HERTZ)
        files = {"file": ("speech.wav", wav, "audio/wav")}
        async with self._http.answered("POST", "/audio/transcriptions", data=self._data(form), files=files) as response:
            # A server that does not stream answers at once, whatever it was asked.
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                return await self._streamed(response, written or StreamedText())
            body = json_of(response, await whole_body(response))
        answer = answer_of(body, len(samples) / SAMPLE_RATE_HERTZ)
        if answer is None:
            raise ServerFailure(f"the server answered {kind_of_body(response)} that is no transcription")
        return answer

    def _data(self, form: Form) -> dict[str, str | list[str]]:
        data: dict[str, str | list[str]] = {"model": self.model, **self._fields}
        data["response_format"] = "verbose_json" if form.is_verbose else "json"
        if form.wants_words:
            data["timestamp_granularities[]"] = ["word"]
        if form.language:
            data["language"] = form.language
        if form.prompt:
            data["prompt"] = form.prompt
        if form.is_streamed:
            data["stream"] = "true"
        return data

    async def _streamed(self, response: httpx2.Response, written: StreamedText) -> Answer:
        lines = EventLines()
        try:
            async for part in parts_of_body(response):
                for data in lines.feed(part):
                    written.take(data)
            for data in lines.end():
                written.take(data)
        except (ValueError, RecursionError):
            raise ServerFailure("the server sent events that are no transcription") from None
        if written.error is not None:
            quote = quotable(written.error, self._settings.api_key)
            raise ServerFailure("the server broke off its answer", quote=quote, is_transient=True)
        if not written.is_whole:
            raise ServerFailure("the answer broke off", is_transient=True)
        text, language = cleaned(written.text)
        return Answer(text, language, is_streamed=True)


def _text(value: str | float) -> str:
    # Forms have no types; `true` is how servers read a bool.
    return str(value).lower() if isinstance(value, bool) else str(value)
