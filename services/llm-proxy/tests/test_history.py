"""A conversation that is too long loses whole turns from its beginning, and seldom."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.history import MARK_TOKENS, History, cut, fitted

pytestmark = pytest.mark.unit

Message = llm_pb2.Message
WORDS = 92
"""With its mark, each message of these tests is 100 tokens."""
ROLES = {"s": Message.ROLE_SYSTEM, "u": Message.ROLE_USER, "a": Message.ROLE_ASSISTANT, "t": Message.ROLE_TOOL}


def conversation(roles: str) -> llm_pb2.Generate:
    """Messages of these roles."""
    return llm_pb2.Generate(messages=[Message(role=ROLES[role], text=f"{'word ' * WORDS}") for role in roles])


@pytest.mark.parametrize(
    ("roles", "room", "before", "start"),
    [
        ("suauau", 600, 0, 1),
        ("suauau", 599, 0, 3),
        ("suauau", 100, 0, 5),
        ("ssu", 100, 0, 2),
        ("suatatauau", 750, 0, 7),
        ("suauauauau", 800, 0, 5),
        ("suauauauau", 800, 5, 5),
        ("suauauauauau", 800, 5, 5),
        ("suauauauauauau", 800, 5, 9),
        ("suauauauau", 800, 4, 5),
        ("sa", 10, 0, 1),
        ("auau", 250, 0, 3),
    ],
    ids=[
        *("all fits", "a turn goes", "the last turn stays", "so does the system", "a turn goes with its tools"),
        *(
            "more goes than must",
            "a cut is kept",
            "while it is enough",
            "and then made again",
            "a place that is no turn",
        ),
        *("nothing to cut at", "an opening of the assistant goes"),
    ],
)
def test_where_it_is_cut(roles: str, room: int, before: int, start: int) -> None:
    messages = conversation(roles).messages
    assert cut(messages, [100] * len(messages), room, before) == start


class Counter:
    """Counts words, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, texts: Sequence[str]) -> list[int]:
        self.asked += 1
        return [len(text.split()) for text in texts]


async def test_nobody_counts_what_surely_fits() -> None:
    count, history = Counter(), History()
    whole = conversation("su")
    room = sum(len(each.text) + MARK_TOKENS for each in whole.messages)
    assert await fitted(whole, room, count, history) == (whole, 0)
    assert count.asked == 0
    # What the upstream has counted need not be counted again.
    history.learn(whole, 200)
    longer = conversation("suau")
    assert await fitted(longer, 200 + room, count, history) == (longer, 0)
    assert count.asked == 0


async def test_what_may_not_fit_is_counted_and_what_is_left_out_is_told() -> None:
    count, history = Counter(), History()
    kept, dropped = await fitted(conversation("suauauauau"), 800, count, history)
    assert ([message.role for message in kept.messages], dropped) == ([ROLES[each] for each in "suauau"], 4)
    assert count.asked == 1
    # The beginning stays the same in the next turn, so that the upstream has it in its cache.
    again, dropped = await fitted(conversation("suauauauauau"), 800, count, history)
    assert again.messages[: len(kept.messages)] == kept.messages
    assert dropped == 4
    assert await fitted(conversation("su"), 800, count, history) == (conversation("su"), 0)
    assert history.start == 0


async def test_tools_take_room_too() -> None:
    whole = conversation("suau")
    whole.tools.add(name="weather", description="word " * 200)
    _, dropped = await fitted(whole, 500, Counter(), History())
    assert dropped == 2
