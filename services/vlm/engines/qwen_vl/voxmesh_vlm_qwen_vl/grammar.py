"""Keeps an answer within a JSON Schema: of all tokens only those may be written that can still lead to one."""

from __future__ import annotations

import json
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.quoting import quote

# White space without end would satisfy a schema too; these are the separators that models write most.
_LAYOUT: Any = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_MAX_QUOTED = 300


class Grammars:
    """Makes grammars for one model's tokens.

    Args:
        tokenizer: of the model.
        vocabulary: tokens that the model has logits for; at least those of the tokenizer.
    """

    def __init__(self, tokenizer: Any, vocabulary: int) -> None:
        self._tokens = llguidance.hf.from_tokenizer(tokenizer, n_vocab=vocabulary)

    def of_schema(self, schema: dict[str, Any]) -> Grammar:
        """A grammar at its beginning.

        Raises:
            InvalidArgument: the schema asks for what no grammar can keep.
        """
        try:
            text = llguidance.LLMatcher.grammar_from_json_schema(schema, defaults=_LAYOUT)
            problem = llguidance.LLMatcher.validate_grammar(text, self._tokens)
        except ValueError as error:
            problem = str(error)
        else:
            if not problem:
                return Grammar(llguidance.LLMatcher(self._tokens, text))
        reason = quote(" ".join(problem.split()), _MAX_QUOTED)[1:-1]
        raise InvalidArgument("analyze.response_schema", f"this engine cannot keep it: {reason}")


class Grammar:
    """How far one answer has come."""

    def __init__(self, matcher: llguidance.LLMatcher) -> None:
        self._matcher = matcher

    def choose(self, logits: torch.Tensor) -> int:
        """The likeliest token of those that may come now, which is thereby written."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = torch.from_numpy(np.unpackbits(bits, bitorder="little")[: len(logits)]).bool().to(logits.device)
        token = int(logits.masked_fill(~allowed, -torch.inf).argmax())
        if not self._matcher.consume_token(token):
            raise RuntimeError(f"the grammar stopped: {self._matcher.get_error()}")
        return token

    @property
    def is_over(self) -> bool:
        """True when nothing may follow."""
        return self._matcher.is_stopped()


def parsed(text: str) -> Any:
    """The value of a whole answer; None of one that was cut."""
    try:
        return json.loads(text)
    except ValueError:
        return None
