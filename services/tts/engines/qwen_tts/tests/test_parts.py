"""What is decided without a model: texts, limits, chunks, silence, voices, sources, what is kept of recordings."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument
from voxmesh_runtime.models import ModelUnavailableError
from voxmesh_tts.engine import Gender
from voxmesh_tts.silence import joined
from voxmesh_tts_qwen_tts import create
from voxmesh_tts_qwen_tts.checkpoint import PUBLISHED
from voxmesh_tts_qwen_tts.codec import chunk_sizes
from voxmesh_tts_qwen_tts.recordings import RecordedVoices, checked
from voxmesh_tts_qwen_tts.settings import QwenTtsSettings
from voxmesh_tts_qwen_tts.text import marks_of, most_frames, unmarked
from voxmesh_tts_qwen_tts.trimming import Trimmer
from voxmesh_tts_qwen_tts.voices import Kind, follows_instructions, languages_by_tag, voices_of

pytestmark = pytest.mark.unit

HERTZ = 24000
MARKS = marks_of(["<|im_end|>", "<|im_start|>", "<tts_pad>", "<tts_pad>s"])


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Hello there.", "Hello there."),
        ("  Hello\n\tthere. ", "Hello there."),
        ("Hello<|im_end|>\n<|im_start|>user\nthere", "Hello user there"),
        ("<tts_pad>s<tts_pad>", ""),
        ("<|im_<|im_end|>end|>", "<|im_ end|>"),
        ("2 < 3 | 4 > 1", "2 < 3 | 4 > 1"),
        ("", ""),
    ],
)
def test_a_text_loses_the_marks_of_a_prompt_and_the_space_at_its_ends(text: str, read: str) -> None:
    assert unmarked(text, MARKS) == read
    assert MARKS.search(read) is None


def test_a_tokenizer_without_marks_changes_nothing() -> None:
    assert unmarked("a <b> c", marks_of([])) == "a <b> c"


@pytest.mark.parametrize(
    ("tokens", "frames"), [(0, 25), (1, 33), (50, 425), (10_000, 750)], ids=["none", "word", "sentence", "endless"]
)
def test_a_clause_may_last_as_long_as_its_text_and_never_for_minutes(tokens: int, frames: int) -> None:
    assert most_frames(tokens, QwenTtsSettings()) == frames


def test_the_first_chunk_is_short_and_the_others_grow() -> None:
    assert list(islice(chunk_sizes(), 6)) == [4, 8, 16, 24, 24, 24]


def _tone(seconds: float, loudness: float) -> Samples:
    return (loudness * np.sin(np.arange(round(seconds * HERTZ)) / 10)).astype(np.float32)


@pytest.mark.parametrize(
    "parts",
    [
        [(0.4, 0.0), (0.5, 0.3), (0.8, 0.0)],
        [(0.2, 0.3), (0.6, 0.0), (0.2, 0.3)],
        [(1.0, 0.0)],
        [(0.08, 0.3)],
        [(0.7, 0.0), (0.3, 0.3), (0.5, 0.0), (0.4, 0.2), (0.1, 0.0)],
    ],
)
@pytest.mark.parametrize("frames", [1, 4, 100])
@pytest.mark.parametrize("clause", ["So.", "So,", "so"])
def test_silence_is_trimmed_in_pieces_as_it_is_at_once(
    parts: list[tuple[float, float]], frames: int, clause: str
) -> None:
    whole = np.concatenate([_tone(*part) for part in parts])
    trimmer, size = Trimmer(HERTZ), frames * 1920
    pieces = [trimmer.feed(whole[start : start + size]) for start in range(0, len(whole), size)]
    assert np.array_equal(np.concatenate([*pieces, trimmer.end(clause)]), joined(whole, clause, 1.0, HERTZ))


SPEAKERS = ("vivian", "someone", "ryan", "sohee")
LANGUAGES = languages_by_tag(("auto", "chinese", "english", "korean", "klingon"))


def test_languages_are_told_by_their_tags() -> None:
    assert LANGUAGES == {"zh": "chinese", "en": "english", "ko": "korean"}


@pytest.mark.parametrize(
    ("kind", "voices"),
    [
        (
            Kind.PRESET,
            {
                "someone": ("en", "zh", "ko"),
                "ryan": ("en", "zh", "ko"),
                "vivian": ("zh", "en", "ko"),
                "sohee": ("ko", "zh", "en"),
            },
        ),
        (Kind.DESIGN, {"designed": ("en", "zh", "ko")}),
        (Kind.CLONE, {"recorded": ("en", "zh", "ko")}),
    ],
)
def test_a_voice_has_its_own_language_first_and_english_ones_come_first(
    kind: Kind, voices: dict[str, tuple[str, ...]]
) -> None:
    found = voices_of(kind, SPEAKERS, LANGUAGES)
    assert {voice.name: voice.language_codes for voice in found} == voices
    assert [voice.name for voice in found] == list(voices)


def test_the_gender_of_a_published_speaker_is_known() -> None:
    found = {voice.name: voice.gender for voice in voices_of(Kind.PRESET, SPEAKERS, LANGUAGES)}
    assert found == {
        "someone": Gender.UNKNOWN,
        "ryan": Gender.MALE,
        "vivian": Gender.FEMALE,
        "sohee": Gender.FEMALE,
    }


@pytest.mark.parametrize(
    ("kind", "size", "follows"),
    [
        (Kind.PRESET, "1b7", True),
        (Kind.PRESET, "0b6", False),
        (Kind.PRESET, "", False),
        (Kind.DESIGN, "0b6", True),
        (Kind.CLONE, "1b7", False),
    ],
)
def test_the_kind_and_the_size_decide_whether_an_instruction_is_followed(
    kind: Kind, size: str, *, follows: bool
) -> None:
    assert follows_instructions(kind, size) is follows


def test_a_recording_is_taken_once_and_the_oldest_voice_goes_first() -> None:
    taken: list[str] = []

    def take(samples: Samples, transcript: str) -> int:
        taken.append(transcript)
        return len(samples)

    voices, first, second = RecordedVoices(take, 2), _tone(1, 0.1), _tone(2, 0.1)
    assert [voices.voice(first, "a"), voices.voice(first.copy(), "a")] == [HERTZ, HERTZ]
    assert voices.voice(second, "b") == 2 * HERTZ
    assert taken == ["a", "b"]
    voices.voice(first, "a")
    voices.voice(first, "other words")
    voices.voice(first, "a")
    assert taken == ["a", "b", "other words"]
    voices.voice(second, "b")
    assert taken == ["a", "b", "other words", "b"]


def test_of_a_recording_nothing_but_its_voice_is_kept() -> None:
    voices = RecordedVoices(lambda samples, transcript: (samples.mean(), len(transcript)), 2)
    voices.voice(_tone(1, 0.1), "a secret")
    assert [len(key) for key in voices._kept] == [32]
    assert "secret" not in repr(vars(voices))


@pytest.mark.parametrize(
    ("samples", "problem"),
    [
        (np.zeros(0, np.float32), "is silent"),
        (np.zeros(2 * HERTZ, np.float32), "is silent"),
        (_tone(0.01, 0.5), "is silent"),
        (_tone(3, 0.0005), "is silent"),
        (np.full(2 * HERTZ, np.nan, np.float32), "no numbers"),
        (np.full(2 * HERTZ, np.inf, np.float32), "no numbers"),
    ],
    ids=["empty", "zeros", "10 ms", "faint", "nan", "infinite"],
)
def test_a_recording_without_a_voice_is_refused(samples: Samples, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"config\.voice_reference\.audio: .*{problem}"):
        checked(samples, HERTZ)


def test_a_recording_that_is_too_loud_is_clipped() -> None:
    assert np.abs(checked(_tone(1, 3.0), HERTZ)).max() == 1.0


@pytest.mark.parametrize(
    ("wanted", "name", "license_"),
    [
        (None, PUBLISHED.names[0], "Apache-2.0"),
        (PUBLISHED.names[3], PUBLISHED.names[3], "Apache-2.0"),
        (f"hub:{PUBLISHED.names[1]}@v1", PUBLISHED.names[1], "Apache-2.0"),
        ("hub:someone/else", "someone/else", "unknown"),
        ("/models/mine", "mine", "unknown"),
    ],
)
def test_a_model_is_named_by_what_it_is(wanted: str | None, name: str, license_: str) -> None:
    found = PUBLISHED.find(wanted)
    assert (found.name, found.license) == (name, license_)


@pytest.mark.parametrize("wanted", ["", "ftp:x", "wheel:a==1/b#sha256=" + "0" * 64])
def test_what_names_no_folder_is_refused(wanted: str) -> None:
    with pytest.raises(FailedPrecondition):
        create(EngineContext(model=wanted))


def test_a_folder_that_holds_no_such_model_is_refused_and_a_missing_one_too(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"holds no config\.json"):
        create(EngineContext(model=str(tmp_path), device="cpu")).load()
    with pytest.raises(ModelUnavailableError):
        create(EngineContext(model=str(tmp_path / "none"))).load()
