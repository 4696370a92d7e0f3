"""What the engine does with the published model in int8: rate, silence, words, devices, files."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import ModelUnavailableError
from voxmesh_runtime.outcomes import Kind
from voxmesh_tts.engine import Engine, SpokenWord, SynthesisOptions
from voxmesh_tts_kokoro.backend import FRAME_S, HERTZ, Backend, Spoken
from voxmesh_tts_kokoro.engine import KokoroEngine
from voxmesh_tts_kokoro.loading import load_backend, uses_onnx
from voxmesh_tts_kokoro.onnx_backend import graph_output
from voxmesh_tts_kokoro.reading import PlacedWord, Reading
from voxmesh_tts_kokoro.settings import KokoroSettings
from voxmesh_tts_kokoro.timing import timed

pytestmark = pytest.mark.engine

ONNX = KokoroSettings(backend="onnx")


def spoken(engine: Engine, clause: str, voice: str = "af_heart", rate: float | None = None) -> Samples:
    """All audio of a clause."""
    session = engine.open(SynthesisOptions(voice, "en-US", speaking_rate=rate))
    pieces = [piece for piece in session.synthesize(clause) if not isinstance(piece, SpokenWord)]
    return np.concatenate([np.zeros(0, np.float32), *pieces])


def test_the_speaking_rate_changes_the_length(kokoro: Engine) -> None:
    slow, plain, fast = (len(spoken(kokoro, "It is in Paris.", rate=rate)) for rate in (0.5, 1.0, 2.0))
    # A sound lasts a frame at least.
    assert slow == pytest.approx(plain * 2, rel=0.25)
    assert fast == pytest.approx(plain / 2, rel=0.25)


@pytest.mark.parametrize(
    ("asked", "kind"), [(1.0, Kind.APPLIED), (2.0, Kind.APPLIED), (0.25, Kind.APPROXIMATED), (4.0, Kind.APPROXIMATED)]
)
def test_a_rate_that_the_model_cannot_keep_is_approximated(kokoro: Engine, asked: float, kind: Kind) -> None:
    session = kokoro.open(SynthesisOptions("af_heart", "en-US", speaking_rate=asked))
    assert [outcome.kind for outcome in session.outcomes] == [kind]


def test_speech_begins_soon_after_the_start_of_its_audio(kokoro: Engine) -> None:
    assert np.abs(spoken(kokoro, "Hello there.")[: HERTZ // 10]).max() > 0.01


def test_the_same_text_sounds_the_same_and_another_voice_otherwise(kokoro: Engine) -> None:
    first, again, other = (spoken(kokoro, "Hello.", voice) for voice in ("af_heart", "af_heart", "bm_george"))
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:1000], other[:1000])


def test_what_cannot_be_spoken_gives_no_audio(kokoro: Engine) -> None:
    assert not len(spoken(kokoro, "你好。"))


def test_words_of_a_clause_in_two_pieces_follow_one_another(kokoro: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxmesh_tts_kokoro.reading.MOST_AT_ONCE", 20)
    session = kokoro.open(SynthesisOptions("af_heart", "en-US", speaking_rate=2.0, word_time_offsets=True))
    clause = "so it was, you see, and is."
    pieces = list(session.synthesize(clause))
    words = [piece for piece in pieces if isinstance(piece, SpokenWord)]
    lengths = [len(piece) / HERTZ for piece in pieces if not isinstance(piece, SpokenWord)]
    assert len(lengths) == 2
    assert [word.text for word in words] == clause.replace(",", "").rstrip(".").split()
    assert all(before.end_s <= after.start_s for before, after in pairwise(words))
    assert sum(word.end_s <= lengths[0] for word in words) < len(words)
    assert words[-1].end_s <= sum(lengths)


def test_a_word_lasts_as_long_as_the_frames_of_its_phonemes() -> None:
    reading = Reading("ab cd.", (PlacedWord("ab", 0, 2), PlacedWord("cd", 3, 5)))
    model = Spoken(np.zeros(0, np.float32), np.array([10, 4, 4, 2, 4, 4, 6, 1]))
    first, second = timed(reading, model, cut_s=0.1, duration_s=0.6, offset_s=1.0)
    start_s = 10 * FRAME_S - 0.075 - 0.1
    assert (first.text, first.start_s, first.end_s) == ("ab", pytest.approx(1 + start_s), pytest.approx(1.2 + start_s))
    assert (second.start_s, second.end_s) == (pytest.approx(1.25 + start_s), pytest.approx(1.45 + start_s))
    assert list(timed(reading, Spoken(model.samples, None), 0.1, 0.6, 1.0)) == []


def test_a_model_without_the_durations_speaks_all_the_same(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxmesh_tts_kokoro.onnx_backend.DURATIONS", "/no/such/value")
    backend = load_backend(EngineContext(cache_dir=cache_dir), ONNX).model
    assert not backend.has_durations
    made = backend.speak("haI.", np.zeros(256, np.float32), 1.0)
    assert made.frames is None
    assert len(made.samples)


def test_an_output_is_written_as_a_model_that_has_nothing_else() -> None:
    assert graph_output("xy") == b"\x3a\x0c\x62\x0a\x0a\x02xy\x12\x04\x0a\x02\x08\x01"


@pytest.mark.parametrize(
    ("model", "backend", "on_cpu", "on_gpu"),
    [
        (None, "auto", True, False),
        ("hexgrad/Kokoro-82M", "auto", True, False),
        (None, "onnx", True, True),
        (None, "torch", False, False),
        ("/models/mine.onnx", "auto", True, True),
        ("/models/folder", "auto", False, False),
        ("hub:someone/else", "auto", False, False),
    ],
)
def test_what_runs_the_model_is_as_set_or_as_its_file_or_the_device_tells(
    model: str | None,
    backend: str,
    on_cpu: bool,  # noqa: FBT001 # a column of the table
    on_gpu: bool,  # noqa: FBT001 # the same
) -> None:
    settings = KokoroSettings.model_validate({"backend": backend})
    assert [uses_onnx(model, settings, device) for device in ("cpu", "cuda:0")] == [on_cpu, on_gpu]


def test_a_device_that_is_not_used_is_explained(cache_dir: Path) -> None:
    found = load_backend(EngineContext(cache_dir=cache_dir, device="cuda:0"), ONNX)
    assert (found.device, "not on cuda:0" in found.reason) == ("cpu", True)
    backend: Backend = found.model
    assert backend.has_durations


def test_files_that_are_no_model_are_refused_and_missing_ones_too(tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    other.write_bytes(b"x")
    with pytest.raises(FailedPrecondition, match=r"other\.onnx cannot be loaded"):
        KokoroEngine(EngineContext(model=str(other)), ONNX).load()
    with pytest.raises(FailedPrecondition, match="is not a file"):
        KokoroEngine(EngineContext(model=str(tmp_path)), ONNX).load()
    with pytest.raises(FailedPrecondition, match=r"config\.json"):
        KokoroEngine(EngineContext(model=str(tmp_path)), KokoroSettings(backend="torch")).load()
    with pytest.raises(ModelUnavailableError):
        KokoroEngine(EngineContext(model=str(tmp_path / "none.onnx")), ONNX).load()
