"""How much an upstream, or a caller, may use in a minute; a refusal says of what, and when to come back.

Tokens are known only when an answer is over. So a budget may go below nothing, and refuses until it is above again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from google.rpc import error_details_pb2

from voxmesh_llm_proxy.upstream_file import EVERYBODY, RateLimits
from voxmesh_runtime.errors import Overloaded

MAX_CALLERS = 10_000
"""More are remembered only while they have used something up."""
_MINUTE_S = 60.0


class QuotaExceeded(Overloaded):
    """A budget is used up.

    Args:
        subject: whose, such as "caller:agents".
        quota: of what, such as "tokens".
        limit: of it in a minute.
        retry_after_s: until there is some again, in seconds.
    """

    def __init__(self, subject: str, quota: str, limit: int, retry_after_s: float) -> None:
        problem = f"{limit} {quota} a minute are used up"
        super().__init__(f"{subject}: {problem}; try again in {retry_after_s:.1f} s", retry_after_s)
        violation = error_details_pb2.QuotaFailure.Violation(subject=subject, description=problem)
        self.details = (*self.details, error_details_pb2.QuotaFailure(violations=[violation]))


class Bucket:
    """An amount that grows back evenly, up to a minute's worth.

    Args:
        per_minute: that amount.
        now: seconds that only grow.
    """

    def __init__(self, per_minute: int, now: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._now = now
        self._level = float(per_minute)
        self._at = now()

    def wait_s(self, amount: float = 1.0) -> float:
        """Time until there is so much, in seconds."""
        self._grow()
        return max(0.0, amount - self._level) * _MINUTE_S / self.per_minute

    def take(self, amount: float) -> None:
        """Use an amount, whether it is there or not."""
        self._grow()
        self._level -= amount

    @property
    def is_full(self) -> bool:
        """Nothing of it is used."""
        self._grow()
        return self._level >= self.per_minute

    def _grow(self) -> None:
        now = self._now()
        self._level = min(self.per_minute, self._level + (now - self._at) * self.per_minute / _MINUTE_S)
        self._at = now


class Budget:
    """Requests and tokens of one upstream or caller.

    Args:
        subject: whose it is.
        limits: of both; unset has none.
        now: seconds that only grow.
    """

    def __init__(self, subject: str, limits: RateLimits, now: Callable[[], float]) -> None:
        self._subject = subject
        limited = {"requests": limits.requests_per_minute, "tokens": limits.tokens_per_minute}
        self._buckets = {quota: Bucket(limit, now) for quota, limit in limited.items() if limit is not None}

    @property
    def is_untouched(self) -> bool:
        """Nothing of it is used."""
        return all(bucket.is_full for bucket in self._buckets.values())

    @property
    def refusal(self) -> QuotaExceeded | None:
        """Why nothing more may be asked for now; None when it may."""
        waits = [(bucket.wait_s(), quota, bucket.per_minute) for quota, bucket in self._buckets.items()]
        wait_s, quota, limit = max(waits, default=(0.0, "", 0))
        return QuotaExceeded(self._subject, quota, limit, wait_s) if wait_s > 0 else None

    def admit(self) -> None:
        """Count a request.

        Raises:
            QuotaExceeded: there is none left, or no token.
        """
        if (refusal := self.refusal) is not None:
            raise refusal
        self._take("requests", 1)

    def spend(self, tokens: int) -> None:
        """Count tokens that were read and written."""
        self._take("tokens", tokens)

    def _take(self, quota: str, amount: int) -> None:
        if (bucket := self._buckets.get(quota)) is not None:
            bucket.take(amount)


class CallerBudgets:
    """The budgets of all callers.

    Args:
        limits: by the caller's name, `EVERYBODY` for each host whose calls name no caller of these.
        now: seconds that only grow.
    """

    def __init__(self, limits: Mapping[str, RateLimits], now: Callable[[], float]) -> None:
        self._limits = limits
        self._now = now
        self._budgets: dict[str, Budget] = {}

    def of(self, name: str, host: str) -> Budget:
        """The budget of who calls itself `name`, if the operator knows it, else of the host it calls from."""
        is_known = name in self._limits and name != EVERYBODY
        key = f"caller:{name}" if is_known else f"host:{host}"
        budget = self._budgets.get(key)
        if budget is None:
            if len(self._budgets) >= MAX_CALLERS:
                self._budgets = {each: kept for each, kept in self._budgets.items() if not kept.is_untouched}
            limits = self._limits[name] if is_known else self._limits.get(EVERYBODY, RateLimits())
            budget = self._budgets[key] = Budget(key, limits, self._now)
        return budget
