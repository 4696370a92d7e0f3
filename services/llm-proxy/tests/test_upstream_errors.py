"""What an upstream complains about is found in any shape, judged by what it says, and told with what to do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from voxmesh_llm_proxy.optional_fields import FieldsOfUpstream
from voxmesh_llm_proxy.upstream_errors import (
    TRANSIENT,
    Asked,
    UpstreamFailure,
    asked_wait_s,
    before_answer,
    is_transient,
)
from voxmesh_runtime.chat.complaints import Kind, complaint_in, kind_of
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument, Overloaded, Unavailable, VoxmeshError

pytestmark = pytest.mark.unit

EXTRA = "Extra inputs are not permitted"
BODIES: dict[str, tuple[object, str]] = {
    "L9 OpenAI": ({"error": {"message": "no", "type": "t", "param": "p", "code": None}}, "no"),
    "L9 a text": ({"error": "no"}, "no"),
    "L9 plain": ("no\n such  field", "no such field"),
    "L9 JSON as text": ('{"error": {"message": "no"}}', "no"),
    "L9 a list": ([{"error": {"message": "no"}}], "no"),
    "L9 detail": ({"detail": "no"}, "no"),
    "L9 pydantic": (
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "top_k"], "msg": EXTRA}]},
        f"body.top_k: {EXTRA}",
    ),
    "L9 pydantic below message": (
        {"object": "error", "message": {"detail": [{"loc": ["body", "top_k"], "msg": EXTRA}]}, "code": None},
        f"body.top_k: {EXTRA}",
    ),
    "L9 two reasons": ({"detail": [{"loc": ["a"], "msg": "x"}, {"loc": ["b", 0], "msg": "y"}]}, "a: x; b.0: y"),
    "L9 errors": ({"errors": [{"message": "no"}, "never"]}, "no; never"),
    "L9 a page": ("<!DOCTYPE html><html><title>502 Bad\nGateway</title><body>x</body>", "502 Bad Gateway"),
    "L9 a page without title": ("<html><body><h1>Bad</h1> <p>Gateway</p></body></html>", "Bad Gateway"),
    "L9 a title": ({"type": "about:blank", "title": "no", "status": 400}, "no"),
    "L9 nothing": ({"error": None}, ""),
    "L9 numbers": ({"error": {"code": 5, "message": 7}}, ""),
    "L9 nested without end": ({"error": {"error": {"error": {"error": {"error": {"error": {"error": "no"}}}}}}}, ""),
    "L9 half a character": ({"error": {"message": "no \ud83d"}}, "no \ufffd"),
    "L9 null": (None, ""),
}


@pytest.mark.parametrize("case", BODIES)
def test_the_reason_is_found_in_any_shape(case: str) -> None:
    body, expected = BODIES[case]
    assert complaint_in(body).text == expected


KINDS: dict[str, tuple[object, int | None, Kind]] = {
    "by status 400": ({}, 400, Kind.REQUEST),
    "by status 422": ({}, 422, Kind.REQUEST),
    "by status 401": ({}, 401, Kind.KEY),
    "by status 404": ({}, 404, Kind.MODEL),
    "by status 429": ({}, 429, Kind.BUSY),
    "by status 529": ({}, 529, Kind.SERVER),
    "a key, as Gemini tells it": (
        [{"error": {"code": 400, "message": "API key not valid.", "details": [{"reason": "API_KEY_INVALID"}]}}],
        400,
        Kind.KEY,
    ),
    "context, as OpenAI tells it": ({"error": {"message": "x", "code": "context_length_exceeded"}}, 400, Kind.CONTEXT),
    "context, as llama.cpp tells it": (
        {
            "error": {
                "code": 400,
                "message": "request exceeds the available context size",
                "type": "exceed_context_size_error",
            }
        },
        400,
        Kind.CONTEXT,
    ),
    "context, by its text": ({"detail": "prompt is too long for the context"}, 400, Kind.CONTEXT),
    "a filter, as Azure tells it": (
        {"error": {"code": "content_filter", "status": 400, "innererror": {}}},
        400,
        Kind.FILTER,
    ),
    "a limit, by its word": ({"error": {"message": "x", "type": "rate_limit_error"}}, None, Kind.BUSY),
    "a status in the body": ({"error": {"message": "x", "code": "503"}}, None, Kind.SERVER),
    "no status and no word": ("boom", None, Kind.SERVER),
    "yes and no": ({"code": True, "status": 7, "type": None}, None, Kind.SERVER),
}


@pytest.mark.parametrize("case", KINDS)
def test_l8_a_complaint_is_judged_by_its_words_and_then_its_status(case: str) -> None:
    body, status, kind = KINDS[case]
    assert kind_of(complaint_in(body, status)) is kind


def test_l3_the_reason_is_quoted_and_cut() -> None:
    error = before_answer(
        complaint_in({"message": "thought_signature is missing\n" + "x" * 5000}, 400), Asked("m", "u")
    )
    assert "(HTTP 400): 'thought_signature is missing x" in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidArgument),
        (403, FailedPrecondition),
        (404, FailedPrecondition),
        (429, Overloaded),
        (500, Unavailable),
    ],
)
def test_each_kind_has_its_error(status: int, kind: type[VoxmeshError]) -> None:
    assert isinstance(before_answer(complaint_in("no", status), Asked("m", "u")), kind)


def test_l12_what_may_pass_soon_is_asked_again() -> None:
    again = {status for status in range(400, 600) if is_transient(UpstreamFailure(complaint_in("x", status)))}
    assert again == TRANSIENT == {408, 409, 429, 500, 502, 503, 504, 529}
    assert not is_transient(UpstreamFailure(complaint_in("the context length is exceeded", 500)))


NOW = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)
WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "L12 seconds": ({"retry-after": "1.5"}, 1.5),
    "L12 milliseconds first": ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
    "L12 a date": ({"retry-after": "Fri, 27 Nov 2026 12:00:30 GMT"}, 30.0),
    "L12 a date of the old form": ({"retry-after": "Friday, 27-Nov-26 12:00:30 GMT"}, 30.0),
    "L12 a date without zone": ({"retry-after": "Fri, 27 Nov 2026 12:00:30 -0000"}, 30.0),
    "L12 a date that is over": ({"retry-after": "Fri, 27 Nov 2026 11:00:00 GMT"}, 0.0),
    "L12 less than nothing": ({"retry-after": "-5"}, 0.0),
    "L12 more than a day": ({"retry-after": "1e300"}, 86_400.0),
    "L12 no number": ({"retry-after": "nan", "retry-after-ms": "inf"}, None),
    "L12 nonsense": ({"retry-after": "soon"}, None),
    "L12 none": ({}, None),
}


@pytest.mark.parametrize("case", WAITS)
def test_l12_the_wait_that_headers_ask_for(case: str) -> None:
    headers, expected = WAITS[case]
    assert asked_wait_s(headers, NOW) == expected


def test_l12_the_wait_that_a_body_asks_for() -> None:
    body = [{"error": {"code": 429, "details": [{"@type": "RetryInfo", "retryDelay": "34.5s"}]}}]
    assert complaint_in(body, 429).retry_after_s == 34.5
    assert complaint_in(body, 429, 2.0).retry_after_s == 2.0


SENT = {
    "model": "m",
    "messages": [],
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": 20,
    "presence_penalty": 0.0,
    "max_tokens": 512,
    "stream_options": {},
    "chat_template_kwargs": {},
    "response_format": {},
}
REFUSALS: dict[str, tuple[object, int, str | None]] = {
    "L9 OpenAI": ({"error": {"message": "Unrecognized request argument supplied: top_k"}}, 400, "top_k"),
    "L9 pydantic": ({"detail": [{"loc": ["body", "chat_template_kwargs"], "msg": EXTRA}]}, 422, "chat_template_kwargs"),
    "L9 a list": (
        [{"error": {"message": 'Unknown name "presence_penalty": Cannot find field.'}}],
        400,
        "presence_penalty",
    ),
    "L9 plain": ("Unsupported parameter(s): `stream_options`", 400, "stream_options"),
    "L9 a parameter": ({"error": {"message": "This is unsupported.", "param": "top_p"}}, 400, "top_p"),
    "L10 max_tokens": (
        {"error": {"message": "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."}},
        400,
        "max_tokens",
    ),
    "L10 temperature": (
        {
            "error": {
                "message": "'temperature' does not support 0.7 with this model. Only the default (1) is supported."
            }
        },
        400,
        "temperature",
    ),
    "L10 temperature, otherwise": ("invalid temperature: only 1 is allowed for this model", 400, "temperature"),
    "a value out of its range": ("temperature must be at most 1.5", 400, None),
    "too many tokens": ("max_tokens is too large: 5000", 400, None),
    "too many for the context": ("max_tokens: the model's context length is 2048", 400, None),
    "a field that is not optional": ("Unsupported parameter: response_format", 400, None),
    "a field that was not sent": ("Unsupported parameter: seed", 400, None),
    "a part of another word": ("unknown: top_kk and stop_p", 400, None),
    "another status": ("Unsupported parameter: top_k", 500, None),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_l9_a_refused_field_is_dropped_if_an_answer_can_do_without(case: str) -> None:
    body, status, expected = REFUSALS[case]
    fields = FieldsOfUpstream()
    assert fields.learn(complaint_in(body, status), SENT) == expected
    sent = fields.known(SENT)
    assert (sent == SENT) is (expected is None)
    if expected == "max_tokens":
        assert (sent["max_completion_tokens"], fields.is_dropped("max_tokens")) == (512, False)
    elif expected is not None:
        assert (expected in sent, fields.is_dropped(expected)) == (False, True)


def test_l10_a_field_that_is_known_by_neither_name_is_dropped() -> None:
    fields = FieldsOfUpstream()
    for name in ("max_tokens", "max_completion_tokens"):
        assert fields.learn(complaint_in(f"unknown field {name}", 400), fields.known(SENT)) == name
    assert fields.is_dropped("max_tokens")
    assert not fields.known(SENT).keys() & {"max_tokens", "max_completion_tokens"}
