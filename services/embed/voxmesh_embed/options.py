"""Check configs and batches against the contract and the model, before the engine sees them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voxmesh.embed.v1 import embed_pb2
from voxmesh_embed.engine import EngineInfo, Kind, Text, Values
from voxmesh_embed.packing import Encoding
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Outcome, applied, approximated, ignored
from voxmesh_runtime.refusals import check_count, check_range

MAX_TEXTS = 256
MAX_TEXT_CHARACTERS = 100_000
MAX_INSTRUCTION_CHARACTERS = 2_000

_KINDS = {
    embed_pb2.TextBatch.KIND_UNSPECIFIED: Kind.DOCUMENT,
    embed_pb2.TextBatch.KIND_QUERY: Kind.QUERY,
    embed_pb2.TextBatch.KIND_DOCUMENT: Kind.DOCUMENT,
}

_ENCODINGS = {
    embed_pb2.EmbeddingConfig.ENCODING_UNSPECIFIED: Encoding.FLOAT,
    embed_pb2.EmbeddingConfig.ENCODING_FLOAT: Encoding.FLOAT,
    embed_pb2.EmbeddingConfig.ENCODING_INT8: Encoding.INT8,
    embed_pb2.EmbeddingConfig.ENCODING_BINARY: Encoding.BINARY,
}


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """What the caller asked for, as the model can give it."""

    dimensions: int
    """Length of the vectors that the caller gets."""
    instruction: str = ""
    """For queries; empty when the model takes none."""
    encoding: Encoding = Encoding.FLOAT

    def fit(self, values: Values) -> Values:
        """A vector in the caller's dimensions, of unit length."""
        if len(values) == self.dimensions:
            return values
        shorter = values[: self.dimensions]
        # The first values of a vector may all be zero, and then it has no direction to keep.
        return shorter / max(float(np.linalg.norm(shorter)), np.finfo(np.float32).tiny)


def embedding_options(config: embed_pb2.EmbeddingConfig, info: EngineInfo) -> tuple[EmbeddingOptions, list[Outcome]]:
    """The options of a config, and how each was taken.

    Raises:
        FailedPrecondition: it asks for another model than the loaded one.
        InvalidArgument: a field is outside its limits.
    """
    info.facts.require_model(config.model)
    outcomes: list[Outcome] = []
    dimensions = info.dimensions
    if config.HasField("dimensions"):
        dimensions = config.dimensions
        check_range("config.dimensions", dimensions, 1, info.dimensions)
        outcomes.append(_dimensions_outcome(dimensions, info))
    instruction, instruction_outcomes = instruction_taken(config.instruction, info)
    encoding = _ENCODINGS.get(config.encoding)
    if encoding is None:
        known = "ENCODING_FLOAT, ENCODING_INT8 or ENCODING_BINARY"
        raise InvalidArgument("config.encoding", f"{config.encoding} is unknown; set {known}")
    if config.encoding:
        outcomes.append(applied("config.encoding"))
    return EmbeddingOptions(dimensions, instruction, encoding), outcomes + instruction_outcomes


def instruction_taken(instruction: str, info: EngineInfo) -> tuple[str, list[Outcome]]:
    """The instruction as the model gets it, and how it was taken.

    Raises:
        InvalidArgument: it is too long.
    """
    field = "config.instruction"
    check_count(field, len(instruction), MAX_INSTRUCTION_CHARACTERS)
    if not instruction:
        return "", []
    if info.instruction:
        return instruction, [applied(field)]
    return "", [ignored(field, "the model was trained without instructions")]


def texts_of(batch: embed_pb2.TextBatch, options: EmbeddingOptions) -> list[Text]:
    """The texts of a batch.

    Raises:
        InvalidArgument: names what is outside the contract's limits.
    """
    kind = _KINDS.get(batch.kind)
    if kind is None:
        raise InvalidArgument("batch.kind", f"{batch.kind} is unknown; set KIND_QUERY or KIND_DOCUMENT")
    check_count("batch.texts", len(batch.texts), MAX_TEXTS, least=1, unit="texts")
    for index, content in enumerate(batch.texts):
        check_count(f"batch.texts[{index}]", len(content), MAX_TEXT_CHARACTERS, least=1)
    instruction = options.instruction if kind is Kind.QUERY else ""
    return [Text(content, kind, instruction) for content in batch.texts]


def _dimensions_outcome(dimensions: int, info: EngineInfo) -> Outcome:
    field = "config.dimensions"
    if dimensions == info.dimensions or info.shorter_dimensions:
        return applied(field)
    how = (
        f"the first {dimensions} of {info.dimensions} values at unit length; "
        "the model was not trained for shorter vectors, so they tell texts apart less well"
    )
    return approximated(field, how)
