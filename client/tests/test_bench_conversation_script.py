"""Scripts of conversations: what they may say, and what is told of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from voxmesh_client.bench.conversations.runner import Condition, Plan
from voxmesh_client.bench.conversations.script import SHIPPED, Expect, read_scenario, read_scenarios
from voxmesh_client.bench.conversations.sounds import Sound, read_sounds, voiced
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_runtime.audio import write_wav

pytestmark = pytest.mark.unit

HERTZ = 16000
MAX_SOUNDS_BYTES = 1_500_000
SOUNDS = {"hello": Sound("hello", "Hello.", np.zeros(16000, np.float32), 800, 15200)}


def tone(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return (0.5 * np.sin(np.arange(round(seconds * HERTZ)) * 0.2)).astype(np.float32)


def silence(seconds: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.zeros(round(seconds * HERTZ), np.float32)


def write(folder: Path, text: str) -> Path:
    path = folder / "made.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_ships_can_be_read_and_stays_small() -> None:
    folder = SHIPPED.with_name("sounds")
    sounds = read_sounds(folder)
    scenarios = read_scenarios(SHIPPED, sounds)
    expected = {step.expect for scenario in scenarios for step in scenario.steps}
    assert set(Expect) <= expected
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_SOUNDS_BYTES
    used = {each for scenario in scenarios for step in scenario.steps for each in step.line if isinstance(each, str)}
    assert used == sounds.keys()


def test_the_stored_ends_of_speech_are_where_the_voice_truly_ends() -> None:
    for sound in read_sounds(SHIPPED.with_name("sounds")).values():
        begin_s, end_s = voiced(sound.samples, HERTZ)
        assert sound.begin / HERTZ == pytest.approx(begin_s, abs=0.03), sound.name
        assert sound.end / HERTZ == pytest.approx(end_s, abs=0.03), sound.name


def test_a_scenario_takes_its_name_from_its_file(tmp_path: Path) -> None:
    text = 'about = "It."\n[[steps]]\nsay = ["hello", 0.8, "hello"]\nexpect = "answer"\n[[steps]]\npause = 1\n'
    scenario = read_scenario(write(tmp_path, text), SOUNDS)
    assert scenario.name == "made"
    assert scenario.steps[0].line == ("hello", 0.8, "hello")
    assert scenario.steps[0].label == "hello+hello"


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ('say = "hello"', "steps.0: Value error, needs expect"),
        ('say = "hello"\nexpect = "applause"', "steps.0.expect: "),
        ('say = "hello"\npause = 1.0\nexpect = "answer"', "steps.0: Value error, must have exactly one of say"),
        ('expect = "answer"', "steps.0: Value error, must have exactly one of say"),
        ('say = "goodbye"\nexpect = "answer"', "steps.0: no sound 'goodbye'; known: hello"),
        ('say = ["hello", "hello"]\nexpect = "answer"', "steps.0: Value error, must be sounds with seconds of silence"),
        ('say = ["hello", 0.8]\nexpect = "answer"', "steps.0: Value error, must end with a sound"),
        ('say = ["hello", 0.01, "hello"]\nexpect = "answer"', "a silence must be 0.2 to 30 s, not 0.01"),
        ('say = "hello"\nexpect = "interruption"', "expects what only say_during_reply or echo_during_reply"),
        ('pause = 1.0\nexpect = "answer"', "a pause expects nothing"),
        ('say = "hello"\nafter_s = -1\nexpect = "answer"', "steps.0.after_s: "),
        ('say = "hello"\nafter = 1\nexpect = "answer"', "steps.0.after: "),
    ],
)
def test_a_wrong_step_is_told_with_its_file_and_field(tmp_path: Path, step: str, problem: str) -> None:
    path = write(tmp_path, f'about = "It."\n[[steps]]\n{step}\n')
    with pytest.raises(BenchUsage) as caught:
        read_scenario(path, SOUNDS)
    assert str(caught.value).startswith(f"{path}: ")
    assert problem in str(caught.value)


def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, 'about = "It."\n[[steps]\n')
    with pytest.raises(BenchUsage, match=r"made\.toml: is no TOML: .*line 2"):
        read_scenario(path, SOUNDS)


def test_a_folder_without_scenarios_is_told(tmp_path: Path) -> None:
    with pytest.raises(BenchUsage, match="holds no scenario"):
        read_scenarios(tmp_path, SOUNDS)


def test_ends_of_speech_that_a_list_leaves_out_are_measured(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", np.concatenate([silence(0.25), tone(1.0), silence(0.5)]), HERTZ)
    (tmp_path / "sounds.toml").write_text('[a]\nfile = "a.wav"\ntext = "Ah."\n')
    sound = read_sounds(tmp_path)["a"]
    assert sound.begin == pytest.approx(0.25 * HERTZ, abs=160)
    assert sound.end == pytest.approx(1.25 * HERTZ, abs=160)


def test_noise_of_the_room_is_not_taken_for_speech() -> None:
    noise = 0.01 * np.random.default_rng(1).standard_normal(2 * HERTZ).astype(np.float32)
    noise[HERTZ // 2 : HERTZ] += tone(0.5)
    assert voiced(noise, HERTZ) == (pytest.approx(0.5, abs=0.02), pytest.approx(1.0, abs=0.02))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('[a]\nfile = "b.wav"\n', "b.wav: no such file"),
        ('[a]\nfile = "a.wav"\nend_s = 9.0\n', "a: begin_s 0 and end_s 9 do not lie within its 1.000 s"),
        ('[a]\ntext = "Ah."\n', "a.file: Field required"),
        ("[a\n", "is no TOML"),
    ],
)
def test_a_wrong_list_of_sounds_is_told_with_its_place(tmp_path: Path, entry: str, problem: str) -> None:
    write_wav(tmp_path / "a.wav", tone(1.0), HERTZ)
    (tmp_path / "sounds.toml").write_text(entry)
    with pytest.raises(BenchUsage) as caught:
        read_sounds(tmp_path)
    assert str(tmp_path / "sounds.toml") in str(caught.value)
    assert problem in str(caught.value)


def test_every_session_count_and_condition_plays_every_scenario_and_they_take_turns() -> None:
    shipped = read_scenarios(SHIPPED, read_sounds(SHIPPED.with_name("sounds")))[:3]
    plan = Plan(shipped, {}, sessions=(1, 2), speculation=(True, False), repeat=2)
    rounds = list(plan.rounds())
    assert [condition.speculation for condition, _ in rounds[:4]] == [True, False, False, True]
    for condition in plan.conditions:
        played = [scenario.name for other, scenarios in rounds if other == condition for scenario in scenarios]
        assert sorted(played) == sorted(2 * condition.sessions * [scenario.name for scenario in shipped])
    assert all(len({each.name for each in scenarios}) == condition.sessions for condition, scenarios in rounds)


def test_a_condition_leaves_speculation_to_the_coordinator_unless_it_is_compared() -> None:
    scenario = read_scenarios(SHIPPED, read_sounds(SHIPPED.with_name("sounds")))[0]
    assert not Condition(1, None).config(scenario).HasField("speculation")
    assert Condition(1, False).config(scenario).HasField("speculation")
    assert Condition(4, True).config(scenario).speculation
