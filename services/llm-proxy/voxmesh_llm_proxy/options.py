"""Check a stream's config and say how each of its options is taken."""

from __future__ import annotations

from voxmesh.llm.v1 import llm_pb2
from voxmesh_llm_proxy.catalog import Catalog
from voxmesh_llm_proxy.messages import GenerationOptions, generation_options
from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.upstream import Upstream
from voxmesh_llm_proxy.validation import check_sampling, check_schema
from voxmesh_runtime.outcomes import Outcome, applied, ignored

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


async def stream_options(
    config: llm_pb2.GenerationConfig, catalog: Catalog, settings: LlmSettings
) -> GenerationOptions:
    """The options of a config.

    Raises:
        InvalidArgument: a field is outside its limits.
        FailedPrecondition: the upstream has not the model.
    """
    check_sampling(config.sampling, settings.max_output_tokens_limit)
    if config.HasField("response_schema"):
        check_schema("config.response_schema", config.response_schema)
    model = await catalog.choose(config.model)
    return generation_options(config, model, settings, thinking=config.thinking and settings.allow_thinking)


def outcomes(config: llm_pb2.GenerationConfig, upstream: Upstream, settings: LlmSettings) -> list[Outcome]:
    """What becomes of every option that the caller set."""
    found = [_sampling_outcome(name, upstream) for name in _SAMPLING_FIELDS if config.sampling.HasField(name)]
    if config.sampling.stop_sequences:
        found.append(applied("config.sampling.stop_sequences"))
    if config.model:
        found.append(applied("config.model"))
    if config.thinking:
        found.append(_thinking_outcome(upstream, settings))
    if config.HasField("response_schema"):
        found.append(applied("config.response_schema"))
    return found


def _sampling_outcome(name: str, upstream: Upstream) -> Outcome:
    field = f"config.sampling.{name}"
    is_dropped = upstream.fields.is_dropped(_UPSTREAM_NAMES.get(name, name))
    return ignored(field, "the upstream does not know it") if is_dropped else applied(field)


def _thinking_outcome(upstream: Upstream, settings: LlmSettings) -> Outcome:
    if not settings.allow_thinking:
        return ignored("config.thinking", "this service keeps the model from thinking")
    if upstream.fields.is_dropped("chat_template_kwargs"):
        return ignored("config.thinking", "the upstream has no switch; its model thinks or does not")
    return applied("config.thinking")
