"""One spoken turn in one process: the coordinator's rules with the models called directly."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial

from benchmarks.milestones import Milestones
from benchmarks.single_models import Models
from benchmarks.speech import FRAME_S, Question, Speaker
from voxmesh_client.asking import REPLY_HERTZ
from voxmesh_client.sound import pcm
from voxmesh_coordinator.durability.history import History
from voxmesh_coordinator.session.adapters.policy import PAUSE_S
from voxmesh_coordinator.settings import CoordinatorSettings
from voxmesh_coordinator.turn.endpointing import Endpointing
from voxmesh_runtime.audio import Encoder, ModelInput, Samples
from voxmesh_stt.engine import RecognitionOptions, Step, Transcript
from voxmesh_stt.engine import Session as SttSession
from voxmesh_stt.inbox import Finalize, Inbox
from voxmesh_tts.clauses import ClauseCutter
from voxmesh_tts.engine import Session as TtsSession
from voxmesh_tts.engine import SpokenWord, SynthesisOptions
from voxmesh_tts.reading import Reader
from voxmesh_turn.engine import DetectionOptions, Event, SpeechStarted, SpeechStopped
from voxmesh_turn.engine import Session as TurnSession

_KEPT_S = 10.0
"""Audio kept while nobody is known to speak, in seconds."""
_MAX_PENDING_S = 30.0


class Listening:
    """The microphone's side: turn detection, and recognition while somebody speaks."""

    def __init__(self, models: Models, turn: TurnSession, stt: SttSession, settings: CoordinatorSettings) -> None:
        self._models = models
        self._turn = turn
        self._stt = stt
        self._pre_roll_s = settings.pre_roll_s
        self._endpointing = Endpointing(
            settings.min_end_of_turn_wait_s, settings.max_end_of_turn_wait_s, settings.end_of_turn_probability
        )
        rate = self.rate_hertz = models.turn.info.sample_rate_hertz
        self.inbox = Inbox(round(models.stt.info.step_s * rate), round(_MAX_PENDING_S * rate))
        self._kept = deque[Samples](maxlen=round(_KEPT_S / FRAME_S))
        self._heard_s = 0.0
        self._is_speaking = False
        self._stopped_at_s = 0.0
        self._verdict: asyncio.Task[float] | None = None
        self.ended = asyncio.Event()
        self.ended_ns = 0

    async def hear(self, samples: Samples) -> None:
        """Take the next frame."""
        self._heard_s += len(samples) / self.rate_hertz
        if self.ended.is_set():
            return
        if self._is_speaking:
            await self.inbox.put_audio(samples)
        else:
            self._kept.append(samples)
        for event in self._turn.feed(samples):
            await self._take(event)
        await self._judge()

    async def transcript(self) -> str:
        """What was said, once the turn is over."""
        finals: list[str] = []
        while (portion := await self.inbox.take()) is not None:
            is_final = portion.command is not None
            completed = await self._models.recognizer.run(Step(self._stt, portion.samples, is_final))
            finals += _final_texts(completed.result)
            if is_final:
                break
        return " ".join(finals)

    async def _take(self, event: Event) -> None:
        match event:
            case SpeechStarted(offset_s):
                self._verdict = None
                if not self._is_speaking:
                    self._is_speaking = True
                    await self._catch_up(offset_s)
            case SpeechStopped(offset_s):
                self._stopped_at_s = offset_s
                self._verdict = asyncio.create_task(self._probability(event.turn))
                self._verdict.add_done_callback(lambda _: asyncio.ensure_future(self._judge()))

    async def _catch_up(self, offset_s: float) -> None:
        """Recognition gets the audio from a little before the start of speech on."""
        wanted = round((self._heard_s - offset_s + self._pre_roll_s) / FRAME_S)
        for samples in list(self._kept)[-wanted:]:
            await self.inbox.put_audio(samples)

    async def _probability(self, turn: Samples) -> float:
        return (await self._models.judge.run(turn)).result

    async def _judge(self) -> None:
        verdict = self._verdict
        if verdict is None or not verdict.done() or self.ended.is_set():
            return
        if self._heard_s - self._stopped_at_s >= self._endpointing.wait_s(verdict.result(), ""):
            self.ended_ns = time.time_ns()
            self.ended.set()
            await self.inbox.put(Finalize())


class Replying:
    """The reply's side: the language model writes, the voice speaks each clause once it is complete."""

    def __init__(self, models: Models, session: TtsSession, settings: CoordinatorSettings) -> None:
        self._models = models
        self._session = session
        self._history, self._prompt = History(settings.history_characters), settings.system_prompt
        self._cutter = ClauseCutter(models.tts.info.clause_limits, Reader("en-US").read)
        self._clauses = asyncio.Queue[str | None]()
        self._encoder = Encoder(pcm(REPLY_HERTZ))
        self.text = ""
        self.first_token_ns = 0
        self.first_audio_ns = 0

    async def reply(self, said: str) -> None:
        """Answer to the end."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._speak())
            async for delta in self._models.chat.ask(self._history.request(self._prompt, [said])):
                self.first_token_ns = self.first_token_ns or time.time_ns()
                self.text += delta
                for clause in self._cutter.feed(delta):
                    self._clauses.put_nowait(clause.text)
            for clause in self._cutter.flush():
                self._clauses.put_nowait(clause.text)
            self._clauses.put_nowait(None)

    async def _speak(self) -> None:
        while (clause := await self._clauses.get()) is not None:
            async with aclosing(self._models.voice.iterate(partial(self._session.synthesize, clause))) as pieces:
                async for piece in pieces:
                    self._play(piece.result)

    def _play(self, piece: Samples | SpokenWord) -> None:
        if not isinstance(piece, SpokenWord):
            self._encoder.encode(piece)
            self.first_audio_ns = self.first_audio_ns or time.time_ns()


class SingleTurn:
    """Asks one question of the models in this process."""

    def __init__(self, models: Models, question: Question, settings: CoordinatorSettings) -> None:
        self._models = models
        self._question = question
        self._settings = settings
        self._speaker = Speaker(question)

    async def run(self) -> Milestones:
        """Ask, and wait until the reply is complete."""
        models, settings = self._models, self._settings
        turn = models.turn.open(DetectionOptions(min_silence_s=PAUSE_S))
        stt = await models.recognizer.thread.call(lambda: models.stt.open(RecognitionOptions(interim_results=True)))
        voice = models.tts.info.voices[0]
        options = SynthesisOptions(voice.name, voice.language_codes[0])
        tts = await models.voice.thread.call(lambda: models.tts.open(options))
        try:
            return await self._ask(Listening(models, turn, stt, settings), Replying(models, tts, settings))
        finally:
            turn.close()
            models.recognizer.thread.post(stt.close)
            models.voice.thread.post(tts.close)

    async def _ask(self, listening: Listening, replying: Replying) -> Milestones:
        answered = asyncio.Event()
        model_input = ModelInput(pcm(self._question.sample_rate_hertz), listening.rate_hertz)

        async def send(frame: bytes) -> None:
            await listening.hear(model_input.feed(frame))

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._speaker.speak(send, answered))
            text = await listening.transcript()
            final_ns = time.time_ns()
            await replying.reply(text)
            answered.set()
        began_ns = self._speaker.speech_ended_ns
        return Milestones(
            turn_ended_s=(listening.ended_ns - began_ns) / 1e9,
            final_s=(final_ns - began_ns) / 1e9,
            first_token_s=(replying.first_token_ns - began_ns) / 1e9,
            first_audio_s=(replying.first_audio_ns - began_ns) / 1e9,
            text=text,
            reply=replying.text,
        )


def _final_texts(transcripts: Sequence[Transcript]) -> list[str]:
    return [transcript.text for transcript in transcripts if transcript.is_final and transcript.text]
