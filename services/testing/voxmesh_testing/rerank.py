"""What every engine that ranks must do, proved on a real server with the real model.

An engine's tests subclass `RerankConformance` with the engine's name.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_embed.engine import Pair
from voxmesh_runtime.clock import seconds_of
from voxmesh_testing.embed import ModelConformance
from voxmesh_testing.streams import Exchange, exchange, serving

Request = embed_pb2.StreamingRerankRequest
Response = embed_pb2.StreamingRerankResponse
OptionOutcome = common_pb2.OptionOutcome

QUERY = "What is the capital of France?"
DOCUMENTS = (
    "The cat sleeps on the sofa.",
    "The capital of France is Paris.",
    "A bicycle has two wheels.",
    "What is it?",
    "Revenue grew by ten percent.",
)
"""The second answers the query."""
ANSWER = 1


def query(query_id: int, text: str = QUERY, documents: Sequence[str] = DOCUMENTS, **fields: Any) -> Request:
    """A query with documents."""
    return Request(query=embed_pb2.RerankQuery(query_id=query_id, query=text, documents=documents, **fields))


def scores(answer: embed_pb2.RankedDocuments) -> Mapping[int, float]:
    """Scores by the documents' places."""
    return {document.document_index: document.score for document in answer.documents}


class RerankConformance(ModelConformance):
    """Rules of ranking beside those of every stream."""

    score_tolerance: ClassVar[float] = 1e-4
    """Difference of a document's score alone and among others."""

    def method(self, channel: grpc.aio.Channel) -> Any:
        return embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingRerank

    def config(self, **changes: Any) -> Request:
        return Request(config=embed_pb2.RerankConfig(**changes))

    def work(self) -> Sequence[Request]:
        return [query(number, documents=[f"{text} {number}" for text in DOCUMENTS * 12]) for number in range(3)]

    def least_work(self) -> Sequence[Request]:
        return [query(1)]

    def empty(self) -> Request:
        return Request()

    @asynccontextmanager
    async def ranking(self, **changes: Any) -> AsyncGenerator[Exchange[Request, Response]]:
        """A stream whose config is accepted."""
        async with self.stream(**changes) as (stream, _):
            yield stream

    async def test_every_document_gets_a_score_and_the_best_comes_first(self) -> None:
        async with self.ranking() as stream:
            await stream.send(query(7))
            answer = await stream.until("ranked")
            found = [document.score for document in answer.documents]
            assert answer.query_id == 7
            assert sorted(scores(answer)) == list(range(len(DOCUMENTS)))
            assert found == sorted(found, reverse=True)
            assert all(0 <= score <= 1 for score in found)
            assert all(document.token_count > 0 and not document.truncated for document in answer.documents)

    async def test_the_document_that_answers_is_the_best(self) -> None:
        if not self.means_something:
            pytest.skip("the weights are random")
        async with self.ranking() as stream:
            await stream.send(query(1))
            assert (await stream.until("ranked")).documents[0].document_index == ANSWER

    async def test_a_document_alone_and_among_others_has_the_same_score(self) -> None:
        documents = [*DOCUMENTS, "one", "a much longer document " * 15]
        async with self.ranking() as stream:
            await stream.send(query(0, documents=documents))
            together = scores(await stream.until("ranked"))
            for place, document in enumerate(documents):
                await stream.send(query(place, documents=[document]))
                alone = scores(await stream.until("ranked"))[0]
                assert alone == pytest.approx(together[place], abs=self.score_tolerance)

    async def test_scores_depend_on_the_query(self) -> None:
        async with self.ranking() as stream:
            await stream.send(query(1))
            first = scores(await stream.until("ranked"))
            await stream.send(query(2, "How many wheels has a bicycle?"))
            second = scores(await stream.until("ranked"))
            assert max(abs(first[place] - second[place]) for place in first) > self.score_tolerance

    @pytest.mark.parametrize(("top_n", "count"), [(1, 1), (3, 3), (1000, len(DOCUMENTS))])
    async def test_only_so_many_of_the_best_are_told(self, top_n: int, count: int) -> None:
        async with self.ranking() as stream:
            await stream.send(query(1), query(2, top_n=top_n))
            every, best = sorted([await stream.until("ranked"), await stream.until("ranked")], key=lambda a: a.query_id)
            assert len(best.documents) == count
            assert (
                min(scores(best).values())
                >= max((score for place, score in scores(every).items() if place not in scores(best)), default=0)
                - self.score_tolerance
            )

    async def test_the_end_of_a_document_that_is_too_long_is_left_out_and_that_is_told(self) -> None:
        documents = ["word " * 20_000, "word " * 19_999 + "end", "word"]
        async with self.ranking() as stream:
            await stream.send(query(1, documents=documents))
            ranked = (await stream.until("ranked")).documents
            first, second, short = sorted(ranked, key=lambda document: document.document_index)
            assert (first.truncated, second.truncated, short.truncated) == (True, True, False)
            assert short.token_count < first.token_count <= self.loaded.info.max_tokens
            assert first.score == pytest.approx(second.score, abs=self.score_tolerance)

    async def test_the_longest_query_is_taken(self) -> None:
        async with self.ranking() as stream:
            await stream.send(query(1, "why " * 2500))
            assert len((await stream.until("ranked")).documents) == len(DOCUMENTS)

    @pytest.mark.parametrize(
        "text", [" ", "\x00", "\U0001f600" * 50, "[CLS] [SEP] [MASK] </s> <|im_end|> <think>", "\u200f\u202e"]
    )
    async def test_any_other_text_gets_a_score(self, text: str) -> None:
        async with self.ranking() as stream:
            await stream.send(query(1, text, [text, "a document"]))
            assert all(0 <= score <= 1 for score in scores(await stream.until("ranked")).values())

    async def test_half_close_answers_everything_that_was_sent(self) -> None:
        async with self.ranking() as stream:
            count = 3 * self.server_settings().max_pending_batches
            await stream.send(*(query(number, documents=DOCUMENTS[:1]) for number in range(count)))
            await stream.half_close()
            answers = [response.ranked.query_id for response in (await stream.rest())[1:]]
            assert sorted(answers) == list(range(count))

    async def test_a_small_query_overtakes_a_large_one_of_another_stream(self) -> None:
        async with self.served() as (method, _, _), exchange(method, self.config()) as large:
            await large.until("ready")
            await large.send(query(1, documents=(DOCUMENTS * 26)[:128]))
            async with exchange(method, self.config(), query(1, documents=["hello"])) as small:
                answer = await small.until("ranked")
            large_answer = await large.until("ranked")
            assert len(large_answer.documents) == 128
            assert seconds_of(answer.timing.finished_time) < seconds_of(large_answer.timing.finished_time)

    async def test_ten_streams_at_once_get_their_own_scores(self) -> None:
        texts = [f"{text} {number}" for number, text in enumerate(DOCUMENTS * 2)]
        self.loaded.load()
        expected = [self.loaded.score([Pair(QUERY, text)])[0].value for text in texts]
        async with self.served(max_streams=10) as (method, _, _):

            async def one(text: str) -> float:
                async with exchange(method, self.config(), query(1, documents=[text])) as stream:
                    return scores(await stream.until("ranked"))[0]

            found = await asyncio.gather(*map(one, texts))
        assert found == pytest.approx(expected, abs=self.score_tolerance)

    async def test_an_id_of_a_query_not_yet_answered_is_refused(self) -> None:
        assert await self.refusal(query(5, documents=DOCUMENTS * 10), query(5)) == "query.query_id"

    @pytest.mark.parametrize(
        ("request_", "field"),
        [
            (query(1, ""), "query.query"),
            (query(1, "x" * 10_001), "query.query"),
            (query(1, documents=[]), "query.documents"),
            (query(1, documents=["x"] * 257), "query.documents"),
            (query(1, documents=["one", ""]), "query.documents[1]"),
            (query(1, documents=["x" * 100_001]), "query.documents[0]"),
            (query(1, top_n=0), "query.top_n"),
        ],
        ids=["no query", "long query", "none", "257", "empty", "100,001 characters", "top 0"],
    )
    async def test_a_query_outside_the_limits_is_refused_by_name(self, request_: Request, field: str) -> None:
        assert await self.refusal(request_) == field

    async def test_an_endless_instruction_is_refused(self) -> None:
        assert await self.refusal(config=self.config(instruction="x" * 2001)) == "config.instruction"

    async def test_an_instruction_is_applied_or_said_to_be_ignored(self) -> None:
        config = self.config(instruction="Find an answer.")
        async with self.served() as (method, _, _), exchange(method, config) as stream:
            (option,) = (await stream.until("ready")).options
            applied = option.outcome == OptionOutcome.OUTCOME_APPLIED
            assert applied == self.loaded.info.instruction
            assert applied or (option.outcome == OptionOutcome.OUTCOME_IGNORED and option.detail)
            await stream.send(query(1))
            assert len((await stream.until("ranked")).documents) == len(DOCUMENTS)

    async def test_timing_is_in_order_and_counts_the_work(self) -> None:
        async with self.ranking() as stream:
            await stream.send(query(1))
            timing = (await stream.until("ranked")).timing
            stamps = [timing.received_time, timing.started_time, timing.first_output_time, timing.finished_time]
            assert [seconds_of(stamp) for stamp in stamps] == sorted(seconds_of(stamp) for stamp in stamps)
            assert seconds_of(timing.compute_duration) > 0

    async def test_a_service_that_ranks_refuses_to_embed(self) -> None:
        settings = self.server_settings()
        config = embed_pb2.StreamingEmbedRequest(config=embed_pb2.EmbeddingConfig())
        async with serving(self.service(settings), settings) as (channel, _):
            method: Any = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
            async with exchange(method, config) as stream:
                error = await stream.failure()
        assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "does not embed" in str(error.details())

    async def test_model_info_tells_what_the_model_can_do(self) -> None:
        settings = self.server_settings()
        async with serving(self.service(settings), settings) as (channel, _):
            stub = embed_pb2_grpc.EmbeddingServiceStub(channel)
            info = await stub.GetModelInfo(embed_pb2.GetModelInfoRequest())
            assert (info.embeds, info.reranks, info.dimensions) == (False, True, 0)
            assert info.max_tokens > 0
