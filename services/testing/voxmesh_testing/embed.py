"""What every embedding engine must do, proved on a real server with the real model.

An engine's tests subclass `EmbedConformance` with the engine's name; those of an engine that ranks
subclass `RerankConformance` of `voxmesh_testing.rerank`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from google.rpc import error_details_pb2

from voxmesh.common.v1 import common_pb2
from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_embed.engine import Host, Text, Vector
from voxmesh_embed.servicer import EmbedService
from voxmesh_embed.settings import EmbedSettings
from voxmesh_runtime.clock import seconds_of
from voxmesh_testing.engines import EngineConformance
from voxmesh_testing.streams import Exchange, details, exchange, serving

Request = embed_pb2.StreamingEmbedRequest
Response = embed_pb2.StreamingEmbedResponse
EmbedExchange = Exchange[Request, Response]
OptionOutcome = common_pb2.OptionOutcome

QUERY = embed_pb2.TextBatch.KIND_QUERY
SENTENCES = (
    "The cat sleeps on the sofa.",
    "A kitten is napping on the couch.",
    "The company's quarterly revenue grew by ten percent.",
    "Sales of the firm rose in the last three months.",
    "How do I change the tyre of my bicycle?",
    "Replacing a flat bike wheel, step by step.",
)
"""Pairs of neighbours mean about the same."""


def batch(batch_id: int, *texts: str, **fields: Any) -> Request:
    """A batch of texts."""
    return Request(batch=embed_pb2.TextBatch(batch_id=batch_id, texts=texts, **fields))


def vectors(answer: embed_pb2.EmbeddingBatch) -> npt.NDArray[np.float64]:
    """The vectors of an answer, shape (texts, dimensions)."""
    return np.array([embedding.values for embedding in answer.embeddings])


class ModelConformance(EngineConformance):
    """What embedding and ranking have in common: one service, and refusals by name."""

    slot = "embed"
    means_something: ClassVar[bool] = True
    """The weights are trained, or made so that they tell texts apart by what they say."""

    def server_settings(self, **changes: Any) -> EmbedSettings:
        return EmbedSettings(**{**self.settings, **changes})

    def service_of(self, host: Host, settings: EmbedSettings) -> EmbedService:
        return EmbedService(host, settings)

    async def model_info(self, channel: grpc.aio.Channel) -> common_pb2.ModelInfo:
        answer = await embed_pb2_grpc.EmbeddingServiceStub(channel).GetModelInfo(embed_pb2.GetModelInfoRequest())
        return answer.model_info

    async def refusal(self, *requests: Any, config: Any = None) -> str:  # of either stream
        """Send messages that break the contract; the field that the error names."""
        async with self.served() as (method, _, _), exchange(method, config or self.config(), *requests) as stream:
            error = await stream.failure()
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        (bad,) = (detail for detail in details(error) if isinstance(detail, error_details_pb2.BadRequest))
        return bad.field_violations[0].field


class EmbedConformance(ModelConformance):
    """Rules of embedding beside those of every stream."""

    least_batch_cosine: ClassVar[float] = 0.999
    """Likeness of a text's vector alone and among others."""

    def method(self, channel: grpc.aio.Channel) -> Any:
        return embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed

    def config(self, **changes: Any) -> Request:
        return Request(config=embed_pb2.EmbeddingConfig(**changes))

    def work(self) -> Sequence[Request]:
        return [batch(number, *(f"{text} {number}" for text in SENTENCES * 20)) for number in range(3)]

    def least_work(self) -> Sequence[Request]:
        return [batch(1, SENTENCES[0])]

    def empty(self) -> Request:
        return Request()

    @asynccontextmanager
    async def embedding(self, **changes: Any) -> AsyncGenerator[EmbedExchange]:
        """A stream whose config is accepted."""
        async with self.stream(**changes) as (stream, _):
            yield stream

    async def test_each_text_gets_a_vector_of_unit_length_in_its_place(self) -> None:
        async with self.embedding() as stream:
            await stream.send(batch(7, *SENTENCES), batch(8, *reversed(SENTENCES)))
            answers = {(await stream.until("batch")).batch_id: stream.seen[-1].batch for _ in range(2)}
            forwards, backwards = vectors(answers[7]), vectors(answers[8])
            assert forwards.shape == (len(SENTENCES), self.loaded.info.dimensions)
            assert np.allclose(np.linalg.norm(forwards, axis=1), 1, atol=1e-4)
            assert np.all((forwards * backwards[::-1]).sum(axis=1) > self.least_batch_cosine)
            assert all(embedding.token_count > 0 for embedding in answers[7].embeddings)

    async def test_sentences_of_like_meaning_are_nearest_to_each_other(self) -> None:
        if not self.means_something:
            pytest.skip("the weights are random")
        async with self.embedding() as stream:
            await stream.send(batch(1, *SENTENCES))
            found = vectors(await stream.until("batch"))
            likeness = found @ found.T - 2 * np.eye(len(SENTENCES))
            assert list(likeness.argmax(axis=1)) == [1, 0, 3, 2, 5, 4]

    async def test_a_text_alone_and_among_others_has_the_same_vector(self) -> None:
        texts = [*SENTENCES, "one", "a much longer text " * 30]
        async with self.embedding() as stream:
            await stream.send(batch(0, *texts))
            together = vectors(await stream.until("batch"))
            for place, text in enumerate(texts):
                await stream.send(batch(place, text))
                alone = vectors(await stream.until("batch"))[0]
                assert alone @ together[place] > self.least_batch_cosine

    async def test_half_close_answers_everything_that_was_sent(self) -> None:
        async with self.embedding() as stream:
            count = 3 * self.server_settings().max_pending_batches
            await stream.send(*(batch(number, SENTENCES[number % 6]) for number in range(count)))
            await stream.half_close()
            answers = [response.batch.batch_id for response in (await stream.rest())[1:]]
            assert sorted(answers) == list(range(count))

    async def test_a_small_batch_overtakes_a_large_one_of_another_stream(self) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config()) as large:
            await large.until("ready")
            await large.send(batch(1, *(SENTENCES * 43)[:256]))
            async with exchange(method, self.config(), batch(1, "hello")) as small:
                answer = await small.until("batch")
            large_answer = await large.until("batch")
            assert len(large_answer.embeddings) == 256
            assert seconds_of(answer.timing.finished_time) < seconds_of(large_answer.timing.finished_time)

    async def test_a_small_batch_overtakes_a_large_one_of_its_own_stream(self) -> None:
        async with self.embedding() as stream:
            await stream.send(batch(1, *(SENTENCES * 43)[:256]), batch(2, "hello"))
            assert (await stream.until("batch")).batch_id == 2
            assert (await stream.until("batch")).batch_id == 1

    async def test_streams_with_the_same_ids_do_not_mix(self) -> None:
        async with (
            self.served() as (method, _, _),
            exchange(method, self.config(), *(batch(n, SENTENCES[0]) for n in range(4))) as cats,
            exchange(method, self.config(), *(batch(n, SENTENCES[2]) for n in range(4))) as sales,
        ):
            first = [vectors(await stream.until("batch"))[0] for stream in (cats, sales)]
            assert first[0] @ first[1] < self.least_batch_cosine
            for stream, own in zip((cats, sales), first, strict=True):
                for _ in range(3):
                    assert vectors(await stream.until("batch"))[0] @ own > self.least_batch_cosine

    async def test_an_id_may_be_used_again_once_it_is_answered(self) -> None:
        async with self.embedding() as stream:
            for _ in range(3):
                await stream.send(batch(5, "again"))
                assert (await stream.until("batch")).batch_id == 5

    async def test_an_id_of_a_batch_not_yet_answered_is_refused(self) -> None:
        assert await self.refusal(batch(5, *(SENTENCES * 10)), batch(5, "hello")) == "batch.batch_id"

    async def test_shorter_vectors_have_unit_length_and_ready_tells_what_they_are_worth(self) -> None:
        self.loaded.load()
        wanted = self.loaded.info.dimensions // 3
        async with self.served() as (method, _, _), exchange(method, self.config(dimensions=wanted)) as stream:
            (option,) = (await stream.until("ready")).options
            assert option.field == "config.dimensions"
            if self.loaded.info.shorter_dimensions:
                assert option.outcome == OptionOutcome.OUTCOME_APPLIED
            else:
                assert option.outcome == OptionOutcome.OUTCOME_APPROXIMATED
                assert option.detail
            await stream.send(batch(1, *SENTENCES))
            found = vectors(await stream.until("batch"))
            assert found.shape == (len(SENTENCES), wanted)
            assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)

    async def test_the_models_own_length_is_applied(self) -> None:
        self.loaded.load()
        config = self.config(dimensions=self.loaded.info.dimensions)
        async with self.served() as (method, _, _), exchange(method, config) as stream:
            (option,) = (await stream.until("ready")).options
            assert option.outcome == OptionOutcome.OUTCOME_APPLIED

    async def test_vectors_in_bytes_are_those_in_floats(self) -> None:
        floats = await self.packed(embed_pb2.EmbeddingConfig.ENCODING_FLOAT)
        bytes_ = await self.packed(embed_pb2.EmbeddingConfig.ENCODING_INT8)
        for plain, small in zip(floats, bytes_, strict=True):
            values, numbers = np.array(plain.values), np.frombuffer(small.packed, np.int8).astype(float)
            assert (len(small.values), len(plain.packed), numbers.shape) == (0, 0, values.shape)
            assert np.abs(numbers).max() == 127
            assert values @ numbers / np.linalg.norm(numbers) > self.least_batch_cosine - 0.001

    async def test_vectors_in_bits_are_the_signs_of_those_in_floats(self) -> None:
        floats = await self.packed(embed_pb2.EmbeddingConfig.ENCODING_FLOAT, dimensions=13)
        bits = await self.packed(embed_pb2.EmbeddingConfig.ENCODING_BINARY, dimensions=13)
        for plain, small in zip(floats, bits, strict=True):
            values = np.array(plain.values)
            signs = np.unpackbits(np.frombuffer(small.packed, np.uint8))
            assert (len(small.values), list(signs[13:])) == (0, [0, 0, 0])
            # A value beside 0 may fall to either side in another batch.
            clear = np.abs(values) > 0.01
            assert list(signs[:13][clear]) == list((values > 0)[clear].astype(int))

    async def packed(self, encoding: int, **changes: Any) -> Sequence[embed_pb2.Embedding]:
        """Embeddings of the sentences in an encoding that is APPLIED."""
        config = self.config(encoding=encoding, **changes)
        async with self.served() as (method, _, _), exchange(method, config) as stream:
            options = {option.field: option.outcome for option in (await stream.until("ready")).options}
            assert options["config.encoding"] == OptionOutcome.OUTCOME_APPLIED
            await stream.send(batch(1, *SENTENCES))
            return (await stream.until("batch")).embeddings

    async def test_an_encoding_that_the_contract_does_not_know_is_refused(self) -> None:
        assert await self.refusal(config=self.config(encoding=9)) == "config.encoding"

    async def test_a_service_that_embeds_refuses_to_rank(self) -> None:
        settings = self.server_settings()
        config = embed_pb2.StreamingRerankRequest(config=embed_pb2.RerankConfig())
        async with serving(self.service(settings), settings) as (channel, _):
            method: Any = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingRerank
            async with exchange(method, config) as stream:
                error = await stream.failure()
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "cross_encoder" in str(error.details())

    async def test_ten_streams_at_once_get_their_own_vectors(self) -> None:
        texts = [f"{sentence} {number}" for number, sentence in enumerate(SENTENCES * 2)][:10]
        expected = [vector.values for vector in self.embedded(texts)]
        async with self.served(max_streams=10) as (method, _, _):

            async def one(text: str) -> npt.NDArray[np.float64]:
                async with exchange(method, self.config(), batch(1, text)) as stream:
                    return vectors(await stream.until("batch"))[0]

            found = await asyncio.gather(*map(one, texts))
        assert [int((np.array(expected) @ values).argmax()) for values in found] == list(range(10))

    def embedded(self, texts: Sequence[str]) -> Sequence[Vector]:
        """The engine's own vectors, each alone."""
        self.loaded.load()
        return [self.loaded.embed([Text(text)])[0] for text in texts]

    async def test_an_instruction_is_applied_or_said_to_be_ignored(self) -> None:
        config = self.config(instruction="Find an answer.")
        async with self.served() as (method, _, _), exchange(method, config) as stream:
            (option,) = (await stream.until("ready")).options
            applied = option.outcome == OptionOutcome.OUTCOME_APPLIED
            assert applied == self.loaded.info.instruction
            assert applied or (option.outcome == OptionOutcome.OUTCOME_IGNORED and option.detail)
            await stream.send(batch(1, "hello", kind=QUERY))
            assert len((await stream.until("batch")).embeddings) == 1

    @pytest.mark.parametrize("dimensions", [0, -1, 1_000_000])
    async def test_dimensions_outside_the_models_are_refused(self, dimensions: int) -> None:
        assert await self.refusal(config=self.config(dimensions=dimensions)) == "config.dimensions"

    async def test_an_endless_instruction_is_refused(self) -> None:
        assert await self.refusal(config=self.config(instruction="x" * 2001)) == "config.instruction"

    async def test_the_end_of_a_text_that_is_too_long_for_the_model_is_left_out_and_that_is_told(self) -> None:
        async with self.embedding() as stream:
            await stream.send(batch(1, "word " * 20_000, "word"))
            long, short = (await stream.until("batch")).embeddings
            assert (long.truncated, short.truncated) == (True, False)
            # A server behind the engine may tell no more than the tokens of a whole request.
            assert short.token_count < long.token_count <= self.loaded.info.max_tokens

    @pytest.mark.parametrize(
        ("texts", "field"),
        [
            ([], "batch.texts"),
            (["x"] * 257, "batch.texts"),
            ([""], "batch.texts[0]"),
            (["one", "", "three"], "batch.texts[1]"),
            (["x" * 100_001], "batch.texts[0]"),
            (["x" * 1_000_000], "batch.texts[0]"),
        ],
        ids=["none", "257", "empty", "empty among others", "100,001 characters", "1 MB"],
    )
    async def test_a_batch_outside_the_limits_is_refused_by_name(self, texts: list[str], field: str) -> None:
        assert await self.refusal(batch(1, *texts)) == field

    async def test_a_kind_that_the_contract_does_not_know_is_refused(self) -> None:
        assert await self.refusal(batch(1, "hello", kind=9)) == "batch.kind"

    async def test_a_refused_stream_leaves_the_others_alone(self) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config()) as good:
            await good.until("ready")
            await good.send(batch(1, *(SENTENCES * 20)))
            async with exchange(method, self.config(), batch(1, "fine"), batch(2, "")) as bad:
                assert (await bad.failure()).code() == grpc.StatusCode.INVALID_ARGUMENT
            assert len((await good.until("batch")).embeddings) == 120

    @pytest.mark.parametrize(
        "text", [" ", "\x00", "\U0001f600" * 50, "[CLS] [SEP] [MASK] </s> <|im_start|>", "\u200f\u202e", "x" * 100_000]
    )
    async def test_any_other_text_gets_a_vector(self, text: str) -> None:
        async with self.embedding() as stream:
            await stream.send(batch(1, text))
            (found,) = vectors(await stream.until("batch"))
            assert np.isfinite(found).all()
            assert np.isclose(np.linalg.norm(found), 1, atol=1e-4)

    async def test_timing_is_in_order_and_counts_the_work(self) -> None:
        async with self.embedding() as stream:
            await stream.send(batch(1, *SENTENCES))
            timing = (await stream.until("batch")).timing
            stamps = [timing.received_time, timing.started_time, timing.first_output_time, timing.finished_time]
            assert [seconds_of(stamp) for stamp in stamps] == sorted(seconds_of(stamp) for stamp in stamps)
            assert seconds_of(timing.compute_duration) > 0
            assert timing.batch_size == 1

    async def test_model_info_tells_what_the_model_can_do(self) -> None:
        settings = self.server_settings()
        async with serving(self.service(settings), settings) as (channel, _):
            stub = embed_pb2_grpc.EmbeddingServiceStub(channel)
            info = await stub.GetModelInfo(embed_pb2.GetModelInfoRequest())
            assert info.model_info.engine == self.engine
            assert info.model_info.license
            assert info.dimensions == self.loaded.info.dimensions
            assert info.max_tokens > 0
            assert (info.embeds, info.reranks) == (True, False)
