"""Help for tests: a real HTTP server on loopback whose every answer is a `Play`, scripted or computed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from voxmesh_testing.http import Play, Received, ScriptedServer, found

KEY = "sk-very-secret"


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """One request as the server got it."""

    fields: dict[str, Any]
    key: str
    """The Authorization header."""

    @property
    def texts(self) -> list[str]:
        """What is to be embedded."""
        return self.fields["input"]


class EmbeddingsServer(ScriptedServer[EmbeddingsRequest]):
    """Answers texts by `compute`, or by what `play` was told last."""

    def __init__(self, compute: Callable[[EmbeddingsRequest], Play], models: Sequence[dict[str, Any]]) -> None:
        super().__init__(compute, "/v1/embeddings", _request, {"/v1/models": self._models})
        self.models = models

    def _models(self) -> Play:
        return found({"object": "list", "data": list(self.models)})


def _request(received: Received) -> EmbeddingsRequest:
    return EmbeddingsRequest(json.loads(received.body), received.headers.get("authorization", ""))


def vectors_of(texts: Sequence[str], dimensions: int = 8) -> list[list[float]]:
    """Vectors that differ wherever texts do, not of unit length."""
    return [[float(ord(text[n % len(text)]) % 97 + n + 1) for n in range(dimensions)] for text in texts]


def answered(
    vectors: Sequence[Sequence[float]], request: EmbeddingsRequest | None = None, tokens: int | None = 10
) -> Play:
    """An answer as OpenAI words it, in base64 where that was asked for."""
    is_packed = request is not None and request.fields["encoding_format"] == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": packed(vector) if is_packed else list(vector)}
        for index, vector in enumerate(vectors)
    ]
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
    return found({"object": "list", "data": data, "model": "m", **usage})


def packed(vector: Sequence[float]) -> str:
    """A vector in base64."""
    return base64.b64encode(np.array(vector, "<f4").tobytes()).decode()


def by_letters(request: EmbeddingsRequest) -> Play:
    """The answer of a server without a model, which ignores `dimensions`."""
    return answered(vectors_of(request.texts), request)


@contextmanager
def embeddings_server(
    answer: Callable[[EmbeddingsRequest], Play] = by_letters,
    models: Sequence[dict[str, Any]] = ({"id": "letters"},),
    port: int = 0,
) -> Generator[EmbeddingsServer]:
    """A server on loopback, by default on a free port."""
    server = EmbeddingsServer(answer, models)
    with server.running(port):
        yield server
