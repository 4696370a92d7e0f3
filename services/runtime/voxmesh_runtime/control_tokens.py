"""Marks of chat templates in text that callers send: with them a text could speak as somebody else."""

from __future__ import annotations

import re

from voxmesh_runtime.errors import InvalidArgument

LONGEST = 44
"""Characters of the longest mark; text that comes in pieces is checked over that much of a seam."""

_MARK = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<\uff5c[^\uff5c>]{1,40}\uff5c>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_(?:turn|image)>"
    r"|<(?:bos|eos|pad|unk|image|img)>|\[/?(?:AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|SYSTEM_PROMPT|IMG)\]"
    r"|<__media__>|</?tool_(?:call|response)>",
    re.IGNORECASE,
)


def refuse_control_tokens(field: str, text: str) -> None:
    """Check a text before a model sees it.

    Raises:
        InvalidArgument: names `field` and the mark.
    """
    found = _MARK.search(text)
    if found is not None:
        raise InvalidArgument(field, f"holds the control token {found[0]!r} of a chat template; remove it")
