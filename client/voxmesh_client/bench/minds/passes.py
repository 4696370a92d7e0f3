"""First tokens and speed at some numbers of streams, through the proxy and directly in turn."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from voxmesh_client.bench.findings import Figures, waits
from voxmesh_client.bench.minds.asking import Answer, Asks, Directly, ThroughProxy
from voxmesh_client.bench.minds.upstreams import Address
from voxmesh_client.bench.server import Server

PROMPT = "Count from one to twenty in words."
"""The same for all, so that the upstream has read it already and a first token is not mostly its reading."""
_WARM_UPS = 2


@dataclass(frozen=True, slots=True)
class Round:
    """All streams once through the proxy, and once directly."""

    proxy: Sequence[Answer]
    direct: Sequence[Answer]
    """Empty where there is no address to ask directly."""


@dataclass(slots=True)
class Pass:
    """Rounds at one number of streams."""

    streams: int
    rounds: list[Round] = field(default_factory=list[Round])

    @property
    def proxy(self) -> list[Answer]:
        """All answers through the proxy."""
        return [answer for each in self.rounds for answer in each.proxy]

    @property
    def direct(self) -> list[Answer]:
        """All answers of the upstream called directly."""
        return [answer for each in self.rounds for answer in each.direct]

    @property
    def failures(self) -> list[str]:
        """Why answers failed."""
        return [answer.failure for answer in (*self.proxy, *self.direct) if answer.failure]

    @property
    def overhead_s(self) -> float | None:
        """The median over the rounds of what the proxy's first tokens are later than the direct ones of the round."""
        later: list[float] = []
        for each in self.rounds:
            through, direct = _median_first(each.proxy), _median_first(each.direct)
            if through is not None and direct is not None:
                later.append(through - direct)
        return statistics.median(later) if later else None


def figures(each: Pass) -> Figures:
    """The figures of a pass."""
    found: Figures = {"overhead_p50_s": each.overhead_s, "failures": len(each.failures)}
    for way, answers in (("", each.proxy), ("direct_", each.direct)):
        firsts = [answer.first_token_s for answer in answers if answer.first_token_s is not None]
        rates = [rate for answer in answers if (rate := answer.tokens_per_s) is not None]
        found |= waits(f"{way}first_token", firsts)
        found[f"{way}tokens_per_s"] = statistics.median(rates) if rates else None
    taken_s = sum(max((answer.taken_s for answer in one.proxy), default=0.0) for one in each.rounds)
    tokens = sum(answer.output_tokens for answer in each.proxy)
    found["all_tokens_per_s"] = tokens / taken_s if taken_s and tokens else None
    return found


@dataclass(frozen=True, slots=True)
class Load:
    """How a proxy is asked."""

    streams: int
    rounds: int
    """That count."""
    max_tokens: int
    """Of an answer."""


async def measure(server: Server, address: Address | None, load: Load, on_round: Callable[[], None]) -> Pass:
    """Ask over some streams at once; in every other round the upstream called directly comes first.

    Args:
        server: the proxy.
        address: of its upstream; None where it is not known.
        load: how both are asked.
        on_round: called after each.

    Raises:
        MeshError: the proxy refuses a stream.
    """
    found = Pass(load.streams)
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(ThroughProxy.opened(server.mesh.language_model, load.max_tokens))
            for _ in range(load.streams)
        ]
        direct: list[Asks] = []
        if address is not None:
            asked = await stack.enter_async_context(Directly.opened(address, server.model.model, load.max_tokens))
            direct = [asked] * load.streams
        for number in range(-_WARM_UPS, load.rounds):
            found.rounds.append(await _round(proxies, direct, is_direct_first=bool(number % 2)))
            if number >= 0:
                on_round()
    del found.rounds[:_WARM_UPS]
    return found


async def _round(proxies: Sequence[Asks], direct: Sequence[Asks], *, is_direct_first: bool) -> Round:
    first = await _asked(direct) if is_direct_first else []
    through = await _asked(proxies)
    return Round(through, first if is_direct_first else await _asked(direct))


async def _asked(many: Sequence[Asks]) -> list[Answer]:
    return await asyncio.gather(*(each.ask(PROMPT) for each in many))


def _median_first(answers: Sequence[Answer]) -> float | None:
    firsts = [answer.first_token_s for answer in answers if answer.first_token_s is not None]
    return statistics.median(firsts) if firsts else None
