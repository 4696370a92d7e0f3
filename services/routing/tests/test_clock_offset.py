"""What exchanges tell of another host's clock, with clocks that run, drift and are set by hand."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from voxmesh_routing.clock_offset import MAX_CLOCKS, Answer, Bounds, Clocks, Exchange, ServiceClock

pytestmark = pytest.mark.unit

MS = 1_000_000
S = 1_000_000_000
START_NS = 1_800_000_000 * S

Delay = Callable[[], int]


def steady(ms: float) -> Delay:
    """A way that always takes as long."""
    return lambda: round(ms * MS)


def jittering(least_ms: float, most_ms: float, seed: int = 1) -> Delay:
    """A way that takes longer or shorter."""
    dice = random.Random(seed)  # noqa: S311 # no secret
    return lambda: round(dice.uniform(least_ms, most_ms) * MS)


@dataclass(slots=True)
class World:
    """Two hosts and the ways between them; `true_offset_ns` is what nobody but the test knows."""

    offset_ns: int
    there: Delay = field(default_factory=lambda: steady(0.5))
    back: Delay = field(default_factory=lambda: steady(0.5))
    drift_ppm: float = 0.0
    now_ns: int = START_NS

    def true_offset_ns(self, at_ns: int) -> float:
        """Their clock minus ours."""
        return self.offset_ns + (at_ns - START_NS) * self.drift_ppm / 1e6

    def theirs(self, at_ns: int) -> int:
        """What their clock shows at a time of ours."""
        return at_ns + round(self.true_offset_ns(at_ns))

    def exchange(self, work_ms: float = 100) -> Exchange:
        """A request, work, its answer."""
        sent_ns = self.now_ns
        received_ns = sent_ns + self.there()
        answered_ns = received_ns + round(work_ms * MS)
        self.now_ns = answered_ns + self.back()
        answer = Answer(self.theirs(answered_ns), self.now_ns)
        return Exchange(sent_ns, self.theirs(received_ns), (answer,))

    def exchanges(self, count: int, apart_s: float) -> Iterator[Exchange]:
        """So many, with pauses between."""
        for _ in range(count):
            yield self.exchange()
            self.now_ns += round(apart_s * S)


def holds(clock: ServiceClock, world: World, at_ns: int | None = None) -> bool:
    """The true offset lies in the clock's bounds."""
    at_ns = world.now_ns if at_ns is None else at_ns
    bounds = clock.at(at_ns)
    assert bounds is not None
    return bounds.lower_ns <= world.true_offset_ns(at_ns) <= bounds.upper_ns


@pytest.mark.parametrize("offset_ns", [3 * S, -400 * MS, 0, -86_400 * S])
@pytest.mark.parametrize(("there", "back"), [(0.2, 0.2), (40, 40), (1, 80), (80, 1)])
def test_the_true_offset_always_lies_in_the_bound(offset_ns: int, there: float, back: float) -> None:
    world, clock = World(offset_ns, jittering(there, 3 * there), jittering(back, 3 * back, seed=2)), ServiceClock(50)
    for exchange in world.exchanges(200, apart_s=1):
        clock.observe(exchange)
        assert holds(clock, world)
    assert clock.steps == 0


def test_the_bound_of_one_exchange_is_half_of_its_time_on_the_wire() -> None:
    # 10 ms there, 20 ms of work, 30 ms back; the other clock is 500 ms ahead.
    bounds = World(500 * MS, steady(10), steady(30)).exchange(20).bounds(START_NS, 0)
    assert bounds is not None
    assert bounds.error_ns == pytest.approx(20 * MS, abs=10)
    assert abs(bounds.middle_ns - 500 * MS) <= bounds.error_ns


def test_the_best_way_there_and_the_best_way_back_of_different_exchanges_make_the_bound() -> None:
    world, clock = World(3 * S), ServiceClock(0)
    for there, back in ((1, 60), (60, 1)):
        world.there, world.back = steady(there), steady(back)
        clock.observe(world.exchange())
    bounds = clock.at(world.now_ns)
    assert bounds is not None
    assert bounds.error_ns == pytest.approx(1 * MS, abs=10)
    assert holds(clock, world)


def test_good_exchanges_narrow_the_bound_and_bad_ones_do_not_widen_it() -> None:
    world, clock = World(-400 * MS, steady(50), steady(50)), ServiceClock(50)
    clock.observe(world.exchange())
    wide = clock.at(world.now_ns)
    world.there = world.back = steady(1)
    clock.observe(world.exchange())
    narrow = clock.at(world.now_ns)
    world.there = world.back = steady(200)
    clock.observe(world.exchange())
    after_bad = clock.at(world.now_ns)
    assert wide is not None and narrow is not None and after_bad is not None  # noqa: PT018 # for the type checker
    assert narrow.error_ns < wide.error_ns / 20
    assert after_bad.error_ns < narrow.error_ns + 1 * MS


@pytest.mark.parametrize("drift_ppm", [50.0, -50.0])
def test_drift_is_followed_within_the_bound(drift_ppm: float) -> None:
    world = World(3 * S, jittering(0.3, 30), jittering(0.3, 30, seed=2), drift_ppm=drift_ppm)
    clock = ServiceClock(50)
    for exchange in world.exchanges(500, apart_s=7):
        clock.observe(exchange)
        assert holds(clock, world)
        assert holds(clock, world, world.now_ns + 600 * S)
    assert clock.steps == 0
    # An hour of drift is 180 ms: what is known is not the average of the hour.
    bounds = clock.at(world.now_ns)
    assert bounds is not None
    assert bounds.error_ns < 20 * MS


def test_what_is_known_gets_less_certain_with_age() -> None:
    world, clock = World(0), ServiceClock(50)
    clock.observe(world.exchange())
    fresh, old = clock.at(world.now_ns), clock.at(world.now_ns + 100 * S)
    assert fresh is not None and old is not None  # noqa: PT018 # for the type checker
    assert old.error_ns - fresh.error_ns == pytest.approx(5 * MS, abs=10)


@pytest.mark.parametrize("step_ns", [2 * S, -2 * S, 20 * MS, -20 * MS])
def test_a_clock_that_is_set_is_noticed_by_the_next_exchange(step_ns: int) -> None:
    world, clock = World(3 * S), ServiceClock(50)
    for exchange in world.exchanges(10, apart_s=1):
        clock.observe(exchange)
    world.offset_ns += step_ns
    clock.observe(world.exchange())
    assert clock.steps == 1
    assert holds(clock, world)


def test_a_clock_that_is_set_in_the_middle_of_an_exchange_is_unknown_until_the_next() -> None:
    world, clock = World(0), ServiceClock(50)
    clock.observe(world.exchange())
    torn = world.exchange()
    torn = Exchange(torn.sent_ns, torn.received_ns, (Answer(torn.answers[0].answered_ns + S, torn.ended_ns),))
    clock.observe(torn)
    assert clock.at(world.now_ns) is None
    assert clock.during(torn) is None
    world.offset_ns = S
    clock.observe(world.exchange())
    assert holds(clock, world)


def test_an_exchange_before_the_clock_was_set_keeps_its_own_bounds() -> None:
    world, clock = World(0), ServiceClock(50)
    before = world.exchange()
    clock.observe(before)
    world.offset_ns = 5 * S
    clock.observe(world.exchange())
    bounds = clock.during(before)
    assert bounds is not None
    assert bounds.lower_ns <= 0 <= bounds.upper_ns


def test_exchanges_of_many_sessions_may_come_out_of_order() -> None:
    world, clock = World(3 * S, jittering(1, 50), jittering(1, 50, seed=2), drift_ppm=30), ServiceClock(50)
    exchanges = list(world.exchanges(50, apart_s=2))
    random.Random(3).shuffle(exchanges)  # noqa: S311 # no secret
    for exchange in exchanges:
        clock.observe(exchange)
    assert holds(clock, world)
    assert clock.steps == 0


def test_every_service_of_a_host_has_a_clock_of_its_own_and_the_oldest_are_forgotten() -> None:
    clocks = Clocks(50)
    first = clocks.of("stt/x", "titan")
    assert clocks.of("stt/x", "titan") is first
    assert clocks.of("tts/x", "titan") is not first
    for number in range(MAX_CLOCKS):
        clocks.of("stt/x", f"host-{number}")
    assert clocks.of("stt/x", "titan") is not first


def test_bounds_that_contradict_each_other_have_nothing_in_common() -> None:
    assert Bounds(0, 10).within(Bounds(5, 20)) == Bounds(5, 10)
    assert Bounds(0, 10).within(Bounds(11, 20)) is None
