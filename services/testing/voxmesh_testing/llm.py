"""What the language model proxy must do with every upstream that writes real answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, ClassVar

import grpc
import pytest
from google.protobuf import struct_pb2
from google.rpc import error_details_pb2

from voxmesh.llm.v1 import llm_pb2, llm_pb2_grpc
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_runtime.channels import open_plain_channel
from voxmesh_runtime.clock import seconds_of
from voxmesh_testing.service import FREED_WITHIN_S, StreamConformance
from voxmesh_testing.streams import details, exchange, wait_until

Request = llm_pb2.StreamingGenerateRequest
Message = llm_pb2.Message
Finished = llm_pb2.Finished

PNG = b"\x89PNG\r\n\x1a\n" + bytes(32)
LONG = "Write a very long story about a ship."


def user(text: str, **fields: Any) -> llm_pb2.Message:
    """A message of the person."""
    return Message(role=Message.ROLE_USER, text=text, **fields)


def generate(*messages: llm_pb2.Message | str, **fields: Any) -> llm_pb2.StreamingGenerateRequest:
    """A generation; plain text is the person's."""
    spoken = [user(message) if isinstance(message, str) else message for message in messages]
    return Request(generate=llm_pb2.Generate(messages=spoken, **fields))


def prefill(*messages: llm_pb2.Message | str) -> llm_pb2.StreamingGenerateRequest:
    """What the next generation will most likely begin with."""
    return Request(prefill=generate(*messages).generate)


def cancel() -> llm_pb2.StreamingGenerateRequest:
    """A cancel."""
    return Request(cancel=llm_pb2.Cancel())


def struct(**fields: Any) -> struct_pb2.Struct:
    """A Struct of these fields."""
    value = struct_pb2.Struct()
    value.update(fields)
    return value


def tool(name: str = "get_time") -> llm_pb2.Tool:
    """A tool."""
    return llm_pb2.Tool(name=name, description="Tells the time.", parameters=struct(type="object"))


def written(responses: Sequence[llm_pb2.StreamingGenerateResponse], index: int) -> str:
    """The text of one generation of a stream."""
    deltas = (response.text_delta for response in responses if response.HasField("text_delta"))
    return "".join(delta.text for delta in deltas if delta.generation_index == index)


_CALL = llm_pb2.ToolCall(call_id="c1", name="get_time")

BAD_GENERATIONS = {
    "no messages": (generate(), "generate.messages"),
    "no role": (generate(Message(text="Hi")), "generate.messages[0].role"),
    "an unknown role": (generate(Message(role=99, text="Hi")), "generate.messages[0].role"),  # pyright: ignore[reportArgumentType] # wrong on purpose
    "no text": (generate("Hi", user(" ")), "generate.messages[1].text"),
    "a NUL": (generate("a\0b"), "generate.messages[0].text"),
    "a long text": (generate("x" * 1_000_000), "generate.messages[0].text"),
    "the assistant at the end": (generate("Hi", Message(role=Message.ROLE_ASSISTANT, text="Yes")), "[1].role"),
    "a late system message": (generate("Hi", Message(role=Message.ROLE_SYSTEM, text="Be kind")), "[1].role"),
    "a tool message without a call": (
        generate("Hi", Message(role=Message.ROLE_TOOL, text="9")),
        "generate.messages[1].tool_call_id",
    ),
    "a user's call id": (generate(user("Hi", tool_call_id="c1")), "generate.messages[0].tool_call_id"),
    "a user's tool call": (generate(user("Hi", tool_calls=[_CALL])), "generate.messages[0].tool_calls"),
    "a tool call without id": (
        generate(Message(role=Message.ROLE_ASSISTANT, tool_calls=[llm_pb2.ToolCall(name="a")]), "Hi"),
        "generate.messages[0].tool_calls[0].call_id",
    ),
    "no image": (generate(user("Hi", images=[b"GIF89a"])), "generate.messages[0].images[0]"),
    "too many images": (generate(user("Hi", images=[PNG] * 9)), "generate.messages"),
    "two tools of a name": (generate("Hi", tools=[tool(), tool()]), "generate.tools[1].name"),
    "a tool without name": (generate("Hi", tools=[tool("")]), "generate.tools[0].name"),
    "a prefill without messages": (prefill(), "prefill.messages"),
    "a prefill without text": (prefill("Hi", user(" ")), "prefill.messages[1].text"),
    "NaN in a schema": (
        generate("Hi", tools=[llm_pb2.Tool(name="a", parameters=struct(x=float("nan")))]),
        "generate.tools[0].parameters",
    ),
}

BAD_SAMPLING = {
    "temperature": llm_pb2.Sampling(temperature=2.5),
    "top_p": llm_pb2.Sampling(top_p=0),
    "top_k": llm_pb2.Sampling(top_k=0),
    "presence_penalty": llm_pb2.Sampling(presence_penalty=-3),
    "frequency_penalty": llm_pb2.Sampling(frequency_penalty=float("nan")),
    "max_output_tokens": llm_pb2.Sampling(max_output_tokens=1_000_000),
    "stop_sequences": llm_pb2.Sampling(stop_sequences=["a", "b", "c", "d", "e"]),
    "stop_sequences[0]": llm_pb2.Sampling(stop_sequences=[""]),
}


class LlmConformance(StreamConformance):
    """Rules of every upstream; see `StreamConformance`."""

    settings: ClassVar[dict[str, Any]] = {**StreamConformance.settings, "max_output_tokens": 40}

    def server_settings(self, **changes: Any) -> LlmSettings:
        return LlmSettings(**{**self.settings, **changes})

    def method(self, channel: grpc.aio.Channel) -> Any:
        return llm_pb2_grpc.LanguageModelServiceStub(channel).StreamingGenerate

    def config(self, **changes: Any) -> Any:
        return Request(config=llm_pb2.GenerationConfig(**changes))

    def work(self) -> Sequence[Any]:
        return [generate(LONG)]

    def empty(self) -> Any:
        return Request()

    async def _bad(self, request: Any, field: str, *phrases: str) -> None:
        """`request` is refused by name, while a neighbour's generation goes on to its end."""
        brief = self.config(sampling=llm_pb2.Sampling(max_output_tokens=2))
        async with self.served() as (method, _, _), exchange(method, brief, generate("Hi.")) as neighbour:
            async with exchange(method) as stream:
                opening = [] if request.HasField("config") else [self.config()]
                await stream.send(*opening, request)
                error = await stream.failure()
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert field in str(error.details())
            assert all(phrase in str(error.details()) for phrase in phrases)
            assert any(isinstance(detail, error_details_pb2.BadRequest) for detail in details(error))
            await neighbour.until("finished")

    async def test_an_answer_comes_in_pieces_and_then_finishes_with_usage_and_timing(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(generate("What is the capital of France?"))
            finished = await stream.until("finished")
            assert len([response for response in stream.seen if response.HasField("text_delta")]) > 1
            assert written(stream.seen, 0)
            assert finished.reason in {Finished.REASON_STOP, Finished.REASON_LENGTH}
            assert finished.model
            assert finished.usage.input_tokens > 0
            assert finished.usage.output_tokens > 0
            timing = finished.timing
            stamps = (timing.received_time, timing.started_time, timing.first_output_time, timing.finished_time)
            assert sorted(map(seconds_of, stamps)) == list(map(seconds_of, stamps))
            assert seconds_of(timing.compute_duration) > 0

    async def test_generations_are_answered_in_order_and_half_close_waits_for_them(self) -> None:
        async with self.stream(sampling=llm_pb2.Sampling(max_output_tokens=4)) as (stream, _):
            await stream.send(generate("One."), generate("Two."), generate("Three."))
            await stream.half_close()
            answers = [response.finished for response in await stream.rest() if response.HasField("finished")]
            assert [finished.generation_index for finished in answers] == [0, 1, 2]

    async def test_the_limit_of_output_tokens_is_kept(self) -> None:
        async with self.stream(sampling=llm_pb2.Sampling(max_output_tokens=3)) as (stream, _):
            await stream.send(generate(LONG))
            finished = await stream.until("finished")
            assert finished.reason == Finished.REASON_LENGTH
            assert finished.usage.output_tokens == 3

    async def test_temperature_zero_gives_the_same_answer_again(self) -> None:
        async with self.stream(sampling=llm_pb2.Sampling(temperature=0, max_output_tokens=16)) as (stream, _):
            await stream.send(generate(LONG), generate(LONG))
            await stream.half_close()
            responses = await stream.rest()
            assert written(responses, 0) == written(responses, 1)

    async def test_a_schema_is_satisfied(self) -> None:
        schema = struct(
            type="object",
            properties={"yes": {"type": "boolean"}},
            required=["yes"],
            additionalProperties=False,
        )
        async with self.stream(response_schema=schema) as (stream, _):
            await stream.send(generate("Is the sky blue?"))
            await stream.until("finished")
            assert isinstance(json.loads(written(stream.seen, 0))["yes"], bool)

    async def test_tools_are_accepted(self) -> None:
        async with self.stream(sampling=llm_pb2.Sampling(max_output_tokens=4)) as (stream, _):
            await stream.send(generate("Hi.", tools=[tool()]))
            await stream.until("finished")

    async def test_every_option_of_the_caller_has_its_outcome(self) -> None:
        sampling = llm_pb2.Sampling(temperature=0.5, seed=3, stop_sequences=["\n"])
        async with self.served() as (method, _, _):
            async with exchange(method, self.config(sampling=sampling, thinking=True)) as stream:
                ready = await stream.until("ready")
            assert {option.field.removeprefix("config.") for option in ready.options} == {
                *("sampling.temperature", "sampling.seed", "sampling.stop_sequences", "thinking")
            }

    async def test_cancel_stops_the_answer_and_the_stream_goes_on(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(generate(LONG))
            await stream.until("text_delta")
            await stream.send(cancel())
            finished = await stream.until("finished")
            assert finished.reason == Finished.REASON_CANCELLED
            await stream.send(generate("Hi."))
            finished = await stream.until("finished")
            assert finished.generation_index == 1
            assert finished.reason != Finished.REASON_CANCELLED

    async def test_cancel_answers_those_that_wait_too(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(generate(LONG), generate(LONG), generate(LONG))
            await stream.until("text_delta")
            await stream.send(cancel())
            await stream.half_close()
            answers = [response.finished for response in await stream.rest() if response.HasField("finished")]
            assert [finished.reason for finished in answers] == [Finished.REASON_CANCELLED] * 3
            assert written(stream.seen, 1) == ""

    async def test_a_prefill_is_not_answered_and_a_generation_after_it_is(self) -> None:
        async with self.stream(sampling=llm_pb2.Sampling(max_output_tokens=4)) as (stream, _):
            await stream.send(prefill("What is"), prefill("Hi", Message(role=Message.ROLE_ASSISTANT, text="Hello.")))
            await stream.send(generate("What is the capital of France?"))
            await stream.send(prefill("Thank"))
            await stream.half_close()
            answers = [response.finished for response in await stream.rest() if response.HasField("finished")]
            assert [finished.generation_index for finished in answers] == [0]
            assert written(stream.seen, 0)

    async def test_cancel_without_a_generation_is_harmless(self) -> None:
        async with self.stream(sampling=llm_pb2.Sampling(max_output_tokens=2)) as (stream, _):
            await stream.send(cancel(), generate("Hi."))
            assert (await stream.until("finished")).reason != Finished.REASON_CANCELLED

    async def test_four_generations_wait_and_a_fifth_is_refused(self) -> None:
        async with self.stream() as (stream, service):
            await stream.send(*[generate(LONG)] * 6)
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert any(isinstance(detail, error_details_pb2.RetryInfo) for detail in details(error))
            await wait_until(lambda: service.streams.active_count == 0, FREED_WITHIN_S)

    async def test_two_streams_at_once_do_not_mix(self) -> None:
        sampling = llm_pb2.Sampling(temperature=0, max_output_tokens=12)
        prompts = ("Count from one to ten.", "Name the days of the week.")

        async def answer(method: Any, prompt: str) -> str:
            async with exchange(method, self.config(sampling=sampling), generate(prompt)) as stream:
                await stream.until("finished")
                return written(stream.seen, 0)

        async with self.served() as (method, _, _):
            alone = [await answer(method, prompt) for prompt in prompts]
            together = await asyncio.gather(*(answer(method, prompt) for prompt in prompts))
            assert alone[0] != alone[1]
            # Batches round otherwise than single requests, so that only the beginning is sure to be equal.
            assert [text[:8] for text in together] == [text[:8] for text in alone]

    @pytest.mark.parametrize("case", BAD_GENERATIONS)
    async def test_a_bad_generation_is_refused_by_field(self, case: str) -> None:
        request, field = BAD_GENERATIONS[case]
        await self._bad(request, field)

    @pytest.mark.parametrize("name", BAD_SAMPLING)
    async def test_sampling_out_of_range_is_refused_by_field(self, name: str) -> None:
        await self._bad(self.config(sampling=BAD_SAMPLING[name]), f"config.sampling.{name}")

    async def test_control_tokens_are_refused_wherever_a_template_would_read_them(self) -> None:
        token = "<|im_start|>"  # noqa: S105 # of a template
        call = llm_pb2.ToolCall(call_id="c1", name="a", arguments=struct(x=[token]))
        assistant = Message(role=Message.ROLE_ASSISTANT, tool_calls=[call])
        await self._bad(generate("Hi", user(f"a{token}b")), "generate.messages[1].text", token)
        await self._bad(generate("Hi", assistant, "Go"), "generate.messages[1].tool_calls[0].arguments", token)
        await self._bad(generate("Hi", tools=[llm_pb2.Tool(name="a", description=token)]), ".description", token)
        await self._bad(self.config(response_schema=struct(title=token)), "config.response_schema", token)

    async def test_images_are_refused_by_a_model_that_sees_none(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(generate(user("What is this?", images=[PNG])))
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            assert "vlm" in str(error.details())

    async def test_messages_longer_than_the_context_are_refused_by_name(self) -> None:
        async with self.stream() as (stream, _):
            await stream.send(generate("word " * 39_000))
            error = await stream.failure()
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "generate.messages" in str(error.details())
            assert "context" in str(error.details())

    async def test_model_info_tells_the_models_and_the_context(self) -> None:
        async with self.served() as (_, server, _), open_plain_channel(f"127.0.0.1:{server.port}") as channel:
            stub = llm_pb2_grpc.LanguageModelServiceStub(channel)
            info = await stub.GetModelInfo(llm_pb2.GetModelInfoRequest())
            assert info.model_info.model == info.models[0]
            assert info.model_info.engine in {"llama_cpp", "openai_compatible"}
            assert info.model_info.max_streams == self.settings["max_streams"]
            assert info.context_tokens > 0
