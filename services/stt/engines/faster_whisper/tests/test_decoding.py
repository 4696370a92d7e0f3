"""What is decoded can be trusted: alone or in company, in noise, repeated, and in the language asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_stt.settings import SttSettings
from voxmesh_stt_faster_whisper.decoding import Decoder, Piece
from voxmesh_stt_faster_whisper.model import Encoded, Features, Generated, Model
from voxmesh_stt_faster_whisper.settings import FasterWhisperSettings
from voxmesh_stt_faster_whisper.sources import fetch, find_model

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"
RATE_HERTZ = 16000
AMIABLE = "He might even have been made amiable himself."
NOISES = ("white", "brown", "pink", "hum", "chord", "tune", "clicks", "bursts", "slow_bursts", "nothing")


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    context = EngineContext(cache_dir=SttSettings().cache_dir)
    files = fetch(find_model(None), context.cache_dir)
    loaded = Model("tiny.en", files, "cpu", "int8", threads=1)
    yield loaded
    loaded.close()


@pytest.fixture
def decoder(model: Model) -> Decoder:
    return Decoder(model, FasterWhisperSettings(), short_windows=True)


@pytest.fixture
def young_man() -> Samples:
    return read_audio_file(DATA / "young_man.flac")[0]


@pytest.fixture
def amiable() -> Samples:
    return read_audio_file(DATA / "amiable.flac")[0]


def _piece(samples: Samples, *, is_final: bool = True, preceding: Sequence[int] = (), words: bool = False) -> Piece:
    return Piece(samples.astype(np.float32), tuple(preceding), (), is_final, words)


@pytest.mark.parametrize("is_final", [True, False])
def test_a_batch_of_streams_reads_as_each_of_them_alone(
    decoder: Decoder, model: Model, young_man: Samples, amiable: Samples, *, is_final: bool
) -> None:
    hints = model.tokens(" Dashwood, Norland")
    long = np.concatenate([young_man, amiable, young_man])
    pieces = [
        _piece(young_man, is_final=is_final, words=is_final),
        _piece(amiable, is_final=is_final),
        _piece(amiable, is_final=is_final, preceding=hints),
        _piece(long, is_final=is_final, words=is_final),
    ]
    together = decoder.decode(pieces)
    assert together == [decoder.decode([piece])[0] for piece in pieces]
    assert together[1].text == AMIABLE
    assert bool(together[0].words) == is_final


def test_utterances_that_share_a_window_share_one_call(
    decoder: Decoder, model: Model, young_man: Samples, amiable: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[tuple[int, int]] = []
    encode = model.encode

    def counted(batch: Sequence[Features], window_s: int) -> Encoded:
        batches.append((len(batch), window_s))
        return encode(batch, window_s)

    monkeypatch.setattr(model, "encode", counted)
    decoder.decode([_piece(young_man), _piece(amiable), _piece(young_man)])
    assert batches == [(3, 10)]


@pytest.mark.parametrize("times", [2, 4, 7])
def test_who_repeats_a_sentence_is_believed_as_often_as_it_was_said(
    decoder: Decoder, amiable: Samples, times: int
) -> None:
    pause = np.zeros(RATE_HERTZ // 2, np.float32)
    (reading,) = decoder.decode([_piece(np.concatenate([amiable, pause] * times), words=True)])
    assert reading.text.count("amiable") == times
    starts = [word.start_s for word in reading.words]
    assert starts == sorted(starts)
    assert " ".join(word.text for word in reading.words) == reading.text


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("short_windows", "is_final"), [(True, True), (False, True), (True, False)])
def test_noise_gives_no_words_even_if_it_gets_past_the_voice_detector(
    model: Model, noise: str, *, short_windows: bool, is_final: bool
) -> None:
    decoder = Decoder(model, FasterWhisperSettings(), short_windows=short_windows)
    pieces = [_piece(_noise(noise, seed), is_final=is_final) for seed in (1, 2)]
    assert [reading.text for reading in decoder.decode(pieces)] == ["", ""]


def test_a_text_that_repeats_itself_is_looked_at_again_and_tries_are_bounded(
    model: Model, amiable: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    temperatures: list[float] = []

    def looping(encoded: Encoded, prompts: Sequence[list[int]], **how: Any) -> list[Generated]:
        del encoded
        temperatures.append(how["temperature"])
        return [Generated([1], ("and so on " * 40,), -0.1, 0.0, None) for _ in prompts]

    monkeypatch.setattr(model, "generate", looping)
    decoder = Decoder(model, FasterWhisperSettings(temperatures=(0.3, 0.6)), short_windows=True)
    decoder.decode([_piece(amiable)])
    assert temperatures == [0.0, 0.0, 0.3, 0.6]
    temperatures.clear()
    decoder.decode([_piece(amiable, is_final=False)])
    assert temperatures == [0.0, 0.0]


class Polyglot:
    """A multilingual model as far as languages go: it hears Tamil best, then Kannada, and writes what it was told."""

    is_multilingual = True
    codes = ("en", "kn", "ta")

    def features(self, samples: Samples) -> Samples:
        return samples

    def encode(self, batch: Sequence[Features], window_s: int) -> int:
        del window_s
        return len(batch)

    def detect(self, encoded: int) -> list[dict[str, float]]:
        return [{"ta": 0.6, "kn": 0.3, "en": 0.1}] * encoded

    def prompt(self, preceding: Sequence[int], language: str) -> list[int]:
        del preceding
        return [self.codes.index(language)]

    def generate(self, encoded: int, prompts: Sequence[list[int]], **how: Any) -> list[Generated]:
        del encoded, how
        return [Generated([1], (self.codes[prompt[0]],), -0.1, 0.0, None) for prompt in prompts]


@pytest.mark.parametrize(
    ("wanted", "heard"), [((), "ta"), (("kn",), "kn"), (("kn", "en"), "kn"), (("en", "ta"), "ta"), (("en",), "en")]
)
def test_the_language_is_the_one_asked_for_or_the_likeliest_of_several(
    amiable: Samples, wanted: tuple[str, ...], heard: str
) -> None:
    decoder = Decoder(cast("Model", Polyglot()), FasterWhisperSettings(), short_windows=False)
    company = Piece(amiable, (), (), is_final=True, wants_words=False)
    readings = decoder.decode([Piece(amiable, (), wanted, is_final=True, wants_words=False), company])
    assert [(reading.text, reading.language) for reading in readings] == [(heard, heard), ("ta", "ta")]


def _noise(kind: str, seed: int) -> Samples:
    """Five seconds without speech."""
    random = np.random.default_rng(seed)
    white = random.standard_normal(5 * RATE_HERTZ)
    time_s = np.arange(5 * RATE_HERTZ) / RATE_HERTZ
    drift = np.cumsum(white)
    brown = drift - np.convolve(drift, np.ones(800) / 800, "same")
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.arange(1, len(spectrum) + 1)), len(white))
    notes = np.repeat(random.choice([262, 294, 330, 392, 440, 523], 15), RATE_HERTZ // 3)
    tune = np.sin(2 * np.pi * np.cumsum(np.resize(notes, len(white))) / RATE_HERTZ)
    clicks = np.convolve(random.random(len(white)) < 3 / RATE_HERTZ, np.exp(-np.arange(400) / 60), "same")
    beat = np.sin(2 * np.pi * (2 + seed) * time_s)
    kinds = {
        "white": white * 0.05,
        "brown": brown / np.abs(brown).max() * 0.3,
        "pink": pink / np.abs(pink).max() * 0.3,
        "hum": np.sin(2 * np.pi * 60 * seed * time_s) * 0.1,
        "chord": sum(np.sin(2 * np.pi * pitch * time_s) for pitch in (440, 550 + 10 * seed, 660)) * 0.05,
        "tune": tune * np.exp(-3 * (time_s % (1 / 3))) * 0.15,
        "clicks": clicks * 0.8,
        "bursts": white * 0.2 * (beat > 0.9),
        "slow_bursts": white * 0.2 * (np.sin(2 * np.pi * seed * time_s) > 0.5),
        "nothing": np.zeros_like(white),
    }
    return np.asarray(kinds[kind], np.float32)
