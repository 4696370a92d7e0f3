"""Benchmark `endings`: which turns are called over, by their sound, their words and both, with the real models."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.figures import Spread
from benchmarks.result import Result, Table
from benchmarks.voices import ESPEAK, HIBARI, PERSON_DB, RATE_HERTZ, Voices, leveled, noise, trimmed
from voxmesh_coordinator.turn.endpointing import is_sure
from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.settings import ServerSettings
from voxmesh_stt.engine import RecognitionOptions, Step
from voxmesh_stt_moonshine.engine import MoonshineEngine
from voxmesh_stt_moonshine.settings import MoonshineSettings
from voxmesh_turn.engine import Transcript, WordJudge
from voxmesh_turn_silero_smart_turn.engine import SileroSmartTurn
from voxmesh_turn_silero_smart_turn.settings import SileroSmartTurnSettings

TEXTS = Path(__file__).with_name("endings.toml")
WAYS = ("sound", "words", "both")
SURELY = "both, surely"
"""Over by both, and sure enough for the coordinator's shortest wait."""
COLUMNS = (*WAYS, SURELY)
FIT, HELD_OUT, AMBIGUOUS = "fit", "held_out", "ambiguous"
BEFORE_S, PAUSE_S, NOISE_DB = 0.5, 0.1, -74.0
OVER = 0.5
QUICK_STEP = 12
_LANGUAGE = "en-US"
_NOTE = (
    "Whole ones should be, unfinished ones should not; ambiguous ones go on where a sentence could end. "
    "The weights were chosen on the fitted ones."
)


@dataclass(frozen=True, slots=True)
class Text:
    """What a person says: a whole turn, or the beginning of one."""

    part: str
    is_whole: bool
    words: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was made of a spoken text."""

    text: Text
    voice: str
    probabilities: tuple[float, float, float]
    """That the turn is over, each of WAYS; by sound where the words tell nothing."""

    def is_over(self, way: str) -> bool:
        """It is called over, one of WAYS or SURELY."""
        if way == SURELY:
            return self.is_over("both") and is_sure(self.probabilities[WAYS.index("both")], self.text.words)
        return self.probabilities[WAYS.index(way)] >= OVER


class Ears:
    """Recognition and turn detection, loaded; keeps the CPU time of each judgement."""

    def __init__(self) -> None:
        self._recognizer = MoonshineEngine(EngineContext(), MoonshineSettings())
        self._recognizer.load()
        # The only ones of these weights that are fetched, and other benchmarks and services have them too.
        context = EngineContext(cache_dir=ServerSettings().cache_dir)
        self._detector = SileroSmartTurn(context, SileroSmartTurnSettings())
        self._detector.load()
        self._detector.warm_up()
        self._words = _words(self._detector)
        self._words.load()
        self._words.warm_up()
        self.sound_ms: list[float] = []
        self.word_ms: list[float] = []
        """Of a turn that was judged up to the word before."""

    def judge(self, text: Text, voice: str, heard: Samples) -> Judgement:
        """Recognise a turn at 16 kHz, and judge it each way."""
        began_s = time.process_time()
        (by_sound,) = self._detector.judge([heard])
        self.sound_ms.append(1000 * (time.process_time() - began_s))
        by_words = self._by_words(self._recognized(heard))
        if by_words is None:
            return Judgement(text, voice, (by_sound, by_sound, by_sound))
        return Judgement(text, voice, (by_sound, by_words, self._words.weigh(by_sound, by_words)))

    def close(self) -> None:
        """Free the models."""
        self._words.close()
        self._detector.close()
        self._recognizer.close()

    def _recognized(self, heard: Samples) -> str:
        session = self._recognizer.open(RecognitionOptions(interim_results=False))
        (transcripts,) = self._recognizer.step([Step(session, heard, is_final=True)])
        session.close()
        return " ".join(each.text for each in transcripts if each.is_final).strip()

    def _by_words(self, transcript: str) -> float | None:
        probability = None
        for interim in growing(transcript):
            began_s = time.process_time()
            (probability,) = self._words.judge([Transcript(interim, _LANGUAGE)])
            self.word_ms.append(1000 * (time.process_time() - began_s))
        return probability


def measure_endings(*, quick: bool = False) -> Result:
    """Speak all texts with each synthesiser, and count what is called over; a few of them when it is to be quick."""
    voices, ears = Voices(), Ears()
    random = np.random.default_rng(1)
    judgements = [
        ears.judge(text, voice, _heard(voices.say(text.words, voice), random))
        for text in read_texts()[:: QUICK_STEP if quick else 1]
        for voice in (HIBARI, ESPEAK)
    ]
    ears.close()
    milliseconds = {"words": Spread.of(ears.word_ms), "sound": Spread.of(ears.sound_ms)}
    figures = {way: {part: _cells(judgements, part, way) for part in (FIT, HELD_OUT, AMBIGUOUS)} for way in COLUMNS}
    return Result("endings", [_called_over(judgements), _cpu(milliseconds)], figures)


def read_texts() -> list[Text]:
    """All texts; of an ambiguous one what stands before the bar."""
    return [
        Text(part, kind == "whole", words.partition("|")[0].strip())
        for part, kinds in tomllib.loads(TEXTS.read_text()).items()
        for kind, texts in kinds.items()
        for words in texts
    ]


def growing(transcript: str) -> Iterator[str]:
    """A transcript's first word, its first two and so on, as interim transcripts come."""
    words = transcript.split()
    return (" ".join(words[: count + 1]) for count in range(len(words)))


def called_over(judgements: Iterable[Judgement], parts: Sequence[str], way: str, *, is_whole: bool) -> str:
    """How many turns of a kind are called over, of how many; a dash where there is none."""
    over = [each.is_over(way) for each in judgements if each.text.part in parts and each.text.is_whole == is_whole]
    return f"{sum(over)} of {len(over)}" if over else "-"


def _heard(speech: Samples, random: np.random.Generator) -> Samples:
    """Speech in a quiet room, up to the first tenth of a second after it."""
    before, after = (np.zeros(round(length_s * RATE_HERTZ), np.float32) for length_s in (BEFORE_S, PAUSE_S))
    clean = np.concatenate([before, leveled(trimmed(speech), PERSON_DB), after])
    return clean + noise(random, len(clean), NOISE_DB)


def _words(detector: SileroSmartTurn) -> WordJudge:
    if detector.words is None:
        raise RuntimeError("the settings leave the judgement of words out")
    return detector.words


def _cells(judgements: Sequence[Judgement], part: str, way: str) -> dict[str, str]:
    return {
        name: called_over(judgements, [part], way, is_whole=is_whole)
        for name, is_whole in (("whole", True), ("unfinished", False))
    }


def _called_over(judgements: Sequence[Judgement]) -> Table:
    parts = {
        "held out": [HELD_OUT],
        "fitted": [FIT],
        "held out and fitted": [HELD_OUT, FIT],
        "ambiguous": [AMBIGUOUS],
    }
    rows = [
        (f"{name}, {kind}", *(called_over(judgements, among, way, is_whole=kind == "whole") for way in COLUMNS))
        for name, among in parts.items()
        for kind in ("whole", "unfinished")
        if among != [AMBIGUOUS] or kind == "unfinished"
    ]
    return Table(
        "endings: turns called over",
        ("turns", *(f"by {way}" for way in COLUMNS)),
        rows,
        [_NOTE],
    )


def _cpu(milliseconds: dict[str, Spread]) -> Table:
    return Table(
        "endings: CPU of one judgement",
        ("judged", "ms"),
        [
            ("the next word, when those before were judged", milliseconds["words"].text(1)),
            ("sound", milliseconds["sound"].text(1)),
        ],
        ["Medians with quartiles, of all threads."],
    )
