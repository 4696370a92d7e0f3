"""Texts a second of the service at many streams, beside the engine called directly, in turns on the same machine.

    python throughput.py [--streams 32] [--batches 3] [--texts 8] [--rounds 4]

Server and direct calls have a process of their own each, one thread for the model; the client has this one. Directly
the engine is called in two ways: with one batch after another, as a caller without the service would, and with all
texts of all callers sorted by length, 512 tokens at a time, which nobody can who does not know what comes next. CPU
seconds are those of the direct process and of the whole server.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import resource
import statistics
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_embed.engine import EngineInfo, Text
from voxmesh_embed.lengths import guessed_tokens
from voxmesh_embed.servicer import EmbedService
from voxmesh_embed.settings import EmbedSettings
from voxmesh_embed_minilm import create
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.host import EngineHost
from voxmesh_runtime.server import running

WORDS = "the cat sleeps on a sofa while rain falls and trains leave the city for the sea in early spring again".split
Batches = Sequence[Sequence[str]]


def texts_of(count: int, size: int, seed: int) -> list[list[str]]:
    """Batches of texts of 3 to 60 words."""
    chance = random.Random(seed)  # noqa: S311 # test data
    lengths = [[int(3 + 57 * chance.random() ** 3) for _ in range(size)] for _ in range(count)]
    return [[" ".join(chance.choices(WORDS(), k=length)) for length in batch] for batch in lengths]


def cpu_s() -> float:
    """CPU time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def call_directly(pipe: Connection) -> None:
    """Embed groups of texts that come, one call each; answers seconds and CPU seconds."""
    engine: Any = create(EngineContext.from_settings(EmbedSettings(engine="minilm")))
    engine.load()
    engine.warm_up()
    pipe.send(engine.info)
    while (groups := pipe.recv()) is not None:
        began, cpu = time.perf_counter(), cpu_s()
        for group in groups:
            engine.embed([Text(text) for text in group])
        pipe.send((time.perf_counter() - began, cpu_s() - cpu))


def sorted_groups(texts: Sequence[str], info: EngineInfo) -> list[list[str]]:
    """All texts by length, in groups as large as a step."""
    groups: list[list[str]] = [[]]
    left = info.max_batch_tokens
    for text in sorted(texts, key=len):
        tokens = guessed_tokens([text], info.max_tokens) + info.tokens_around
        if tokens > left and groups[-1]:
            groups.append([])
            left = info.max_batch_tokens
        groups[-1].append(text)
        left -= tokens
    return groups


def serve(pipe: Connection) -> None:
    """Serve until told to end; answers the CPU seconds so far whenever it is asked."""
    settings = EmbedSettings(engine="minilm", max_streams=1000)

    async def run() -> None:
        async with running(EmbedService(EngineHost.of("embed", settings), settings), settings) as server:
            pipe.send(server.port)
            while await asyncio.to_thread(pipe.recv) is not None:
                pipe.send(cpu_s())

    asyncio.run(run())


async def ask(port: int, streams: Sequence[Batches]) -> float:
    """Seconds in which all streams are answered, each sending its batches as fast as they are taken."""
    async with open_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = embed_pb2_grpc.EmbeddingServiceStub(channel)

        async def one(batches: Batches) -> None:
            async def requests() -> Any:
                yield embed_pb2.StreamingEmbedRequest(config=embed_pb2.EmbeddingConfig())
                for number, texts in enumerate(batches):
                    yield embed_pb2.StreamingEmbedRequest(batch=embed_pb2.TextBatch(batch_id=number, texts=texts))

            answers = [answer async for answer in stub.StreamingEmbed(requests())]
            if len(answers) != len(batches) + 1:
                raise RuntimeError("a batch was not answered")

        began = time.perf_counter()
        await asyncio.gather(*map(one, streams))
        return time.perf_counter() - began


def started(target: Any) -> tuple[Connection, Any]:
    """A process that has said that it is ready, and what it said."""
    ours, theirs = multiprocessing.Pipe()
    multiprocessing.get_context("spawn").Process(target=target, args=(theirs,), daemon=True).start()
    # So that a process that dies is noticed.
    theirs.close()
    return ours, ours.recv()


def main() -> None:
    """Measure, and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("streams", 32), ("batches", 3), ("texts", 8), ("rounds", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    direct, info = started(call_directly)
    server, port = started(serve)
    ratios: dict[str, list[float]] = {}
    for number in range(options.rounds):
        streams = [texts_of(options.batches, options.texts, number * 1000 + each) for each in range(options.streams)]
        batches = [batch for each in streams for batch in each]
        flat = [text for batch in batches for text in batch]
        server.send("cpu")
        before = server.recv()
        served_s = asyncio.run(ask(port, streams))
        server.send("cpu")
        served_cpu_s = server.recv() - before
        print(f"{len(flat)} texts: served {len(flat) / served_s:.0f}/s, {len(flat) / served_cpu_s:.0f} a CPU second")
        for way, groups in (("by batches", batches), ("sorted", sorted_groups(flat, info))):
            direct.send(groups)
            direct_s, direct_cpu_s = direct.recv()
            ratios.setdefault(way, []).append(direct_s / served_s)
            ratios.setdefault(f"{way}, by CPU", []).append(direct_cpu_s / served_cpu_s)
            print(f"    {way}: {len(flat) / direct_s:.0f}/s, {len(flat) / direct_cpu_s:.0f} a CPU second")
    for pipe in (direct, server):
        pipe.send(None)
    for way, found in ratios.items():
        print(f"served, as a share of the engine called directly {way}: {statistics.median(found):.3f} (median)")


if __name__ == "__main__":
    main()
