"""The loaded network: features of several utterances in, scores of tokens out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_stt_indic_conformer.files import Ids, ModelFolder
from voxmesh_stt_indic_conformer.graphs import Array, Floats, Graph, Loader, RowWise
from voxmesh_stt_indic_conformer.languages import LANGUAGES
from voxmesh_stt_indic_conformer.mel import Features

STEP_S = 0.08
"""Seconds of audio in one encoded step."""

_PADDING_FRAMES = 16
"""Zeros after the longest utterance too. The subsampling of the encoder's NeMo looks up to 15 frames
past the end without a mask; so it sees the same there, whoever else is in the batch."""


class Encoder:
    """Features of a batch to encoded steps."""

    def __init__(self, loader: Loader, folder: ModelFolder) -> None:
        self._graph = loader.open(folder.graph("encoder"))

    def __call__(self, batch: Sequence[Features]) -> list[Floats]:
        """[steps, width] of each utterance."""
        if len(batch) > 1 and not self._graph.is_free(0, 0):
            return [encoded for features in batch for encoded in self([features])]
        lengths = np.array([features.shape[1] for features in batch], np.int64)
        padded = np.zeros((len(batch), batch[0].shape[0], int(lengths.max()) + _PADDING_FRAMES), np.float32)
        for row, features in zip(padded, batch, strict=True):
            row[:, : features.shape[1]] = features
        outputs, steps = self._graph.run(padded, lengths)
        return [encoded[:, :count].T for encoded, count in zip(outputs, steps.tolist(), strict=True)]


class CtcHead:
    """Encoded steps to log-probabilities of one language's tokens."""

    def __init__(self, loader: Loader, folder: ModelFolder) -> None:
        self._graph = loader.open(folder.graph("ctc_decoder"))
        masks = _by_language(folder, "assets/language_masks.json")
        self._columns = {language: np.flatnonzero(np.array(mask, bool)) for language, mask in masks.items()}

    def __call__(self, encoded: Floats, language: str) -> Floats:
        """[steps, tokens + 1] of one utterance; the blank is the last."""
        scores = self._graph.run(np.ascontiguousarray(encoded.T[None]))[0][0]
        return log_softmax(scores[:, self._columns[language]])


@dataclass(frozen=True, slots=True)
class Predicted:
    """The prediction network after some tokens, of several utterances."""

    projected: Floats
    """[rows, width of the joint]."""
    hidden: Floats
    """[layers, rows, width]."""
    cell: Floats
    """[layers, rows, width]."""

    def row(self, index: int) -> Predicted:
        """That of one utterance."""
        at = slice(index, index + 1)
        return Predicted(self.projected[at], self.hidden[:, at], self.cell[:, at])

    @classmethod
    def of(cls, rows: Sequence[Predicted]) -> Predicted:
        """Several in one."""
        return cls(
            np.concatenate([row.projected for row in rows]),
            np.concatenate([row.hidden for row in rows], axis=1),
            np.concatenate([row.cell for row in rows], axis=1),
        )


class Transducer:
    """Prediction network and joint; a language's last layer is loaded when it is first spoken."""

    def __init__(self, loader: Loader, folder: ModelFolder, ids: Ids) -> None:
        self._loader = loader
        self._folder = folder
        self._ids = ids
        self._prediction = loader.open(folder.graph("rnnt_decoder"), on_cpu=True)
        self._joint_enc = RowWise(loader.open(folder.graph("joint_enc")))
        self._joint_pred = RowWise(loader.open(folder.graph("joint_pred"), on_cpu=True))
        self._pre = RowWise(loader.open(folder.graph("joint_pre_net"), on_cpu=True))
        self._posts: dict[str, RowWise] = {}

    def projected(self, encoded: Sequence[Floats]) -> list[Floats]:
        """The encoder's side of the joint for each utterance."""
        lengths = np.cumsum([len(steps) for steps in encoded])[:-1]
        return np.split(self._joint_enc(np.concatenate(encoded)), lengths)

    def started(self, count: int) -> Predicted:
        """The prediction network before the first token."""
        state = np.zeros((self._ids.layers, count, self._ids.width), np.float32)
        return self.after([self._ids.start] * count, state, state)

    def after(self, tokens: Sequence[int], hidden: Floats, cell: Floats) -> Predicted:
        """The prediction network after one more token of each utterance."""
        if len(tokens) > 1 and not self._takes_batches():
            rows = [(tokens[i : i + 1], hidden[:, i : i + 1], cell[:, i : i + 1]) for i in range(len(tokens))]
            return Predicted.of([self.after(*row) for row in rows])
        targets = np.array(tokens, np.int32)[:, None]
        outputs, _, hidden, cell = self._prediction.run(targets, np.ones(len(tokens), np.int32), hidden, cell)
        return Predicted(self._joint_pred(outputs[:, :, 0]), hidden, cell)

    def scores(self, joined: Floats, language: str) -> Floats:
        """Log-probabilities [rows, tokens + 1] from sums of both sides of the joint."""
        if language not in self._posts:
            path = self._folder.graph(f"joint_post_net_{language}")
            self._posts[language] = RowWise(self._loader.open(path, on_cpu=True))
        return log_softmax(self._posts[language](self._pre(joined)))

    def _takes_batches(self) -> bool:
        # The published export takes any batch of tokens, but only a batch of 1 as one of its states.
        graph: Graph = self._prediction
        return graph.is_free(0, 0) and graph.is_free(2, 1) and graph.is_free(3, 1)


def vocabulary(folder: ModelFolder) -> dict[str, list[str]]:
    """The tokens of each language, by id.

    Raises:
        FailedPrecondition: the file lacks a language.
    """
    return {language: list(tokens) for language, tokens in _by_language(folder, "assets/vocab.json").items()}


def _by_language(folder: ModelFolder, name: str) -> dict[str, Any]:
    found: Any = folder.read_json(name)
    missing = [language for language in LANGUAGES if not isinstance(found, dict) or language not in found]
    if missing:
        raise FailedPrecondition("model", folder.name, f"{name} holds nothing for {', '.join(missing)}")
    return found


def log_softmax(scores: Array) -> Floats:
    """Along the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
