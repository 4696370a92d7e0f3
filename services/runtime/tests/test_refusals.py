"""C9: whatever a caller sends, its refusal keeps status and details and fits what peers take."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyProto
from google.rpc import error_details_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from voxmesh.embed.v1 import embed_pb2, embed_pb2_grpc
from voxmesh_runtime import errors
from voxmesh_runtime.channels import proxy_options
from voxmesh_runtime.quoting import listed, quote
from voxmesh_runtime.refusals import check_count, check_range, not_among
from voxmesh_runtime.server import running
from voxmesh_runtime.statuses import MAX_STATUS_BYTES, encoded_bytes, status_of
from voxmesh_testing.streams import details, exchange, serving
from voxmesh_testing.toy import Request, ToyService, ToySettings

pytestmark = pytest.mark.unit

KANNADA, ASCII = "ಕ" * 8000, "x" * 8000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("anna", "'anna'"),
        ("", "''"),
        ("x" * 100, f"'{'x' * 100}'"),
        (ASCII, f"'{'x' * 99}…' (8000 characters)"),
        (KANNADA, f"'{'ಕ' * 99}…' (8000 characters)"),
        ("a\nb\x00\u202e\ud800", "'a\\nb\\x00\\u202e\\ud800'"),
        ("\U000e0001" * 50, "'" + ("\\U000e0001" * 10)[:99] + "…' (50 characters)"),
    ],
    ids=lambda text: f"C9-{text[:12]!a}",
)
def test_a_quote_is_short_printable_and_says_how_long_the_text_was(text: str, shown: str) -> None:
    assert quote(text) == shown


def test_names_are_listed_up_to_a_number_and_those_left_out_are_counted() -> None:
    assert listed(()) == "none"
    assert listed(["en", "kn"]) == "en, kn"
    assert listed(map(str, range(100)), 3) == "0, 1, 2, and 97 more"
    assert len(listed([ASCII] * 100)) < 4000


def repeated(text: str, times: int) -> str:
    return text * times


TEXTS = st.text(st.characters(), max_size=300) | st.builds(
    repeated, st.text(st.characters(), min_size=1, max_size=4), st.integers(1, 8000)
)
RAISED: tuple[Callable[[str, str, list[str]], errors.VoxmeshError], ...] = (
    lambda a, b, _: errors.InvalidArgument(a, b),
    lambda a, b, more: errors.InvalidArgument.of_all([errors.InvalidArgument(a, text) for text in (b, *more)]),
    lambda a, b, _: errors.NotFound("voice", a, b),
    lambda a, b, _: errors.FailedPrecondition(a, b, b),
    errors.Unimplemented,
    lambda a, b, _: errors.Overloaded(a + b),
    lambda a, b, _: errors.Unavailable(a + b),
)


@given(st.sampled_from(RAISED), TEXTS, TEXTS, st.lists(TEXTS, max_size=30))
@settings(derandomize=True, max_examples=300, deadline=None)
def test_c9_any_text_leaves_an_error_its_code_and_a_typed_detail_within_the_limit(
    raised: Callable[[str, str, list[str]], errors.VoxmeshError], one: str, two: str, more: list[str]
) -> None:
    error = raised(one, two, more)
    status = error.to_proto()
    assert status.code == error.code.value[0]
    assert status.details[0].TypeName() in {
        f"google.rpc.{name}" for name in ("BadRequest", "ResourceInfo", "ErrorInfo", "RetryInfo")
    }
    assert encoded_bytes(status) <= MAX_STATUS_BYTES
    # What was packed by another service is cut alike.
    again = status_of(error.code, f"stt at {one}: {error.message}", status.details)
    assert len(again.details) == len(status.details)
    assert encoded_bytes(again) <= MAX_STATUS_BYTES
    assert error.to_status().details == status.message


def test_a_status_that_fits_is_left_as_it_is() -> None:
    error = errors.NotFound("voice", "x" * 400, "y" * 400)
    (detail,) = error.details
    packed = AnyProto()
    packed.Pack(detail)
    assert (error.to_proto().message, list(error.to_proto().details)) == ("y" * 400, [packed])


class Refusing(ToyService):
    """A toy that is asked for a voice by each text, and has none."""

    async def _answer(self, call: object, batch: embed_pb2.TextBatch) -> None:
        del call
        voice = batch.texts[0]
        raise errors.NotFound("voice", voice, f"config.voice: {voice} is not here")


@pytest.mark.parametrize(
    "voice", [KANNADA, ASCII, "\0" * 8000, "𝄞" * 8000], ids=["C9-kn", "C9-ascii", "C9-nul", "C9-4"]
)
async def test_c9_a_refusal_that_quotes_everything_arrives_with_its_details(voice: str) -> None:
    service = ToySettings()
    async with serving(Refusing(service), service) as (channel, _):
        method = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
        batch = Request(batch=embed_pb2.TextBatch(texts=[voice]))
        async with exchange(method, Request(config=embed_pb2.EmbeddingConfig()), batch) as stream:
            error = await stream.failure()
    assert error.code() == grpc.StatusCode.NOT_FOUND
    (info,) = details(error)
    assert isinstance(info, error_details_pb2.ResourceInfo)
    assert (info.resource_type, info.resource_name[:50]) == ("voice", voice[:50])


async def test_c9_a_peer_of_8_kib_of_metadata_takes_the_longest_status() -> None:
    service = ToySettings()
    options = [("grpc.max_metadata_size", 8 * 1024), ("grpc.absolute_max_metadata_size", 8 * 1024)]
    async with running(Refusing(service), service) as server:
        target = f"127.0.0.1:{server.port}"
        async with grpc.aio.insecure_channel(target, options=[*options, *proxy_options(target)]) as channel:  # noqa: TID251 # with the limits of another peer
            method = embed_pb2_grpc.EmbeddingServiceStub(channel).StreamingEmbed
            batch = Request(batch=embed_pb2.TextBatch(texts=[ASCII]))
            async with exchange(method, Request(config=embed_pb2.EmbeddingConfig()), batch) as stream:
                assert (await stream.failure()).code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        (lambda: check_count("a.b", 101, 100), "must have at most 100 characters, not 101"),
        (lambda: check_count("a.b", 0, 100, least=1, unit="bytes"), "must have 1 to 100 bytes, not 0"),
        (lambda: check_range("a.b", 1_000_001, 1, 1_000_000), "must be from 1 to 1000000, not 1000001"),
        (lambda: check_range("a.b", 4.5, 0.25, 4.0), "must be from 0.25 to 4, not 4.5"),
        (lambda: check_range("a.b", float("nan"), 0, 10.0, "s"), "must be from 0 to 10 s, not nan s"),
    ],
)
def test_a_limit_is_refused_with_the_field_the_limit_and_what_came(check: Callable[[], None], problem: str) -> None:
    with pytest.raises(errors.InvalidArgument) as refused:
        check()
    assert (refused.value.field, refused.value.problem) == ("a.b", problem)


def test_what_is_within_its_limits_passes() -> None:
    check_count("a", 1, 1, least=1)
    check_range("a", 0, 0, 1)
    check_range("a", 1.0, 0, 1.0)


def test_c9_a_choice_that_is_none_is_quoted_in_part_beside_those_there_are() -> None:
    problem = not_among(KANNADA, [f"voice-{number}" for number in range(500)], "the model has")
    assert problem.startswith("'ಕಕಕ")
    assert "(8000 characters) is not supported; the model has voice-0, voice-1, " in problem
    assert problem.endswith("and 460 more")
    assert len(problem) < 700
