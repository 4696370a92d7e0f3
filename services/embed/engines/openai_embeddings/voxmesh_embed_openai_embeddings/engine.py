"""An embeddings server as an engine of the embedding service."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass

from voxmesh_embed.engine import EngineInfo, Text, Vector
from voxmesh_embed_openai_embeddings.calls import Calls
from voxmesh_embed_openai_embeddings.probe import Abilities, connect
from voxmesh_embed_openai_embeddings.server import Server
from voxmesh_embed_openai_embeddings.settings import INSTRUCTION, OpenAiEmbeddingsSettings
from voxmesh_embed_openai_embeddings.texts import written
from voxmesh_runtime.batcher import SomeFailed
from voxmesh_runtime.engine import EngineContext, ModelFacts
from voxmesh_runtime.errors import Unavailable
from voxmesh_runtime.loop_thread import LoopThread
from voxmesh_runtime.upstreams import check_address


@dataclass(frozen=True, slots=True)
class _Connection:
    """What is there while the engine is loaded."""

    loop: LoopThread
    calls: Calls

    def close(self) -> None:
        """Give up what is under way and close all connections."""
        self.loop.submit(self.calls.server.close()).result()
        self.loop.close()


class OpenAiEmbeddingsEngine:
    """One server for all streams; see `voxmesh_embed.engine.EmbeddingEngine`.

    Raises:
        FailedPrecondition: no server is configured.
    """

    def __init__(self, context: EngineContext, settings: OpenAiEmbeddingsSettings) -> None:
        check_address(settings.base_url, "VOXMESH_OPENAI_EMBEDDINGS_BASE_URL")
        self._context = context
        self._settings = settings
        self._connection: _Connection | None = None
        self._under_way: dict[int, Future[list[Vector | Exception]]] = {}
        """Steps by the identity of their texts."""
        self.info = self._info(context.model or "", Abilities(0, settings.max_tokens or 0, shorter_dimensions=False))

    def load(self) -> None:
        """Reach the server and find out what it can do; does nothing when that is known.

        Raises:
            FailedPrecondition: it has not the model, refuses the key, or gives no vectors.
            Unavailable: it is not there.
        """
        if self._connection is not None:
            return
        loop, server = LoopThread("openai-embeddings"), Server(self._settings)
        try:
            abilities = loop.submit(connect(server, self._settings, self._context.model)).result()
        except BaseException:
            loop.submit(server.close()).result()
            loop.close()
            raise
        self._connection = _Connection(loop, Calls(server, self._settings, abilities.max_tokens))
        self.info = self._info(server.model, abilities)

    def warm_up(self) -> None:
        """Done by `load`: the server has answered, and its connection is open."""

    def embed(self, texts: Sequence[Text]) -> Sequence[Vector]:
        """The vectors of texts, in their order.

        Raises:
            SomeFailed: for some of the texts there is no vector.
        """
        if self._connection is None:
            raise RuntimeError("load() comes before the first use")
        calls, loop = self._connection.calls, self._connection.loop
        step = loop.submit(calls.embed([written(text, self._settings) for text in texts]))
        self._under_way[id(texts)] = step
        try:
            results = step.result()
        except CancelledError:
            raise Unavailable("nobody waits for these vectors any more, or the service is stopping") from None
        finally:
            del self._under_way[id(texts)]
        vectors = [result for result in results if isinstance(result, Vector)]
        if len(vectors) < len(results):
            raise SomeFailed(results)
        return vectors

    def interrupt(self, texts: Sequence[Text]) -> None:
        """End the requests of a step whose callers have all gone."""
        step = self._under_way.get(id(texts))
        if step is not None:
            step.cancel()

    def close(self) -> None:
        """Close all connections."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _info(self, model: str, abilities: Abilities) -> EngineInfo:
        settings = self._settings
        facts = ModelFacts(
            model=model,
            license=settings.license,
            device="upstream",
            device_reason="the model runs behind another server",
            parallel=settings.max_concurrent_requests,
        )
        return EngineInfo(
            facts,
            abilities.max_tokens,
            abilities.dimensions,
            shorter_dimensions=abilities.shorter_dimensions,
            instruction=INSTRUCTION in settings.query_template,
            max_batch_tokens=settings.max_batch_tokens,
        )
