"""A decode that goes on from what was kept gives what a decode of everything gives, alone or among others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qwen_asr import Qwen3ASRModel

from voxmesh_runtime.audio import Samples
from voxmesh_stt_qwen_asr.attention import attend_within_windows
from voxmesh_stt_qwen_asr.backend import Speech
from voxmesh_stt_qwen_asr.decoder import GreedyDecoder, Row, Written
from voxmesh_stt_qwen_asr.transformers_backend import TransformersBackend, TransformersTrack

pytestmark = pytest.mark.engine

RATE_HERTZ = 16000
CONTEXTS = ("", "claude weather", "We talk about a green river.", "A novel.")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Tokens of each row, in the order of decoding; the real decoder still writes them."""
    answers: list[list[int]] = []
    write = GreedyDecoder.write

    def noted(self: GreedyDecoder, rows: Sequence[Row]) -> list[Written]:
        result = write(self, rows)
        answers.extend(one.tokens for one in result)
        return result

    monkeypatch.setattr(GreedyDecoder, "write", noted)
    return answers


@pytest.fixture(scope="module")
def package(random_checkpoint: Path, random_backend: TransformersBackend) -> Any:
    """The package itself, with windows as FlashAttention heeds them."""
    model: Any = Qwen3ASRModel.from_pretrained(str(random_checkpoint), dtype=torch.float32)
    attend_within_windows(model.model.thinker.audio_tower)
    # The package names the ends of its own vocabulary by number.
    model.model.generate = partial(model.model.generate, eos_token_id=list(random_backend._decoder._end_ids))
    return model


def noting(
    function: Callable[[Any], Any], asked: list[Any] | None = None, results: list[Any] | None = None
) -> Callable[[Any], Any]:
    """The same function, which notes what it was asked or what it gave."""

    def noted(argument: Any) -> Any:
        result = function(argument)
        if asked is not None:
            asked.append(argument)
        if results is not None:
            results.append(result)
        return result

    return noted


def refed(package: Any, context: str, prefix: str, samples: Samples) -> tuple[list[int], torch.Tensor]:
    """What the package writes when it is given all audio and the text before, and its first logits."""
    prompt = package._build_text_prompt(context=context, force_language="English") + prefix
    inputs = package.processor(text=[prompt], audio=[samples], return_tensors="pt", padding=True)
    made = package.model.generate(**inputs, max_new_tokens=16, output_logits=True)
    tokens: list[int] = made.sequences[0, inputs["input_ids"].shape[1] :].tolist()
    tokenizer = package.processor.tokenizer
    return [token for token in tokens if token not in {tokenizer.eos_token_id, tokenizer.pad_token_id}], made.logits[0]


def test_every_chunk_of_forty_seconds_writes_what_refeeding_all_audio_writes(
    random_backend: TransformersBackend,
    package: Any,
    minute: Samples,
    written: list[list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prefixes: list[str] = []
    logits: list[torch.Tensor] = []
    prefix_of, head = random_backend._prefix, random_backend._decoder._head
    monkeypatch.setattr(random_backend, "_prefix", noting(prefix_of, results=prefixes))
    monkeypatch.setattr(random_backend._decoder, "_head", noting(head, results=logits))
    track = random_backend.track(CONTEXTS[1], "English")
    lengths = [1000, *range(30_000, 40 * RATE_HERTZ, 81_111), 128_030, 128_050, 40 * RATE_HERTZ]
    for length in sorted(lengths):
        logits.clear()
        random_backend.decode([Speech(track, 0, minute[:length])])
        heard = np.pad(minute[:length], (0, max(0, RATE_HERTZ - length)))
        tokens, first_logits = refed(package, CONTEXTS[1], prefixes[-1], heard)
        assert written[-1] == tokens
        assert torch.allclose(logits[0], first_logits, atol=2e-3 * float(first_logits.abs().max()))
    assert len({tuple(tokens) for tokens in written}) > 3
    assert prefixes[2] != ""
    assert track.progress.windows == 4


def test_what_a_decode_computes_does_not_grow_with_the_utterance(
    random_backend: TransformersBackend, minute: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[list[torch.Tensor]] = []
    monkeypatch.setattr(random_backend._encoder, "encode", noting(random_backend._encoder.encode, asked=encoded))
    track = random_backend.track("", None)
    for second in range(4, 61, 4):
        random_backend.decode([Speech(track, 0, minute[: second * RATE_HERTZ])])
    frames = [sum(window.shape[1] for window in windows) for windows in encoded]
    assert frames[0] == 400
    assert max(frames[2:]) <= 1200
    assert track.progress.kept is not None
    assert track.progress.kept.shape[2] == len(track.head_ids) + 7 * 104


def test_streams_of_all_ages_and_contexts_write_together_what_each_writes_alone(
    random_backend: TransformersBackend, minute: Samples, written: list[list[int]]
) -> None:
    pieces = [(context, minute[begin * 7 * RATE_HERTZ :]) for begin, context in enumerate(CONTEXTS)]
    lengths = [[3000, 19_000, 300_000], [150_000, 160_000, 170_000], [16_000, 140_000, 150_000], [1, 2, 9_000]]
    alone: list[list[list[int]]] = []
    for (context, samples), ends in zip(pieces, lengths, strict=True):
        track = random_backend.track(context, "English")
        for end in ends:
            random_backend.decode([Speech(track, 0, samples[:end])])
        alone.append(written[-3:])
    tracks = [random_backend.track(context, "English") for context in CONTEXTS]
    for index in range(3):
        random_backend.decode(
            [
                Speech(track, 0, samples[: ends[index]])
                for track, (_, samples), ends in zip(tracks, pieces, lengths, strict=True)
            ]
        )
        assert written[-4:] == [answers[index] for answers in alone]
    assert len({tuple(tokens) for answers in alone for tokens in answers}) > 6


def test_an_utterance_that_is_cut_short_is_decoded_as_if_it_had_never_been_longer(
    random_backend: TransformersBackend, minute: Samples, written: list[list[int]]
) -> None:
    track, fresh = random_backend.track("", None), random_backend.track("", None)
    for second in (5, 10, 20, 30):
        random_backend.decode([Speech(track, 3, minute[: second * RATE_HERTZ])])
    random_backend.decode([Speech(track, 3, minute[: 18 * RATE_HERTZ])])
    random_backend.decode([Speech(fresh, 0, minute[: 18 * RATE_HERTZ])])
    assert written[-2] == written[-1]
    assert track.progress.windows == 2


def test_a_finished_window_stays_as_it_is_when_it_gets_loud(random_backend: TransformersBackend) -> None:
    soft = np.random.default_rng(1).standard_normal(9 * RATE_HERTZ).astype(np.float32) * 0.001
    track = random_backend.track("", None)
    random_backend.decode([Speech(track, 0, soft)])
    before = track.progress.kept
    assert before is not None
    loud = np.concatenate([soft, np.full(8 * RATE_HERTZ, 0.9, np.float32) * np.sign(soft[: 8 * RATE_HERTZ])])
    random_backend.decode([Speech(track, 0, loud)])
    after = track.progress.kept
    assert after is not None
    assert after.shape[2] == before.shape[2] + 104
    assert torch.equal(after[:, :, : before.shape[2]], before)
    assert torch.isfinite(after).all()


def test_the_end_of_an_utterance_frees_all_but_the_prompt_and_close_frees_that(
    random_backend: TransformersBackend, minute: Samples
) -> None:
    track = random_backend.track("A novel.", None)
    random_backend.decode([Speech(track, 0, minute[: 20 * RATE_HERTZ])])
    assert kept_tokens(track) == len(track.head_ids) + 2 * 104
    track.forget()
    assert kept_tokens(track) == 0
    assert track.prompt is not None
    assert track.prompt.shape[2] == len(track.head_ids)
    assert track.prompt.untyped_storage().nbytes() == track.prompt.nbytes
    track.close()
    assert track.prompt is None


def test_the_prompt_is_computed_once_for_all_utterances(
    random_backend: TransformersBackend, minute: Samples, written: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    track, fresh = random_backend.track("A novel.", None), random_backend.track("A novel.", None)
    random_backend.decode([Speech(track, 0, minute[:RATE_HERTZ])])
    embedded: list[list[int]] = []
    monkeypatch.setattr(random_backend._decoder, "embed", noting(random_backend._decoder.embed, asked=embedded))
    random_backend.decode([Speech(track, 1, minute[RATE_HERTZ : 3 * RATE_HERTZ])])
    assert track.head_ids not in embedded
    random_backend.decode([Speech(fresh, 0, minute[RATE_HERTZ : 3 * RATE_HERTZ])])
    assert track.head_ids in embedded
    assert written[-2] == written[-1]


def kept_tokens(track: TransformersTrack) -> int:
    return 0 if track.progress.kept is None else track.progress.kept.shape[2]
