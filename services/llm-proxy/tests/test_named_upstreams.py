"""Several upstreams behind one service: who answers, who answers instead, and what is told of each."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.__main__ import service_of
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_runtime.streams import Streams
from voxmesh_testing.llm import PNG, generate, prefill, tool, user, written
from voxmesh_testing.llm_server import Play, RecordedUpstream, recorded_upstream, text
from voxmesh_testing.streams import Exchange, details, exchange, serving, wait_for, wait_until

pytestmark = pytest.mark.server

Request = llm_pb2.StreamingGenerateRequest
State = llm_pb2.Upstream.State
DOWN = Play(status=503, error={"error": {"message": "loading"}})
SLOW = Play([text("late")], pause_s=30)


@dataclass
class Mesh:
    """A service with scripted upstreams by name."""

    upstreams: dict[str, RecordedUpstream]
    stub: llm_pb2_grpc.LanguageModelServiceStub
    streams: Streams

    @asynccontextmanager
    async def stream(self, metadata: Any = (), **config: Any) -> AsyncGenerator[Exchange[Any, Any]]:
        """A stream that is ready."""
        opening = Request(config=llm_pb2.GenerationConfig(**config))

        def method(timeout: float | None = None) -> Any:  # as a stub's
            return self.stub.StreamingGenerate(metadata=metadata, timeout=timeout)

        async with exchange(method, opening) as stream:
            await stream.until("ready")
            yield stream

    async def answer(self, **config: Any) -> tuple[str, str]:
        """The text of one generation, and the upstream that wrote it."""
        async with self.stream(**config) as stream:
            await stream.send(generate("Hi"))
            finished = await stream.until("finished")
            return written(stream.seen, 0), finished.upstream

    async def told(self) -> dict[str, llm_pb2.Upstream]:
        """What is told of each upstream."""
        info = await self.stub.GetModelInfo(llm_pb2.GetModelInfoRequest())
        return {each.name: each for each in info.upstreams}


@asynccontextmanager
async def mesh(
    tmp_path: Path, *named: Mapping[str, Any], top: Mapping[str, Any] | None = None, **settings: Any
) -> AsyncGenerator[Mesh]:
    """A service in front of scripted upstreams, each of which says its name."""
    async with AsyncExitStack() as stack:
        upstreams: dict[str, RecordedUpstream] = {}
        for each in named:
            upstream = await stack.enter_async_context(recorded_upstream(each.get("listed", ("big",))))
            upstream.play(Play([text(each["name"])]))
            upstreams[each["name"]] = upstream
        written_down = [
            {"base_url": upstreams[each["name"]].url, **{k: v for k, v in each.items() if k != "listed"}}
            for each in named
        ]
        path = tmp_path / "upstreams.json"
        path.write_text(json.dumps({"upstreams": written_down, **(top or {})}))
        chosen = LlmSettings(upstreams_file=path, retry_attempts=1, **settings)
        service = service_of(chosen)
        channel, _ = await stack.enter_async_context(serving(service, chosen))
        # Those that are not the first to be ready are waited for in the background.
        await wait_until(lambda: all(upstream.requests for upstream in upstreams.values()))
        for upstream in upstreams.values():
            upstream.requests.clear()
        yield Mesh(upstreams, llm_pb2_grpc.LanguageModelServiceStub(channel), service.streams)


A, B = {"name": "a"}, {"name": "b"}


async def test_the_first_answers_while_it_is_well(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B) as service:
        assert [await service.answer() for _ in range(3)] == [("a", "a")] * 3
        assert not service.upstreams["b"].requests


async def test_a_connection_is_used_again(tmp_path: Path) -> None:
    async with mesh(tmp_path, A) as service:
        upstream = service.upstreams["a"]
        upstream.keeps_alive = True
        before = upstream.connections
        for _ in range(3):
            await service.answer()
        assert upstream.connections - before == 1


async def test_a_connection_that_was_closed_meanwhile_is_nobodys_failure(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B, circuit_failures=1) as service:
        upstream = service.upstreams["a"]
        upstream.keeps_alive = upstream.forgets_connections = True
        before = upstream.connections
        assert [await service.answer() for _ in range(3)] == [("a", "a")] * 3
        assert upstream.connections - before == 3
        assert (await service.told())["a"].state == State.STATE_WELL


@pytest.mark.parametrize(
    "play",
    [
        DOWN,
        Play(status=401, error={"error": {"message": "no"}}),
        Play(status=404, error={"error": {"message": "no such model"}}),
        Play(status=429, error={}, headers={"Retry-After": "60"}),
        Play(raw=[b"<html>"], content_type="text/html"),
        Play([], finish=None),
    ],
    ids=["loading", "key", "model", "busy", "no API", "broke before the answer"],
)
async def test_a_failure_before_the_first_token_costs_the_caller_nothing(play: Play, tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B) as service:
        service.upstreams["a"].play(play)
        assert await service.answer() == ("b", "b")
        assert len(service.upstreams["a"].requests) == 1


async def test_a_request_that_is_wrong_is_wrong_everywhere(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B) as service:
        service.upstreams["a"].play(Play(status=400, error={"error": {"message": "bad"}}))
        async with service.stream() as stream:
            await stream.send(generate("Hi"))
            assert (await stream.failure()).code() == grpc.StatusCode.INVALID_ARGUMENT
        assert not service.upstreams["b"].requests


async def test_an_answer_that_broke_off_is_an_error_and_the_next_one_comes_from_the_other(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B, circuit_failures=1) as service:
        service.upstreams["a"].play(Play([text("Once ")], finish=None))
        async with service.stream() as stream:
            await stream.send(generate("Tell me a story"))
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            assert "the upstream 'a'" in str(error.details())
            assert written(stream.seen, 0) == "Once "
        assert await service.answer() == ("b", "b")
        assert len(service.upstreams["a"].requests) == 1
        told = await service.told()
        assert (told["a"].state, told["a"].problem) == (State.STATE_LEFT, "unreachable")
        assert told["b"].state == State.STATE_WELL


async def test_one_that_was_left_is_looked_at_tried_and_used_again(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B, circuit_failures=1) as service:
        a = service.upstreams["a"]
        a.play(DOWN)
        assert await service.answer() == ("b", "b")
        a.play(Play([text("a")]))

        async def is_on_trial() -> bool:
            return (await service.told())["a"].state == State.STATE_ON_TRIAL

        assert not a.requests
        await wait_for(is_on_trial)
        assert await service.answer() == ("a", "a")
        assert (await service.told())["a"].state == State.STATE_WELL


async def test_where_none_is_left_health_says_so_until_one_answers_again(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B, circuit_failures=1) as service:
        for upstream in service.upstreams.values():
            upstream.is_down = True
        async with service.stream() as stream:
            await stream.send(generate("Hi"))
            assert (await stream.failure()).code() == grpc.StatusCode.UNAVAILABLE
        assert not service.streams.is_able
        service.upstreams["b"].is_down = False
        await wait_until(lambda: service.streams.is_able)
        assert await service.answer() == ("b", "b")


async def test_a_purpose_orders_upstreams_and_decides_nothing_else(tmp_path: Path) -> None:
    voice, agents = {**A, "purposes": ["voice"]}, {**B, "purposes": ["agents"]}
    async with mesh(tmp_path, voice, agents, {"name": "c"}) as service:
        assert [(await service.answer(purpose=each))[1] for each in ("voice", "agents", "", "x")] == [
            "a",
            "b",
            "c",
            "c",
        ]
        service.upstreams["b"].play(DOWN)
        assert (await service.answer(purpose="agents"))[1] == "c"
        async with service.stream(purpose="voice") as stream:
            outcome = stream.seen[0].ready.options[0]
            assert (outcome.field, outcome.outcome) == ("config.purpose", outcome.OUTCOME_APPLIED)
        async with service.stream(purpose="x") as stream:
            assert stream.seen[0].ready.options[0].outcome == outcome.OUTCOME_IGNORED


async def test_a_model_goes_to_the_upstreams_that_have_it_by_their_name_for_it(tmp_path: Path) -> None:
    one = {**A, "model": "m-1", "listed": ("m-1", "m-2"), "models": {"fast": "m-2"}}
    other = {**B, "listed": ("n-1",), "models": {"fast": "n-1"}}
    async with mesh(tmp_path, one, other) as service:
        for wanted, name, model in (("", "a", "m-1"), ("m-2", "a", "m-2"), ("n-1", "b", "n-1"), ("fast", "a", "m-2")):
            assert (await service.answer(model=wanted))[1] == name
            assert service.upstreams[name].requests[-1]["model"] == model
        service.upstreams["a"].play(DOWN)
        assert (await service.answer(model="fast"))[1] == "b"
        info = await service.stub.GetModelInfo(llm_pb2.GetModelInfoRequest())
        assert list(info.models) == ["m-1", "fast", "m-2", "n-1"]
        async with exchange(service.stub.StreamingGenerate, Request(config=llm_pb2.GenerationConfig(model="x"))) as s:  # pyright: ignore[reportArgumentType] # untyped stub
            assert (await s.failure()).code() == grpc.StatusCode.FAILED_PRECONDITION


async def test_images_and_tools_go_to_those_that_take_them(tmp_path: Path) -> None:
    async with mesh(tmp_path, {**A, "tools": False}, {**B, "images": True}) as service:
        async with service.stream() as stream:
            await stream.send(generate("Hi", tools=[tool()]), generate(user("What?", images=[PNG])), generate("Hi"))
            await stream.half_close()
            finished = [each.finished.upstream for each in await stream.rest() if each.HasField("finished")]
        assert finished == ["b", "b", "a"]


async def test_one_that_is_full_is_not_waited_for_while_another_is_free(tmp_path: Path) -> None:
    async with mesh(tmp_path, {**A, "limits": {"concurrent": 1}}, B) as service:
        service.upstreams["a"].play(Play([text("a"), text("a")], gap_s=30))
        async with service.stream() as busy:
            await busy.send(generate("Hi"))
            await busy.until("text_delta")
            assert (await service.told())["a"].active_generations == 1
            assert await service.answer() == ("b", "b")


async def test_an_upstreams_limit_of_requests_sends_the_rest_to_the_next_and_then_refuses(tmp_path: Path) -> None:
    limited = {"limits": {"requests_per_minute": 2}}
    async with mesh(tmp_path, {**A, **limited}, {**B, **limited}) as service:
        # The warm-up was the first request of each.
        assert [(await service.answer())[1] for _ in range(2)] == ["a", "b"]
        async with service.stream() as stream:
            await stream.send(generate("Hi"))
            error = await stream.failure()
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert {type(each) for each in details(error)} == {error_details_pb2.RetryInfo, error_details_pb2.QuotaFailure}


async def test_a_caller_has_the_budget_of_its_name_and_others_have_theirs(tmp_path: Path) -> None:
    callers = {"agents": {"tokens_per_minute": 15}, "*": {"requests_per_minute": 1}}
    async with mesh(tmp_path, A, top={"callers": callers}) as service:
        named = (("voxmesh-caller", "agents"),)
        async with service.stream(metadata=named) as stream:
            # Each counts ten tokens: the second is begun with five left.
            await stream.send(generate("Hi"), generate("Hi"), generate("Hi"))
            error = await stream.failure()
            assert len([each for each in stream.seen if each.HasField("finished")]) == 2
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "caller:agents: 15 tokens a minute" in str(error.details())
        async with service.stream() as stream:
            await stream.send(generate("Hi"))
            await stream.until("finished")
            await stream.send(generate("Hi"))
            assert "1 requests a minute" in str((await stream.failure()).details())


async def test_a_hedge_asks_the_second_one_too_and_lets_go_of_the_loser(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B, {"name": "c"}, top={"hedge_after_s": 0.05}) as service:
        service.upstreams["a"].play(SLOW)
        assert await service.answer() == ("b", "b")
        await wait_until(lambda: service.upstreams["a"].hang_ups == 1)
        assert not service.upstreams["c"].requests
        told = await service.told()
        assert [told[name].state for name in "ab"] == [State.STATE_WELL] * 2
        assert told["a"].active_generations == 0


async def test_a_hedge_whose_second_fails_waits_for_the_first(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B, top={"hedge_after_s": 0.05}) as service:
        service.upstreams["a"].play(Play([text("a")], pause_s=0.3))
        service.upstreams["b"].play(DOWN)
        assert await service.answer() == ("a", "a")


async def test_cancel_lets_go_of_all_that_were_asked(tmp_path: Path) -> None:
    async with mesh(tmp_path, A, B, top={"hedge_after_s": 0.05}) as service:
        for upstream in service.upstreams.values():
            upstream.play(SLOW)
        async with service.stream() as stream:
            await stream.send(generate("Hi"))
            await wait_until(lambda: len(service.upstreams["b"].requests) == 1)
            await stream.send(Request(cancel=llm_pb2.Cancel()))
            assert (await stream.until("finished")).reason == llm_pb2.Finished.REASON_CANCELLED
        await wait_until(lambda: all(upstream.hang_ups == 1 for upstream in service.upstreams.values()))


async def test_what_comes_next_is_read_by_the_one_that_will_be_asked(tmp_path: Path) -> None:
    async with mesh(tmp_path, {**A, "prefill": True}, {**B, "prefill": True}) as service:
        async with service.stream() as stream:
            await stream.send(prefill("Where"))
            await wait_until(lambda: bool(service.upstreams["a"].requests))
        assert not service.upstreams["b"].requests


async def test_a_service_starts_with_the_upstreams_that_are_there(tmp_path: Path) -> None:
    async with recorded_upstream() as there:
        path = tmp_path / "upstreams.toml"
        path.write_text(
            f'[[upstreams]]\nname = "gone"\nbase_url = "http://127.0.0.1:9/v1"\n'
            f'[[upstreams]]\nname = "there"\nbase_url = "{there.url}"\n'
        )
        settings = LlmSettings(upstreams_file=path)
        chosen = service_of(settings)
        async with serving(chosen, settings) as (channel, _):
            service = Mesh({}, llm_pb2_grpc.LanguageModelServiceStub(channel), chosen.streams)
            assert (await service.answer())[1] == "there"
            assert (await service.told())["gone"].models == []
