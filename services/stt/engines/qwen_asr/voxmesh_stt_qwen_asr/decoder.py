"""The text decoder: a batch of streams, each going on from what it kept, writes until each is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers.cache_utils import Cache, CacheLayerMixin

Kept = torch.Tensor
"""Keys and values of the beginning of a stream's sequence: (2 x layers, heads, tokens, size)."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one stream wants decoded."""

    kept: Kept | None
    """Of the tokens before `new`."""
    new: torch.Tensor
    """Embeddings (tokens, width) that follow what is kept; at least one."""
    keep: int
    """How many of them the stream wants kept for its next decode."""
    most_tokens: int
    """Longest answer."""

    @property
    def kept_tokens(self) -> int:
        """Length of what is kept."""
        return 0 if self.kept is None else self.kept.shape[2]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a row."""

    tokens: list[int]
    """The answer, without the token that ends it."""
    kept: Kept | None
    """What was kept, and the new tokens to be kept behind it."""


class GreedyDecoder:
    """Takes the likeliest token each time, as the package does.

    Rows are padded behind their kept part and behind their new one, and the padding is masked, so
    that a row gives the same tokens in any company.

    Args:
        thinker: the package's `Qwen3ASRThinkerForConditionalGeneration`.
        end_ids: tokens that end an answer.
    """

    def __init__(self, thinker: Any, end_ids: frozenset[int]) -> None:
        self._model = thinker.model
        self._head = thinker.lm_head
        self._embed = thinker.get_input_embeddings()
        self._end_ids = end_ids

    def write(self, rows: Sequence[Row]) -> list[Written]:
        """Decode 1 row or more."""
        batch = _Batch(rows, self._model.config)
        new = pad_sequence([row.new for row in rows], batch_first=True)
        hidden = self._forward(batch, new)
        last = torch.tensor([len(row.new) - 1 for row in rows], device=hidden.device)
        kept = [batch.kept(index) for index in range(len(rows))]
        answers = self._answers(batch, rows, hidden[torch.arange(len(rows), device=hidden.device), last])
        return [Written(tokens, keys) for tokens, keys in zip(answers, kept, strict=True)]

    def embed(self, ids: Sequence[int]) -> torch.Tensor:
        """Embeddings (tokens, width) of text."""
        return self._embed(torch.tensor(ids, dtype=torch.long, device=self._embed.weight.device))

    def _answers(self, batch: _Batch, rows: Sequence[Row], hidden: torch.Tensor) -> list[list[int]]:
        answers: list[list[int]] = [[] for _ in rows]
        running = set(range(len(rows)))
        while True:
            chosen = self._head(hidden).argmax(-1)
            for index, token in enumerate(chosen.tolist()):
                if token in self._end_ids:
                    running.discard(index)
                elif index in running:
                    answers[index].append(token)
                    if len(answers[index]) >= rows[index].most_tokens:
                        running.discard(index)
            if not running:
                return answers
            hidden = self._forward(batch, self._embed(chosen[:, None]))[:, 0]

    def _forward(self, batch: _Batch, embeddings: torch.Tensor) -> torch.Tensor:
        positions, mask, columns = batch.advance(embeddings.shape[1])
        return self._model(
            inputs_embeds=embeddings,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=batch.cache,
            use_cache=True,
            cache_position=columns,
        ).last_hidden_state


class _Batch:
    """Keys, values and masks of rows side by side, with room for their answers.

    Columns: what is kept, padded behind; what is new, padded behind; the answers.
    """

    def __init__(self, rows: Sequence[Row], config: Any) -> None:
        self._rows = rows
        layers, heads, size = config.num_hidden_layers, config.num_key_value_heads, config.head_dim
        self._begin = max(row.kept_tokens for row in rows)
        new = max(len(row.new) for row in rows)
        room = self._begin + new + max(row.most_tokens for row in rows)
        like = rows[0].new
        # Zeros, since what is masked is still multiplied.
        self._states = like.new_zeros(2 * layers, len(rows), heads, room, size)
        self._mask = torch.ones(len(rows), room, dtype=torch.long, device=like.device)
        for index, row in enumerate(rows):
            if row.kept is not None:
                self._states[:, index, :, : row.kept_tokens] = row.kept
            self._mask[index, row.kept_tokens : self._begin] = 0
            self._mask[index, self._begin + len(row.new) : self._begin + new] = 0
        self._next = torch.tensor([row.kept_tokens for row in rows], device=like.device)
        self._filled = self._begin
        self.cache = Cache(
            layers=[_Room(self._states[i], self._states[layers + i], self._begin) for i in range(layers)]
        )

    def advance(self, tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Positions (rows, tokens), mask (rows, columns so far) and columns (tokens) of the next tokens."""
        columns = torch.arange(self._filled, self._filled + tokens, device=self._mask.device)
        positions = self._next[:, None] + torch.arange(tokens, device=self._mask.device)
        self._filled += tokens
        is_new = self._filled - tokens == self._begin
        lengths = [len(row.new) for row in self._rows] if is_new else [tokens] * len(self._rows)
        self._next = self._next + torch.tensor(lengths, device=self._next.device)
        return positions, self._mask[:, : self._filled], columns

    def kept(self, index: int) -> Kept | None:
        """What a row keeps; a copy, since the batch is freed."""
        row = self._rows[index]
        if not row.keep:
            return row.kept
        new = self._states[:, index, :, self._begin : self._begin + row.keep]
        return new.clone() if row.kept is None else torch.cat([row.kept, new], dim=2)


class _Room(CacheLayerMixin):
    """One layer's keys and values in a place of fixed size; nothing is copied as it fills.

    Args:
        keys: (rows, heads, room, size).
        values: the same.
        filled: columns that hold something.
    """

    is_sliding = False

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, filled: int) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.is_initialized = True
        self._filled = filled

    def lazy_initialization(self, key_states: torch.Tensor) -> None:
        """Nothing: it is made in full."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, cache_kwargs: dict[str, Any] | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add columns, and give all that are filled."""
        del cache_kwargs
        end = self._filled + key_states.shape[2]
        assert self.keys is not None  # noqa: S101 # the base class allows for None before the first use
        assert self.values is not None  # noqa: S101 # the same
        self.keys[:, :, self._filled : end] = key_states
        self.values[:, :, self._filled : end] = value_states
        self._filled = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_mask_sizes(self, cache_position: torch.Tensor) -> tuple[int, int]:
        """Columns with the next tokens, and the first of them."""
        return self._filled + cache_position.shape[0], 0

    def get_seq_length(self) -> int:
        """Columns that are filled."""
        return self._filled

    def get_max_cache_shape(self) -> int:
        """No limit that a mask must know."""
        return -1
