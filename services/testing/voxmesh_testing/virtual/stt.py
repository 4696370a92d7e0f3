"""A recogniser that reads the words out of the samples, so that audio that is sent again gives the same words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from voxmesh.stt.v1 import stt_pb2, stt_pb2_grpc
from voxmesh_runtime.clock import duration
from voxmesh_runtime.outcomes import applied
from voxmesh_runtime.settings import ServerSettings
from voxmesh_runtime.streams import AnyContext, StreamCall
from voxmesh_testing.virtual.service import FakeService, is_set
from voxmesh_testing.virtual.speech import Hearing

Request = stt_pb2.StreamingRecognizeRequest
Response = stt_pb2.StreamingRecognizeResponse

_OPTIONS = ("model", "language_codes", "interim_results", "word_time_offsets", "max_latency")


class FakeRecognizer(stt_pb2_grpc.SpeechToTextServiceServicer, FakeService):
    """Serves recognition."""

    def __init__(
        self,
        host: str = "somewhere",
        engine: str = "reader",
        languages: Iterable[str] = (),
        settings: ServerSettings | None = None,
    ) -> None:
        FakeService.__init__(self, engine, host, languages, settings=settings)
        self.language_code = ""
        """The language that it says it hears."""
        self.understands: Callable[[str], str] = lambda words: words
        """What it makes of the words."""
        self.interim_s, self.finalize_s = 0.04, 0.1
        """Time that an interim and a final transcript take, in seconds."""

    def register(self, server: Any) -> None:
        """Add it to a server."""
        stt_pb2_grpc.add_SpeechToTextServiceServicer_to_server(self, server)

    async def StreamingRecognize(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request_iterator: AsyncIterator[Request], context: AnyContext
    ) -> None:
        """Recognise one stream."""
        async with self.stream(request_iterator, context, Response) as (call, _):
            config = (await call.config()).config
            self.check_model(config.model)
            options = [applied(f"config.{name}") for name in _OPTIONS if is_set(config, name)]
            await call.send(Response(ready=self.ready(options)))
            await _Recognition(self, call, config).run()

    async def GetModelInfo(  # noqa: N802 # pyright: ignore[reportIncompatibleMethodOverride] # the contract's name
        self, request: stt_pb2.GetModelInfoRequest, context: AnyContext
    ) -> stt_pb2.GetModelInfoResponse:
        """Describe it."""
        del request, context
        return stt_pb2.GetModelInfoResponse(model_info=self.model_info(), streaming=True, mixed_languages=True)


class _Recognition:
    """One stream's."""

    def __init__(
        self, service: FakeRecognizer, call: StreamCall[Request, Response], config: stt_pb2.RecognitionConfig
    ) -> None:
        self._service, self._call = service, call
        self._rate_hertz = config.audio_format.sample_rate_hertz
        self._shows_interim = config.interim_results
        self._hearing = Hearing()
        self._position_s = 0.0
        self._utterance_index = self._shown = 0
        self._is_open = False

    async def run(self) -> None:
        """To the end of the requests, which finalizes what is open."""
        async for kind, request in self._call:
            await self._service.works()
            match kind:
                case "audio":
                    await self._listen(request.audio)
                case "finalize":
                    await self._finalize()
                case _:
                    self._forget()
        if self._is_open:
            await self._finalize()

    async def _listen(self, data: bytes) -> None:
        self._is_open = True
        self._position_s += len(data) / 2 / self._rate_hertz
        self._hearing.feed(data)
        if not self._shows_interim or len(self._hearing.words) == self._shown:
            return
        self._shown = len(self._hearing.words)
        work = self._service.work()
        work.start()
        await self._service.works(self._service.interim_s)
        result = self._result(" ".join(self._hearing.words), is_final=False)
        result.timing.CopyFrom(work.timing(is_output=True))
        result.received_audio_duration.CopyFrom(duration(self._position_s))
        await self._call.send(Response(result=result))

    async def _finalize(self) -> None:
        work = self._service.work()
        work.start()
        await self._service.works(self._service.finalize_s)
        self._hearing.flush()
        work.output()
        await self._call.send(Response(result=self._result(self._hearing.take(), is_final=True)))
        finalized = stt_pb2.Finalized(utterance_index=self._utterance_index, timing=work.timing(is_output=True))
        await self._call.send(Response(finalized=finalized))
        self._forget()

    def _forget(self) -> None:
        self._hearing, self._shown, self._is_open = Hearing(), 0, False
        self._utterance_index += 1

    def _result(self, text: str, *, is_final: bool) -> stt_pb2.RecognitionResult:
        return stt_pb2.RecognitionResult(
            utterance_index=self._utterance_index,
            transcript=self._service.understands(text),
            is_final=is_final,
            stable_character_count=len(text),
            language_code=self._service.language_code,
            end_offset=duration(self._position_s),
        )
