"""A transcription server as an engine of the speech-to-text service."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import cast

import numpy as np

from voxmesh_runtime.batcher import SomeFailed
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import VoxmeshError
from voxmesh_runtime.loop_thread import LoopThread
from voxmesh_runtime.upstreams import check_address
from voxmesh_stt.engine import EngineInfo, RecognitionOptions, Step, Transcript
from voxmesh_stt.utterances import DecodeRequest, Hypothesis, Utterances
from voxmesh_stt_openai_audio.calls import Calls
from voxmesh_stt_openai_audio.probe import Abilities, connect
from voxmesh_stt_openai_audio.server import SAMPLE_RATE_HERTZ, Form, Server
from voxmesh_stt_openai_audio.session import Call, RemoteSession
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.wishes import Wishes, wishes_of


@dataclass(frozen=True, slots=True)
class _Connection:
    """What is there while the engine is loaded."""

    loop: LoopThread
    calls: Calls
    abilities: Abilities

    def submit(self, request: DecodeRequest[Wishes]) -> Call:
        """Send a stream's request."""
        if request.is_final:
            return self.loop.submit(self.calls.final(request.samples, request.state.final))
        return self.loop.submit(self.calls.interim(request.samples, request.state.interim))

    def close(self) -> None:
        """Give up what is under way and close all connections."""
        self.loop.submit(self.calls.server.close()).result()
        self.loop.close()


class OpenAiAudioEngine:
    """One server for all streams; see `voxmesh_stt.engine.Engine`.

    Raises:
        FailedPrecondition: no server is configured.
    """

    def __init__(self, context: EngineContext, settings: OpenAiAudioSettings) -> None:
        check_address(settings.base_url, "VOXMESH_OPENAI_AUDIO_BASE_URL")
        self._context = context
        self._settings = settings
        self._connection: _Connection | None = None
        self._utterances = Utterances[Wishes](_decode, settings)
        self.info = self._described(context.model or "", Abilities())

    def load(self) -> None:
        """Reach the server and find out what it can do; does nothing when that is known.

        Raises:
            FailedPrecondition: it has not the model, refuses the key, or takes no transcriptions.
            Unavailable: it is not there.
        """
        if self._connection is not None:
            return
        loop, server = LoopThread("openai-audio"), Server(self._settings)
        try:
            abilities = loop.submit(connect(server, self._settings, self._context.model)).result()
        except BaseException:
            loop.submit(server.close()).result()
            loop.close()
            raise
        self._connection = _Connection(loop, Calls(server, self._settings), abilities)
        self.info = self._described(server.model, abilities)

    def warm_up(self) -> None:
        """Have a second of faint noise transcribed, on the way that finals take."""
        connection = self._connected()
        noise = np.random.default_rng(seed=1).standard_normal(SAMPLE_RATE_HERTZ, np.float32) * 0.001
        form = Form(is_streamed=connection.abilities.streams)
        connection.loop.submit(connection.calls.final(noise, form)).result()

    def open(self, options: RecognitionOptions) -> RemoteSession:
        """A session for one stream.

        Raises:
            InvalidArgument: a phrase or the context holds a control token.
        """
        connection = self._connected()
        wishes, outcomes = wishes_of(options, self._settings, connection.abilities)
        return RemoteSession(self._utterances.open(options, wishes, outcomes), connection.submit)

    def step(self, steps: Sequence[Step]) -> Sequence[Sequence[Transcript]]:
        """Take new audio; the requests of all streams go out at once.

        Raises:
            SomeFailed: the server failed some streams' final results.
        """
        # The engine is given back only sessions that it opened.
        sessions = [cast("RemoteSession", step.session) for step in steps]
        for session, step in zip(sessions, steps, strict=True):
            session.begin(step.samples, is_final=step.is_final)
        while awaited := [session.awaited for session in sessions if session.awaited is not None]:
            wait(cast("list[Future[object]]", awaited), return_when=FIRST_COMPLETED)
            for session in sessions:
                session.advance()
        results = [session.taken() for session in sessions]
        if any(isinstance(result, VoxmeshError) for result in results):
            raise SomeFailed(results)
        return cast("list[list[Transcript]]", results)

    def close(self) -> None:
        """Close all connections."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> _Connection:
        if self._connection is None:
            raise RuntimeError("load() comes before the first use")
        return self._connection

    def _described(self, model: str, abilities: Abilities) -> EngineInfo:
        facts = ModelFacts(
            model=model,
            license=self._settings.license,
            device="upstream",
            device_reason="the model runs behind another server",
            language_codes=self._settings.language_codes,
        )
        size = self._settings.max_concurrent_requests
        return EngineInfo(facts, word_time_offsets=abilities.gives_words, max_batch_size=size)


def _decode(requests: Sequence[DecodeRequest[Wishes]]) -> Sequence[Hypothesis]:
    # Of what `Utterances` does only the sessions are used: a step that waits for all its requests
    # would make every stream wait for the slowest.
    raise NotImplementedError(f"{len(requests)} requests are for RemoteSession to send")
