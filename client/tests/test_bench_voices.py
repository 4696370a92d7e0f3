"""What `voxmesh bench tts` takes for wrong, and the figures that it makes of what it saw."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration

from voxmesh.common.v1 import common_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_client.bench.gate_file import read_gates
from voxmesh_client.bench.listening import TimedWord
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.metering import Cost
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.verdicts import Verdict, judge
from voxmesh_client.bench.voices.passes import Pass, VoiceOutcome, figures, metrics
from voxmesh_client.bench.voices.report import tts_report
from voxmesh_client.bench.voices.runner import Run
from voxmesh_client.bench.voices.soundness import Expected, Fault, Finding, Sound, faults_of
from voxmesh_client.bench.voices.speaking import Spoken, _take
from voxmesh_client.bench.voices.text_file import SHIPPED, Line, TextSet, read_texts
from voxmesh_client.bench.voices.understanding import Understood, best_score, start_differences_s, unheard_end
from voxmesh_client.text_to_speech import Response
from voxmesh_runtime.audio import Samples

pytestmark = pytest.mark.unit

HERTZ = 8000
BOUNDS = (0.04, 0.2)
TWENTY = Line(text="abcde fghij klmno pqrst")


def tone(seconds: float, level: float = 0.3) -> Samples:
    return (level * np.sin(np.arange(round(seconds * HERTZ)) * 0.5)).astype(np.float32)


def quiet(seconds: float) -> Samples:
    return np.zeros(round(seconds * HERTZ), np.float32)


def fading(seconds: float) -> Samples:
    return tone(seconds) * np.linspace(1, 0, round(seconds * HERTZ), dtype=np.float32)


def wrong(*parts: Samples, told_s: float | None = None) -> list[Fault]:
    """Faults of 20 letters: 0.8 to 6 s are plausible."""
    sound = Sound.of(np.concatenate(parts), HERTZ)
    return [each.fault for each in faults_of(sound, Expected(TWENTY.letters, BOUNDS, told_s))]


@pytest.mark.parametrize(
    ("parts", "told_s", "faults"),
    [
        ((quiet(0.2), tone(2.0), quiet(0.2)), 2.4, []),
        ((tone(1.5), fading(0.5)), None, []),
        ((tone(1.5), quiet(1.8), tone(1.0), quiet(0.1)), None, []),
        ((tone(1.5), quiet(2.2), tone(1.0), quiet(0.1)), None, [Fault.GAP]),
        ((np.clip(tone(2.0, 1.5), -1, 1), quiet(0.1)), None, [Fault.CLIPPED]),
        ((tone(2.0, 0.9), quiet(0.1)), None, []),
        ((quiet(2.0),), None, [Fault.SILENT]),
        ((tone(2.0, 0.001),), None, [Fault.SILENT]),
        ((quiet(0.0),), None, [Fault.SILENT]),
        ((tone(0.6), quiet(0.1)), None, [Fault.TRUNCATED]),
        ((tone(2.0),), None, [Fault.TRUNCATED]),
        ((tone(2.0), quiet(0.1)), 2.5, [Fault.TRUNCATED]),
        ((tone(6.5), quiet(0.1)), None, [Fault.TOO_LONG]),
    ],
)
def test_what_is_wrong_with_audio(parts: Sequence[Samples], told_s: float | None, faults: list[Fault]) -> None:
    assert wrong(*parts, told_s=told_s) == faults


def test_silence_before_the_first_sound_is_part_of_the_wait_for_it() -> None:
    samples = np.concatenate([quiet(0.4), tone(1.0), quiet(0.2)])
    spoken = Spoken(TWENTY, samples, HERTZ, first_audio_s=0.1)
    assert spoken.first_sound_s == pytest.approx(0.5, abs=0.021)
    assert Spoken(TWENTY, quiet(1.0), HERTZ, first_audio_s=0.1).first_sound_s is None
    assert Spoken(TWENTY).first_sound_s is None


def test_playback_stands_still_while_audio_comes_later_than_it_is_played() -> None:
    spoken, pieces = Spoken(TWENTY), list[bytes]()
    started = tts_pb2.SegmentStarted(audio_format=common_pb2.AudioFormat(sample_rate_hertz=HERTZ))
    _take(spoken, pieces, "segment_started", Response(segment_started=started), 0.9)
    for at_s in (1.0, 1.05, 1.5, 1.55):  # of 0.1 s each, due at 1.0, 1.1, 1.2 and, after a stall of 0.3 s, 1.6
        audio = tts_pb2.SegmentAudio(data=bytes(2 * HERTZ // 10))
        _take(spoken, pieces, "audio", Response(audio=audio), at_s)
    finished = tts_pb2.SegmentFinished(audio_duration=Duration(nanos=400_000_000))
    _take(spoken, pieces, "segment_finished", Response(segment_finished=finished), 1.6)
    assert spoken.stalled_s == pytest.approx(0.3)
    assert (spoken.first_audio_s, spoken.taken_s, spoken.told_s) == (1.0, 1.6, 0.4)


@pytest.mark.parametrize(
    ("text", "letters"), [("Yes.", 3), ("At 7:30", 2 + 3 * 4), ("ನಮಸ್ಕಾರ", 5), ("१२", 8), ("你好", 2)]
)
def test_digits_are_words_and_signs_of_a_letter_are_no_letters(text: str, letters: int) -> None:
    assert Line(text=text).letters == letters


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_texts_that_ship_can_be_read_and_have_numbers(path: Path) -> None:
    texts = read_texts(path.stem)
    assert texts.language == path.stem
    assert len(texts.lines) >= (20 if path.stem == "en" else 8)
    assert any(character.isdecimal() for line in texts.lines for character in line.text)
    for line in texts.lines:
        for way in line.heard:
            assert best_score(line, way, texts.language).words.errors == 0


def test_some_of_the_texts_are_spread_over_all() -> None:
    every = read_texts("en").lines
    assert read_texts("en", 4).lines == tuple(every[len(every) * place // 4] for place in range(4))
    assert read_texts("en", 1000).lines == every


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "language: Field required"),
        ('language = "en"\nseconds_per_letter = [0.2, 0.1]\n[[texts]]\ntext = "a"', "must be [LEAST, MOST]"),
        ('language = "xx-yy-zz"\nseconds_per_letter = [0.1, 0.2]\n[[texts]]\ntext = "a"', "xx-yy-zz"),
        ('language = "en"\nseconds_per_letter = [0.1, 0.2]\n[[texts]]\nsaid = "a"', "texts.0.said"),
        ("texts = [", "is no TOML"),
    ],
)
def test_a_file_of_texts_that_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "texts.toml"
    path.write_text(text)
    with pytest.raises(BenchUsage) as caught:
        read_texts(str(path))
    assert complaint in str(caught.value)


def test_a_text_may_be_heard_in_several_ways() -> None:
    line = Line(text="It costs 48 dollars.", heard=("It costs 48 bucks.",))
    assert best_score(line, "it costs forty eight bucks", "en").words.errors == 0
    assert best_score(line, "it costs 48 coins", "en").words.errors == 1


@pytest.mark.parametrize(
    ("heard", "missing"),
    [
        ("one two three four five", 0),
        ("one two three four", 0),  # a single word may be the recogniser's own fault
        ("one two three", 2),
        ("one two three five", 0),
        ("one two three and more", 0),
        ("", 5),
    ],
)
def test_an_end_of_which_nothing_was_heard_was_cut_off(heard: str, missing: int) -> None:
    found = list(unheard_end(Line(text="one two three four five"), heard, "de"))
    assert [each.reason for each in found] == ([f"the last {missing} words were not heard"] if missing else [])


def timed(text: str, *starts_s: float) -> list[TimedWord]:
    return [TimedWord(word, at_s, at_s + 0.1) for word, at_s in zip(text.split(), starts_s, strict=True)]


def test_words_that_both_place_are_compared() -> None:
    told = timed("The quick, brown fox", 0.1, 0.3, 0.7, 1.0)
    heard = timed("the quick brawn fox jumps", 0.15, 0.3, 0.7, 0.9, 1.4)
    assert start_differences_s(told, heard) == pytest.approx([-0.05, 0.0, 0.1])
    assert start_differences_s([], heard) == []


def spoken(seconds: float = 2.0, **changes: float | str) -> Spoken:
    made = Spoken(TWENTY, np.concatenate([tone(seconds), quiet(0.1)]), HERTZ, 0.2, 0.0, 1.0, seconds + 0.1)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def understood(heard: str) -> Understood:
    return Understood(heard, best_score(TWENTY, heard, "en"), (0.1, -0.3))


def test_figures_of_a_pass() -> None:
    cut = spoken(taken_s=2.1)
    cut.findings = [Finding(Fault.TRUNCATED, "ends in full voice"), Finding(Fault.TRUNCATED, "too short")]
    failed = Spoken(TWENTY, failure="broke")
    heard = [understood(TWENTY.text), understood("abcde fghij klmno"), understood("")]
    told = figures(Pass(2, [spoken(), cut, failed], Cost(taken_s=2.1, cpu_s=4.2), heard), "cpu")
    assert told["failures"] == 1
    assert told["wer"] == pytest.approx(5 / 12)
    assert (told["faults"], told["truncated"], told["clipped"]) == (1, 1, 0)
    assert told["real_time_factor"] == pytest.approx(3.1 / 4.2)
    assert told["throughput"] == pytest.approx(2.0)
    assert told["cpu_s_per_s"] == pytest.approx(1.0)
    assert told["first_audio_p50_s"] == pytest.approx(0.2)
    assert told["word_start_median_s"] == pytest.approx(-0.1)
    assert told["word_start_deviation_s"] == pytest.approx(0.2)
    nothing = figures(Pass(1, [failed], Cost()), "cpu")
    assert (nothing["real_time_factor"], nothing["wer"], nothing["first_audio_p95_s"]) == (None, None, None)


def outcome(name: str, *each: Spoken) -> VoiceOutcome:
    heard = [understood(TWENTY.text) for _ in each]
    return VoiceOutcome(name, common_pb2.ModelInfo(engine=name), 1.0, "", "anna", [Pass(1, each, Cost(2.0), heard)])


def test_a_report_holds_every_fault_and_the_gates_that_ship_judge_it(tmp_path: Path) -> None:
    cut, slow = spoken(), spoken(taken_s=9.0)
    cut.findings = [Finding(Fault.TRUNCATED, "ends in full voice")]
    outcomes = [outcome("good", spoken()), outcome("bad", cut, slow), VoiceOutcome("none", problem="no model")]
    assert [each.is_right for each in outcomes] == [True, False, False]
    run = Run(Machine.now(load()), TextSet("own", "en", BOUNDS, (TWENTY,)), None, "good", outcomes)
    gates = read_gates("tts", metrics())
    judgements = judge([each.findings() for each in outcomes], "good", gates)
    assert [each.verdict for each in judgements] == [Verdict.GO, Verdict.CONDITIONAL, Verdict.NO_GO]
    report = tts_report(run, judgements, gates)
    assert "bad, 1 streams: truncated: ends in full voice: 'abcde fghij klmno pqrst'" in report.wrong
    markdown, data, plot = report.write(tmp_path)
    assert "| bad | anna | 1 | 2.381 |" in markdown.read_text()
    assert "- none: no model" in markdown.read_text()
    assert '"voice": "anna"' in data.read_text()
    assert plot.read_bytes().startswith(b"\x89PNG")
