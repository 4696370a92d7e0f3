"""What may be used in a minute, and what somebody is told who has used it."""

from __future__ import annotations

import pytest
from google.rpc import error_details_pb2

from voxmesh_llm_proxy.budgets import Budget, CallerBudgets, QuotaExceeded
from voxmesh_llm_proxy.upstream_file import EVERYBODY, RateLimits
from voxmesh_runtime.clock import seconds_of

pytestmark = pytest.mark.unit


class Now:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_requests_of_a_minute_may_come_at_once_and_grow_back_evenly() -> None:
    now = Now()
    budget = Budget("caller:a", RateLimits(requests_per_minute=3), now)
    for _ in range(3):
        budget.admit()
    with pytest.raises(QuotaExceeded, match="caller:a: 3 requests a minute are used up") as refused:
        budget.admit()
    retry, quota = refused.value.details
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert seconds_of(retry.retry_delay) == pytest.approx(20)
    assert isinstance(quota, error_details_pb2.QuotaFailure)
    assert quota.violations[0].subject == "caller:a"
    now.s += 20
    budget.admit()
    assert budget.refusal is not None
    now.s += 3600
    assert budget.is_untouched


def test_tokens_are_counted_when_they_are_known_and_debts_are_waited_for() -> None:
    now = Now()
    budget = Budget("upstream:a", RateLimits(tokens_per_minute=60), now)
    budget.admit()
    budget.spend(150)
    assert budget.refusal is not None
    assert budget.refusal.retry_after_s == pytest.approx(91)
    now.s += 91
    budget.admit()


def test_no_limit_refuses_nothing() -> None:
    budget = Budget("caller:a", RateLimits(), Now())
    for _ in range(1000):
        budget.admit()
        budget.spend(10**6)
    assert budget.is_untouched


def test_callers_that_the_operator_knows_have_their_own_and_the_rest_one_for_each_host() -> None:
    limits = {EVERYBODY: RateLimits(requests_per_minute=1), "agents": RateLimits(requests_per_minute=2)}
    callers = CallerBudgets(limits, Now())
    assert callers.of("agents", "ipv4:10.0.0.1") is callers.of("agents", "ipv4:10.0.0.2")
    # A name that somebody makes up is no way to more.
    assert callers.of("me", "ipv4:10.0.0.1") is callers.of(EVERYBODY, "ipv4:10.0.0.1")
    assert callers.of("", "ipv4:10.0.0.1") is not callers.of("", "ipv4:10.0.0.2")
