"""Names of spans, attributes and metrics, each in one place."""

from __future__ import annotations

from typing import Final

SPAN_CONVERSATION: Final = "conversation"
SPAN_TURN: Final = "turn"
SPAN_TURN_DETECTION: Final = "turn_detection"
SPAN_STT: Final = "stt"
SPAN_LLM: Final = "llm"
SPAN_TTS: Final = "tts"
SPAN_VLM: Final = "vlm"
SPAN_EMBED: Final = "embed"

GEN_AI_OPERATION: Final = "gen_ai.operation.name"
GEN_AI_PROVIDER: Final = "gen_ai.provider.name"
GEN_AI_REQUEST_MODEL: Final = "gen_ai.request.model"
GEN_AI_CONVERSATION_ID: Final = "gen_ai.conversation.id"
GEN_AI_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
GEN_AI_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
ENGINE: Final = "voxmesh.engine"
QUEUE_S: Final = "voxmesh.queue_s"
COMPUTE_S: Final = "voxmesh.compute_s"
BATCH_SIZE: Final = "voxmesh.batch_size"
AUDIO_S: Final = "voxmesh.audio_s"
TURN_INDEX: Final = "voxmesh.turn_index"

METRIC_ACTIVE_STREAMS: Final = "voxmesh.active_streams"
METRIC_ACCEPTED: Final = "voxmesh.streams.accepted"
METRIC_REFUSED: Final = "voxmesh.streams.refused"
METRIC_COMPUTE: Final = "voxmesh.work.compute"
METRIC_QUEUE: Final = "voxmesh.work.queue"
