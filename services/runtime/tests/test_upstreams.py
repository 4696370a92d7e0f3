"""What a server's refusal says is found in any body, quoted without the key, and its address is checked and shown."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.upstreams import check_address, quoted_reason, refused, shown_address

pytestmark = pytest.mark.unit

KEY = SecretStr("sk-secret")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"error": {"message": "no model", "param": "model"}}', "no model (model)"),
        (b'{"error": {"message": "no model", "param": null}}', "no model"),
        (b'{"message": "too long", "object": "error"}', "too long"),
        (b'{"error": "invalid_voice", "message": "no voice"}', "no voice"),
        (b'{"success": false, "error": "no voice"}', "no voice"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": {"error": "invalid_model", "message": "no model"}}', "no model"),
        (b'{"detail": [{"loc": ["body", "speed"], "msg": "too fast", "input": "said"}]}', "speed: too fast"),
        (b'{"detail": ["odd"], "error": "x"}', ""),
        (b'{"error": {"message": "key sk-secret\\nis spent"}}', "key *** is spent"),
        (b'{"error": {"message": 7}}', ""),
        (b'{"error": null}', ""),
        (b'["error"]', ""),
        (b"[" * 100_000, ""),
        (b"Internal Server Error", ""),
        (b"\xff\xfe", ""),
        (b"", ""),
    ],
)
def test_the_reason_is_found_in_any_body(body: bytes, reason: str) -> None:
    assert quoted_reason(body, KEY) == reason


def test_a_long_reason_is_cut_and_a_refused_key_is_not_quoted_at_all() -> None:
    body = b'{"error": "' + b"x" * 10_000 + b'"}'
    assert len(refused(500, {}, body, None).quote) == 300
    assert refused(401, {}, body, None).quote == ""


@pytest.mark.parametrize(
    ("told", "wait_s"), [("7", 7.0), ("0.5", 0.5), ("-1", 0.0), ("1e9", 3600.0), ("Fri, 27 Nov 2026", None), ("", None)]
)
def test_the_wait_is_read_within_limits(told: str, wait_s: float | None) -> None:
    assert refused(429, {"retry-after": told}, b"", None).retry_after_s == wait_s


@pytest.mark.parametrize(
    ("status", "passes"), [(400, False), (401, False), (408, True), (429, True), (500, False), (503, True)]
)
def test_a_failure_that_may_pass_is_known(status: int, passes: bool) -> None:  # noqa: FBT001 # a test's table
    assert refused(status, {}, b"", None).is_transient is passes


@pytest.mark.parametrize("url", ["", "host:8000", "ftp://host/v1", "http://", "http://host:port/v1", "http://[::1"])
def test_what_is_no_address_is_refused_with_the_setting_to_change(url: str) -> None:
    with pytest.raises(FailedPrecondition, match="VOXMESH_X_BASE_URL"):
        check_address(url, "VOXMESH_X_BASE_URL")


def test_an_address_is_shown_without_its_password() -> None:
    url = "http://user:hidden@host:8000/v1?key=hidden#hidden"
    check_address(url, "X")
    assert shown_address(url) == "http://host:8000/v1"
