"""Check a stream's config and say how each of its options is taken."""

from __future__ import annotations

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.messages import StreamOptions
from voxmesh_llm_proxy.pool import Pool
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.shapes import Shape, has_thinking_switch
from voxmesh_llm_proxy.upstream import Upstream
from voxmesh_llm_proxy.validation import MAX_PURPOSE_CHARACTERS, check_sampling, checked_judge
from voxmesh_runtime.outcomes import Outcome, applied, ignored
from voxmesh_runtime.refusals import check_count

_SAMPLING_FIELDS = (
    "temperature",
    "top_p",
    "top_k",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "max_output_tokens",
)
_UPSTREAM_NAMES = {"max_output_tokens": "max_tokens"}
"""Those that the upstream calls otherwise."""


async def stream_options(config: llm_pb2.GenerationConfig, pool: Pool, settings: LlmSettings) -> StreamOptions:
    """The options of a config.

    Raises:
        InvalidArgument: a field is outside its limits.
        FailedPrecondition: no upstream has the model.
    """
    check_sampling(config.sampling, settings.max_output_tokens_limit)
    check_count("config.purpose", len(config.purpose), MAX_PURPOSE_CHARACTERS)
    judge = None
    if config.HasField("response_schema"):
        judge = checked_judge("config.response_schema", config.response_schema)
    await pool.check_model(config.model)
    return StreamOptions(config, config.thinking and settings.allow_thinking, judge)


def outcomes(options: StreamOptions, pool: Pool, upstream: Upstream, settings: LlmSettings) -> list[Outcome]:
    """What becomes of every option that the caller set, at the upstream that is asked first."""
    config = options.config
    found = [_sampling_outcome(name, upstream) for name in _SAMPLING_FIELDS if config.sampling.HasField(name)]
    if config.sampling.preset:
        found.append(applied("config.sampling.preset"))
    if config.sampling.stop_sequences:
        found.append(applied("config.sampling.stop_sequences"))
    if config.model:
        found.append(applied("config.model"))
    if config.thinking:
        found.append(_thinking_outcome(upstream, settings))
    if config.HasField("response_schema"):
        found.append(applied("config.response_schema"))
    if config.purpose:
        found.append(_purpose_outcome(config.purpose, pool))
    return found


def _purpose_outcome(purpose: str, pool: Pool) -> Outcome:
    if any(purpose in upstream.named.purposes for upstream in pool.upstreams):
        return applied("config.purpose")
    return ignored("config.purpose", "no upstream is for that purpose; those for all serve it")


def _sampling_outcome(name: str, upstream: Upstream) -> Outcome:
    field = f"config.sampling.{name}"
    is_dropped = upstream.fields.is_dropped(_UPSTREAM_NAMES.get(name, name))
    return ignored(field, "the upstream does not know it") if is_dropped else applied(field)


def _thinking_outcome(upstream: Upstream, settings: LlmSettings) -> Outcome:
    if not settings.allow_thinking:
        return ignored("config.thinking", "this service keeps the model from thinking")
    shape = upstream.named.shape
    is_switched = shape is Shape.OLLAMA or not upstream.fields.is_dropped("chat_template_kwargs")
    if not has_thinking_switch(shape) or not is_switched:
        return ignored("config.thinking", "the upstream has no switch; its model thinks or does not")
    return applied("config.thinking")
