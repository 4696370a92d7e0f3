"""Every benchmark runs in a small setting and prints its table; what it calls a leak is one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from benchmarks.apart import Person, Recall, problems_of
from benchmarks.cli import main
from benchmarks.endings import AMBIGUOUS, FIT, HELD_OUT, SURELY, Judgement, Text, called_over, growing, read_texts
from benchmarks.figures import Spread, difference, slope
from benchmarks.leaks import grows_steadily
from benchmarks.speech import QUESTION, Question
from benchmarks.store_race import race
from benchmarks.wer_clips import NoClips, normal, read_clips

pytestmark = pytest.mark.bench

TITLES = ("memory: services", "memory: 2 idle", "relay: ", "turn: 1 spoken", "soak: memory", "soak: threads", "wer: ")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    shutil.copy(QUESTION, folder / "question.wav")
    (folder / "question.txt").write_text("What is the capital of France?\n")
    return folder


def test_all_benchmarks_run_on_one_mesh_and_find_no_leak(clips: Path, tmp_path: Path) -> None:
    figures_path = tmp_path / "figures.json"
    done = run(main, "all", "--quick", "--folder", str(clips), "--json", str(figures_path))
    assert done.returncode == 0, done.stderr
    assert "load average at the start" in done.stdout
    for title in TITLES:
        assert title in done.stdout
    figures: dict[str, Any] = json.loads(figures_path.read_text())
    assert figures["problems"] == []
    assert figures["machine"]["packages"]["grpcio"]
    assert figures["soak"]["replies"] == figures["soak"]["turns"]
    assert figures["turn"]["mesh"][0]["text"] == figures["turn"]["one_process"][0]["text"]
    assert figures["wer"]["ways"]["mesh, as `voxmesh transcribe`"]["wer"] == 0


def test_help_names_every_benchmark() -> None:
    done = run(main, "--help")
    assert done.returncode == 0
    for name in ("turn", "relay", "memory", "soak", "apart", "echo", "endings", "store-race", "wer", "all"):
        assert f"  {name} " in done.stdout


def test_sessions_that_speak_at_once_keep_apart(tmp_path: Path) -> None:
    figures_path = tmp_path / "figures.json"
    done = run(main, "apart", "--turns", "4", "--json", str(figures_path))
    assert done.returncode == 0, done.stderr
    assert "nothing of one session was found in another" in done.stdout
    people: dict[str, Any] = json.loads(figures_path.read_text())["apart"]["people"]
    assert {name: each["turns"] for name, each in people.items()} == {"Ada": 2, "Bob": 2}


def test_a_word_or_a_trace_of_another_session_is_a_problem() -> None:
    ada, bob = Person("Ada", {}), Person("Bob", {})
    for person in (ada, bob):
        person.found.update({"turns": 1, "replies with the own word": 1, "histories with the word before": 1})
    assert problems_of([ada, bob], Recall()) == []
    ada.check(3, "the history", ["river", "doctor"])
    ada.trace_ids.append("1f")
    bob.trace_ids.append("1f")
    assert problems_of([ada, bob], Recall()) == [
        "Ada, turn 3: the history has doctor of another session",
        "trace 1f is told of 2 times",
    ]


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="Debian's package espeak-ng is not installed")
def test_endings_are_judged_by_sound_and_by_words() -> None:
    done = run(main, "endings", "--quick")
    assert done.returncode == 0, done.stderr
    for title in ("endings: turns called over", "held out, unfinished", "ambiguous, unfinished", "the next word"):
        assert title in done.stdout


def test_a_text_of_endings_is_in_one_part_only_and_is_cut_at_its_bar() -> None:
    texts = read_texts()
    assert len({text.words for text in texts}) == len(texts)
    for part in (FIT, HELD_OUT):
        assert {text.is_whole for text in texts if text.part == part} == {True, False}
    assert "Turn on the radio" in {text.words for text in texts if text.part == AMBIGUOUS}


def test_a_turn_is_counted_by_its_part_its_kind_and_its_way() -> None:
    whole, begun = Text(FIT, is_whole=True, words="Stop."), Text(FIT, is_whole=False, words="Stop the")
    judgements = [Judgement(whole, "hibari", (0.4, 0.9, 0.6)), Judgement(begun, "hibari", (0.7, 0.1, 0.2))]
    assert called_over(judgements, [FIT], "sound", is_whole=True) == "0 of 1"
    assert called_over(judgements, [FIT], "sound", is_whole=False) == "1 of 1"
    assert called_over(judgements, [FIT], "both", is_whole=True) == "1 of 1"
    assert called_over(judgements, [HELD_OUT], "both", is_whole=True) == "-"


def test_a_turn_is_surely_over_if_it_is_short_or_hardly_in_doubt() -> None:
    said = (("Yeah.", 0.6), ("No.", 0.4), ("Remind me to call Tom.", 0.7), ("How are you now?", 0.8))
    judgements = [
        Judgement(Text(FIT, is_whole=True, words=words), "hibari", (0.5, 0.5, probability))
        for words, probability in said
    ]
    assert called_over(judgements, [FIT], SURELY, is_whole=True) == "2 of 4"


def test_an_interim_transcript_grows_by_a_word() -> None:
    assert list(growing("Turn it off.")) == ["Turn", "Turn it", "Turn it off."]
    assert not list(growing(""))


def test_a_folder_without_clips_is_told_in_one_line(tmp_path: Path) -> None:
    done = run(main, "wer", "--folder", str(tmp_path))
    assert done.returncode == 1
    assert "no audio files" in done.stderr
    assert "Traceback" not in done.stderr


def test_growth_that_goes_on_is_a_leak() -> None:
    assert grows_steadily([20.0 + turn for turn in range(30)])


def test_growth_while_warming_up_is_none() -> None:
    assert not grows_steadily([10.0, 14, 18, 20, *([21.0] * 20)])


def test_a_count_that_goes_up_and_down_is_no_leak() -> None:
    assert not grows_steadily([20.0, 24.0] * 15)


def test_a_slope_is_not_moved_by_an_outlier() -> None:
    assert slope([0.0, 2, 4, 600, 8, 10, 12]) == 2


def test_a_difference_of_medians_lies_in_its_interval() -> None:
    more = difference([11.0, 12, 13, 14, 15], [1.0, 2, 3, 4, 5])
    assert more.median == 10
    assert more.low <= 10 <= more.high


def test_a_spread_is_a_median_between_quartiles() -> None:
    assert Spread.of([1.0, 2, 3, 4, 5]) == Spread(3, 2, 4)


def test_speech_ends_before_the_silence_after_it() -> None:
    question = Question.read(QUESTION)
    assert 0 < question.last_speech_frame < len(question.frames)


def test_a_sphinx_transcription_names_its_clips(tmp_path: Path) -> None:
    (tmp_path / "transcription").write_text("<s> he was not ill </s> (clip-1)\n")
    (clip,) = read_clips(tmp_path)
    assert (clip.path.name, clip.text) == ("clip-1.wav", "he was not ill")


def test_a_missing_folder_holds_no_clips(tmp_path: Path) -> None:
    with pytest.raises(NoClips, match="pocketsphinx-testdata"):
        read_clips(tmp_path / "nowhere")


def test_words_are_compared_without_case_and_punctuation() -> None:
    assert normal("Mr. Dashwood's well-disposed!") == "mister dashwood's well disposed"


@pytest.mark.parametrize("rounds", [40], ids=["C14"])
def test_two_processes_that_open_a_new_file_at_once_both_keep_sessions_in_it(tmp_path: Path, rounds: int) -> None:
    # `python -m benchmarks store-race --rounds 200` does the same for longer.
    assert race(tmp_path, rounds) == []
