"""Benchmark `echo`: what interrupts a reply, judged by words alone and by sound and words, with the real models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.echo_scenes import RATE_HERTZ, REPLIES, Scene, Studio
from benchmarks.result import Result, Table
from voxmesh_coordinator.session.adapters.echo import (
    EARLIEST_S,
    HOP_S,
    LATEST_S,
    LEAD_S,
    NOISE_S,
    SPEECH_S,
    likeness,
    spectrogram,
    weigh,
)
from voxmesh_coordinator.settings import BACKCHANNELS, INTERRUPTIONS
from voxmesh_coordinator.turn.overlap import Overlap, Source, judge
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt_moonshine.engine import MoonshineEngine
from voxmesh_stt_moonshine.settings import MoonshineSettings
from voxmesh_turn.engine import DetectionOptions, SpeechStarted
from voxmesh_turn_silero_smart_turn.session import SileroSession
from voxmesh_turn_silero_smart_turn.voice import Detectors

FRAME = RATE_HERTZ // 50
PRE_ROLL_S, PAUSE_S, DUCK_GAIN, LOWERED_AFTER_S = 0.5, 0.1, 0.25, 0.05
AHEAD_S = 1.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A new transcript of speech over a reply."""

    at_s: float
    began_s: float
    words: str
    is_final: bool
    is_over: bool


class Hearing:
    """What turn detection and recognition make of one scene."""

    def __init__(self, scene: Scene, engine: MoonshineEngine) -> None:
        self.scene = scene
        self.heard: Samples = np.zeros_like(scene.own)
        self.moments: list[Moment] = []
        self._engine = engine
        self._session = engine.open(RecognitionOptions(interim_results=True))
        self._texts: list[str] = []
        self._interim = ""
        self._began_s: float | None = None

    def run(self) -> None:
        """Hear the whole scene in frames of 20 ms; the reply is lowered while somebody seems to speak over it."""
        volume = np.ones_like(self.scene.own)
        voice = SileroSession(DetectionOptions(min_silence_s=PAUSE_S), Detectors(), 8 * RATE_HERTZ)
        for begin in range(0, len(self.heard) - FRAME, FRAME):
            now = begin + FRAME
            self.heard[begin:now] = self._frame(begin, volume)
            is_new = False
            for event in voice.feed(self.heard[begin:now]):
                is_start = isinstance(event, SpeechStarted)
                volume[now + round(LOWERED_AFTER_S * RATE_HERTZ) :] = DUCK_GAIN if is_start else 1
                if isinstance(event, SpeechStarted) and self._began_s is None:
                    self._begin(event.offset_s, now)
                    is_new = True
                elif not is_start and self._began_s is not None:
                    self._take(self.heard[begin:now], now, is_over=True)
                    self._began_s = None
                    voice.new_turn()
            if self._began_s is not None and not is_new:
                self._take(self.heard[begin:now], now, is_over=False)
        voice.close()
        self._session.close()

    def _frame(self, begin: int, volume: Samples) -> Samples:
        frame = self.scene.own[begin : begin + FRAME].copy()
        source = begin - round(self.scene.echo_delay_s * RATE_HERTZ)
        if self.scene.echo is not None and source >= 0:
            frame += self.scene.echo[source : source + FRAME] * volume[source : source + FRAME]
        return (np.round(np.clip(frame, -1, 1) * 32767) / 32768).astype(np.float32)

    def _begin(self, offset_s: float, now: int) -> None:
        self._session.discard()
        self._began_s, self._interim = offset_s, ""
        self._texts.clear()
        self._take(self.heard[max(0, round((offset_s - PRE_ROLL_S) * RATE_HERTZ)) : now], now, is_over=False)

    def _take(self, samples: Samples, now: int, *, is_over: bool) -> None:
        (transcripts,) = self._engine.step([Step(self._session, samples, is_final=is_over)])
        for each in transcripts:
            self._texts += [each.text] if each.is_final and each.text else []
            self._interim = "" if each.is_final else each.text
            words = " ".join([*self._texts, self._interim]).strip()
            self.moments.append(Moment(now / RATE_HERTZ, self._began_s or 0.0, words, not self._interim, is_over))


def measure_echo(seed: int = 5) -> Result:
    """Play all scenes of a seed, and count what interrupts under both rules."""
    studio = Studio(seed)
    engine = MoonshineEngine(EngineContext(), MoonshineSettings(interim_share=1.0))
    engine.load()
    counts: Counter[tuple[str, str]] = Counter()
    for scene in studio.scenes():
        hearing = Hearing(scene, engine)
        hearing.run()
        if not hearing.moments:
            continue
        counts[scene.kind, "scenes"] += 1
        for rule, by_sound in (("words", False), ("sound and words", True)):
            counts[scene.kind, f"{rule}: {_outcome(hearing, studio, by_sound=by_sound)}"] += 1
    engine.close()
    return Result("echo", [_table(counts)], {f"{kind}, {what}": count for (kind, what), count in counts.items()})


def _outcome(hearing: Hearing, studio: Studio, *, by_sound: bool) -> str:
    """`stopped`, `too early`: before the person spoke, or `went on`."""
    for moment in hearing.moments:
        if _interrupts(hearing, moment, studio, by_sound=by_sound):
            person_at_s = hearing.scene.person_at_s
            return "too early" if person_at_s is not None and moment.at_s < person_at_s else "stopped"
    return "went on"


def _interrupts(hearing: Hearing, moment: Moment, studio: Studio, *, by_sound: bool) -> bool:
    reply = hearing.scene.reply
    text, length_s = REPLIES[reply], len(studio.replies[reply]) / RATE_HERTZ
    being_said = text[: round(min(1.0, (moment.at_s + AHEAD_S) / length_s) * len(text))]

    def source() -> Source:
        return _source(hearing.heard, moment, studio.replies[reply]) if by_sound else Source.UNCLEAR

    verdict = judge(
        moment.words,
        being_said,
        BACKCHANNELS,
        is_final=moment.is_final,
        source=source,
        interruptions=INTERRUPTIONS if by_sound else (),
    )
    return verdict is Overlap.INTERRUPTION


def _source(heard: Samples, moment: Moment, reply: Samples) -> Source:
    begin_s = max(moment.began_s - LEAD_S, moment.at_s - SPEECH_S)
    ear = spectrogram(_cut(heard, max(0.0, moment.at_s - NOISE_S), moment.at_s), RATE_HERTZ)
    mouth = spectrogram(_cut(reply, begin_s - LATEST_S, moment.at_s - EARLIEST_S), RATE_HERTZ)
    since = max(0, len(ear) - round((moment.at_s - begin_s) / HOP_S))
    return weigh(*likeness(ear, since, mouth), is_over=moment.is_over, is_followed=True)


def _cut(samples: Samples, begin_s: float, end_s: float) -> Samples:
    """From one second to another, zeros where there is nothing."""
    begin, end = round(begin_s * RATE_HERTZ), round(end_s * RATE_HERTZ)
    before = np.zeros(max(0, -begin), np.float32)
    after = np.zeros(max(0, end - len(samples)), np.float32)
    return np.concatenate([before, samples[max(0, begin) : end], after])


def _table(counts: Counter[tuple[str, str]]) -> Table:
    return Table(
        "echo: what interrupts a reply",
        ("scenes", "of", "stopped by words", "and too early", "stopped by sound and words", "and too early"),
        list(_rows(counts)),
        ["An echo should not stop it, everything else should; too early is before the person spoke."],
    )


def _rows(counts: Counter[tuple[str, str]]) -> Iterator[tuple[str, ...]]:
    for kind in dict.fromkeys(kind for kind, _ in counts):
        cells = (
            "scenes",
            *(f"{rule}: {how}" for rule in ("words", "sound and words") for how in ("stopped", "too early")),
        )
        yield (kind, *(str(counts[kind, cell]) for cell in cells))
