"""One batched step of the cache-aware encoder and the transducer behind it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from voxmesh_stt_nemotron.latency import LatencyMode
from voxmesh_stt_nemotron.mel import MelFrontend
from voxmesh_stt_nemotron.stream import EncoderCache, Stream
from voxmesh_stt_nemotron.tokens import Token
from voxmesh_stt_nemotron.transducer import Transducer


class Stepper:
    """Takes the next chunk of several streams; its calls must not overlap, as modes are state of the encoder."""

    def __init__(self, model: Any, frontend: MelFrontend, transducer: Transducer, device: str) -> None:
        self._encoder = model.encoder
        self._frontend = frontend
        self._transducer = transducer
        self._device = device

    def step(self, streams: Sequence[Stream]) -> list[tuple[Stream, list[Token]]]:
        """One chunk of each stream that is due one, and the tokens it gave.

        Streams share a call of the encoder when they have the same mode and as many cached mel frames.
        """
        groups: dict[tuple[LatencyMode, int], list[Stream]] = {}
        for stream in streams:
            if stream.due:
                groups.setdefault((stream.mode, stream.cached), []).append(stream)
        with torch.inference_mode():
            return [done for (mode, cached), group in groups.items() for done in self._group(mode, cached, group)]

    def _group(self, mode: LatencyMode, cached: int, group: Sequence[Stream]) -> list[tuple[Stream, list[Token]]]:
        mel = self._frontend.frames([stream.take() for stream in group])
        chunks = [stream.chunk(frames) for stream, frames in zip(group, mel, strict=True)]
        self._enter(mode)
        encoded, lengths, *after = self._encoder.cache_aware_stream_step(
            *self._padded(chunks),
            *self._caches(group),
            keep_all_outputs=False,
            # Frames that the cached mel frames gave before.
            drop_extra_pre_encoded=-(-cached // self._encoder.subsampling_factor),
        )
        states, trees = [stream.decoder for stream in group], [stream.tree for stream in group]
        decoded = self._transducer.decode(encoded, lengths, states, trees)
        counts: list[int] = lengths.tolist()
        for index, (stream, result) in enumerate(zip(group, decoded, strict=True)):
            stream.cache = _cache_of(after, index)
            stream.decoder = result.state
            stream.decoded_frames += counts[index]
        return [(stream, result.tokens) for stream, result in zip(group, decoded, strict=True)]

    def _enter(self, mode: LatencyMode) -> None:
        self._encoder.att_context_size = list(mode.context)
        # A copy, because a step writes into it.
        self._encoder.streaming_cfg = copy.copy(mode.streaming)

    def _padded(self, chunks: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        lengths = [chunk.shape[1] for chunk in chunks]
        batch = torch.zeros(len(chunks), chunks[0].shape[0], max(lengths), device=self._device)
        for row, chunk in zip(batch, chunks, strict=True):
            row[:, : chunk.shape[1]] = chunk
        return batch, torch.tensor(lengths, device=self._device)

    def _caches(self, group: Sequence[Stream]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        caches = [stream.cache or self._empty() for stream in group]
        return (
            torch.cat([cache.channel for cache in caches], 1),
            torch.cat([cache.time for cache in caches], 1),
            torch.cat([cache.length for cache in caches], 0),
        )

    def _empty(self) -> EncoderCache:
        return EncoderCache(*self._encoder.get_initial_cache_state(batch_size=1, device=self._device))


def _cache_of(after: Sequence[torch.Tensor], index: int) -> EncoderCache:
    channel, time, length = after
    one = slice(index, index + 1)
    # Copies, or a stream that falls silent would keep the memory of its whole batch.
    return EncoderCache(channel[:, one].clone(), time[:, one].clone(), length[one].clone())
