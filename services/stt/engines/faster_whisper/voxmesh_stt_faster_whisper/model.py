"""A Whisper model in memory: features, encoder, decoder and alignment, each for a batch.

faster-whisper brings features, tokenizer and word alignment; CTranslate2 below it is called
directly, since only there utterances of different streams, each with its own prompt, share a call.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias, cast

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel
from faster_whisper.audio import pad_or_trim
from faster_whisper.feature_extractor import FeatureExtractor
from faster_whisper.tokenizer import _LANGUAGE_CODES, Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens, merge_punctuations

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_stt.engine import Word
from voxmesh_stt_faster_whisper.languages import tag_of

SAMPLE_RATE_HERTZ = 16000
FRAMES_PER_S = 100
WINDOW_S = 30
"""What the encoder was trained on."""
MAX_TOKENS = 448
"""Of prompt and text together."""
MAX_PROMPT_TOKENS = MAX_TOKENS // 2 - 1
"""Of what precedes the text, as in training."""
MAX_TEXT_TOKENS = MAX_TOKENS // 2
ENGLISH = "en"

_ENGLISH_TOKENS_PER_S = 12
"""Twice what fast speech has; what goes on for longer repeats itself."""
_UNSPACED = frozenset(("zh", "ja", "th", "lo", "my", "yue"))
_STAMP_S = 0.02
_SAMPLES_AT_ONCE = 5
"""Texts drawn at a temperature above 0, of which the likeliest is taken."""
_PREPENDED, _APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001 # full-width signs of Chinese and Japanese

Features = np.ndarray[tuple[int, int], np.dtype[np.float32]]
"""Log-mel spectrogram, [bands, frames]."""
Encoded: TypeAlias = Any
"""Output of the encoder, a StorageView [batch, positions, width] on the model's device; the library has no types."""
Words: TypeAlias = tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Generated:
    """Text of one utterance as the decoder gave it."""

    tokens: list[int]
    """Of the text alone."""
    segments: tuple[str, ...]
    """The text between time stamps; empty when it holds no word."""
    log_prob: float
    """Mean log probability of a token, 0 at best."""
    no_speech_prob: float
    resume_s: float | None
    """Where the decoder stopped with more to come; None at the end of the speech."""

    @property
    def text(self) -> str:
        """All segments."""
        return " ".join(self.segments)


class Model:
    """Calls block and must not overlap.

    Args:
        name: for messages.
        files: by name, as `sources.fetch` gives them.
        device: "cpu" or "cuda:0".
        compute_type: of CTranslate2.
        threads: of the CPU.

    Raises:
        FailedPrecondition: the files hold no Whisper model.
    """

    def __init__(self, name: str, files: Mapping[str, Path], device: str, compute_type: str, threads: int) -> None:
        _check(name, files)
        kind, _, index = device.partition(":")
        self._whisper = WhisperModel(
            name,
            device=kind,
            device_index=int(index or 0),
            compute_type=compute_type,
            cpu_threads=threads,
            local_files_only=True,
            # In memory, since packaged files may lie in different folders.
            files={file: path.read_bytes() for file, path in files.items()},
        )
        network = self._whisper.model
        self._network = network
        if self._whisper.feature_extractor.mel_filters.shape[0] != network.n_mels:
            self._whisper.feature_extractor = FeatureExtractor(feature_size=network.n_mels)
        self.compute_type = str(network.compute_type)
        self.is_multilingual = bool(network.is_multilingual)
        self.codes = tuple(_LANGUAGE_CODES[: network.num_languages]) if self.is_multilingual else (ENGLISH,)
        self._tokenizers: dict[str, Tokenizer] = {}
        self._suppressed = list(cast("Any", get_suppressed_tokens)(self._tokenizer(ENGLISH), [-1]))

    @property
    def language_codes(self) -> tuple[str, ...]:
        """BCP-47 tags that the model knows."""
        return tuple(tag_of(code) for code in self.codes)

    def tokens(self, text: str) -> list[int]:
        """The tokens of plain text.

        Raises:
            ValueError: the text holds one of the model's own tokens.
        """
        tokenizer = self._tokenizer(ENGLISH)
        found = tokenizer.encode(text)
        if any(token >= tokenizer.eot for token in found):
            raise ValueError("the text holds a token of Whisper's own")
        return found

    def features(self, samples: Samples) -> Features:
        """The features of speech at 16 kHz."""
        return cast("Features", self._whisper.feature_extractor(samples))

    def encode(self, batch: Sequence[Features], window_s: int) -> Encoded:
        """Encode utterances, each with silence up to the window's length."""
        padded = [pad_or_trim(features, window_s * FRAMES_PER_S) for features in batch]
        return self._whisper.encode(np.stack(padded))

    def detect(self, encoded: Encoded) -> list[dict[str, float]]:
        """For each utterance the probability of each of Whisper's language codes."""
        return [{token[2:-2]: float(p) for token, p in found} for found in self._network.detect_language(encoded)]

    def prompt(self, preceding: Sequence[int], language: str) -> list[int]:
        """The decoder's prompt: what precedes, at most `MAX_PROMPT_TOKENS`, and what is to be done.

        Time stamps are always asked for: they hold the text to the audio. Without them long speech
        lost and doubled sentences.
        """
        tokenizer = self._tokenizer(language)
        before = [tokenizer.sot_prev, *preceding] if preceding else []
        return [*before, *tokenizer.sot_sequence]

    def generate(
        self, encoded: Encoded, prompts: Sequence[list[int]], *, beam_size: int, temperature: float, window_s: int
    ) -> list[Generated]:
        """The texts of encoded utterances, whose prompts must be equally long."""
        how: dict[str, Any] = {"beam_size": beam_size}
        if temperature > 0:
            # The same audio gives the same text, whatever was drawn before it.
            ctranslate2.set_random_seed(1)
            how = {"beam_size": 1, "num_hypotheses": _SAMPLES_AT_ONCE, "sampling_topk": 0}
            how["sampling_temperature"] = temperature
        results = self._network.generate(
            encoded,
            list(prompts),
            max_length=min(MAX_TOKENS, len(prompts[0]) + self._max_text_tokens(window_s)),
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
            **how,
        )
        return [self._generated(result) for result in results]

    def align(self, encoded: Encoded, batch: Sequence[Generated], language: str, frames: Sequence[int]) -> list[Words]:
        """The words of each text; `frames` are those of each utterance without padding."""
        tokenizer = self._tokenizer(language)
        # An utterance without text stands for itself with a mark that gives no words.
        texts = [generated.tokens or [tokenizer.eot] for generated in batch]
        # Declared for one text, and made for many.
        find_alignment = cast("Any", self._whisper.find_alignment)
        found: list[list[dict[str, Any]]] = find_alignment(tokenizer, texts, encoded, list(frames))
        if language not in _UNSPACED:
            found = [_whole(alignment) for alignment in found]
        return [_words(alignment, count / FRAMES_PER_S) for alignment, count in zip(found, frames, strict=True)]

    def close(self) -> None:
        """Free the memory, that of a GPU too."""
        self._network.unload_model()

    def _tokenizer(self, language: str) -> Tokenizer:
        if language not in self._tokenizers:
            self._tokenizers[language] = Tokenizer(
                self._whisper.hf_tokenizer, self._network.is_multilingual, task="transcribe", language=language
            )
        return self._tokenizers[language]

    def _max_text_tokens(self, window_s: int) -> int:
        # Other scripts take several tokens a character.
        return MAX_TEXT_TOKENS if self.is_multilingual else min(MAX_TEXT_TOKENS, _ENGLISH_TOKENS_PER_S * window_s)

    def _generated(self, result: Any) -> Generated:
        tokenizer = self._tokenizer(ENGLISH)
        tokens: list[int] = result.sequences_ids[0]
        first_stamp = tokenizer.timestamp_begin
        runs = groupby(tokens, key=lambda token: token >= first_stamp)
        texts = [tokenizer.decode(list(run)).strip() for is_stamp, run in runs if not is_stamp]
        segments = tuple(text for text in texts if text)
        has_words = any(character.isalnum() for text in segments for character in text)
        stops_between = len(tokens) > 1 and min(tokens[-2:]) >= first_stamp
        # The score is a mean over the text; the end token counts too.
        log_prob = result.scores[0] * len(tokens) / (len(tokens) + 1)
        return Generated(
            [token for token in tokens if token < tokenizer.eot],
            segments if has_words else (),
            float(log_prob),
            float(result.no_speech_prob),
            (tokens[-1] - first_stamp) * _STAMP_S if stops_between else None,
        )


def _check(name: str, files: Mapping[str, Path]) -> None:
    try:
        config = json.loads(files["config.json"].read_text())
        is_whisper = "suppress_ids" in config and "lang_ids" in config
    except (ValueError, TypeError) as error:
        raise FailedPrecondition("model", name, f"model {name!r} has a config.json that is no JSON") from error
    if not is_whisper:
        raise FailedPrecondition("model", name, f"model {name!r} is no Whisper model of CTranslate2")


def _whole(alignment: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put together what no space parts, such as "cold" and "-hearted"."""
    whole: list[dict[str, Any]] = []
    for part in alignment:
        if whole and not part["word"].startswith(" "):
            last = whole[-1]
            probability = min(last["probability"], part["probability"])
            whole[-1] = {**last, "word": last["word"] + part["word"], "end": part["end"], "probability": probability}
        else:
            whole.append(part)
    return whole


def _words(alignment: list[dict[str, Any]], length_s: float) -> Words:
    merge_punctuations(alignment, _PREPENDED, _APPENDED)
    words: list[Word] = []
    for found in alignment:
        if text := found["word"].strip():
            begin_s = max(words[-1].start_s if words else 0.0, min(float(found["start"]), length_s))
            end_s = max(begin_s, min(float(found["end"]), length_s))
            words.append(Word(text, begin_s, end_s, confidence=float(found["probability"])))
    return tuple(words)
