"""What a language model that sees is told in words: the caller's prompt, or one of ours where there is none."""

from __future__ import annotations

import json

from voxmesh_vlm.engine import AnalysisRequest

DESCRIBE = "Describe this image."
DESCRIBE_SEVERAL = "Describe these images."
DESCRIBE_VIDEO = "Describe this video."
EXTRACT = "Extract the data that you see."


def answer_text(request: AnalysisRequest) -> str:
    """The text beside the pictures of `Task.ANSWER`; without a prompt it describes, or extracts by the schema."""
    schema = request.response_schema
    text = request.prompt or (_description(request) if schema is None else EXTRACT)
    if schema is None:
        return text
    told = json.dumps(schema, ensure_ascii=False)
    return f"{text}\n\nAnswer with JSON alone, which satisfies this JSON Schema:\n{told}"


def _description(request: AnalysisRequest) -> str:
    if request.frame_interval_s is not None:
        return DESCRIBE_VIDEO
    return DESCRIBE_SEVERAL if len(request.pictures) > 1 else DESCRIBE
