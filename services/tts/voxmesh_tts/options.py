"""Check a stream's config against the contract and the engine, before the engine sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from voxmesh.tts.v1 import tts_pb2
from voxmesh_runtime.audio import AudioFormat, ModelInput
from voxmesh_runtime.errors import InvalidArgument, NotFound
from voxmesh_runtime.language_tags import best_match, canonical, checked
from voxmesh_runtime.outcomes import Outcome, applied, approximated, ignored
from voxmesh_runtime.quoting import listed, quote
from voxmesh_runtime.refusals import check_range, not_among
from voxmesh_tts.engine import EngineInfo, Gender, SynthesisOptions, Voice, VoiceReference
from voxmesh_tts.texts import check_text

MIN_SPEAKING_RATE = 0.25
MAX_SPEAKING_RATE = 4.0
MAX_INSTRUCTION_CHARACTERS = 1_000
MAX_TRANSCRIPT_CHARACTERS = 1_000
MIN_REFERENCE_S = 1.0
MAX_REFERENCE_S = 30.0
_MAX_REFERENCE_BYTES = 4 * 1024 * 1024
MAX_BLENDED_VOICES = 8
_LANGUAGE = "config.language_code"


def synthesis_options(config: tts_pb2.SynthesisConfig, info: EngineInfo) -> SynthesisOptions:
    """The options of a config.

    Raises:
        FailedPrecondition: it asks for another model than the loaded one.
        NotFound: the model has no such voice.
        InvalidArgument: a field is outside its limits, or the voice does not speak the language.
    """
    info.facts.require_model(config.model)
    tag = checked(_LANGUAGE, config.language_code) if config.language_code else ""
    voice = _voice(config, tag, info)
    check_text("config.instruction", config.instruction, MAX_INSTRUCTION_CHARACTERS)
    reference = _voice_reference(config.voice_reference, info) if config.HasField("voice_reference") else None
    return SynthesisOptions(
        voice=voice.name,
        language_code=best_match(tag, voice.language_codes) or voice.language_codes[0],
        speaking_rate=_speaking_rate(config),
        word_time_offsets=config.word_time_offsets and info.word_time_offsets,
        instruction=config.instruction if info.instruction else "",
        voice_reference=reference if info.voice_cloning else None,
    )


def output_format(config: tts_pb2.SynthesisConfig, info: EngineInfo) -> AudioFormat:
    """The format of the stream's audio.

    Raises:
        InvalidArgument: a format that is not in the contract.
    """
    if config.HasField("audio_format"):
        return AudioFormat.from_proto(config.audio_format)
    return AudioFormat(sample_rate_hertz=info.sample_rate_hertz)


def common_outcomes(config: tts_pb2.SynthesisConfig, options: SynthesisOptions, info: EngineInfo) -> list[Outcome]:
    """Outcomes that do not depend on the session."""
    outcomes: list[Outcome] = []
    if config.voice:
        outcomes.append(applied("config.voice"))
    if config.language_code:
        outcomes.append(_language_outcome(config.language_code, options.language_code))
    if config.word_time_offsets:
        field = "config.word_time_offsets"
        outcomes.append(applied(field) if info.word_time_offsets else ignored(field, "the model gives no word offsets"))
    if config.instruction and not info.instruction:
        outcomes.append(ignored("config.instruction", "the model speaks in one manner only"))
    if config.HasField("voice_reference") and not info.voice_cloning:
        why = f"the model cannot take a voice from a recording; it speaks as {options.voice}"
        outcomes.append(ignored("config.voice_reference", why))
    return outcomes


def _voice(config: tts_pb2.SynthesisConfig, tag: str, info: EngineInfo) -> Voice:
    """The voice asked for, else the first that speaks the language best."""
    voices = info.voices
    if config.voice:
        named = [voice for voice in voices if voice.name == config.voice]
        if not named and info.voice_blends and "+" in config.voice:
            named = [_blend(config.voice, voices)]
        if not named:
            names = listed(voice.name for voice in voices)
            raise NotFound("voice", config.voice, f"config.voice: {quote(config.voice)} is not here; voices: {names}")
        voices = named
    if not tag:
        return voices[0]
    known = list(dict.fromkeys(code for voice in voices for code in voice.language_codes))
    spoken = best_match(tag, known)
    if spoken is None:
        who = f"voice {config.voice} speaks" if config.voice else "the model speaks"
        raise InvalidArgument(_LANGUAGE, not_among(tag, known, who))
    return next(voice for voice in voices if spoken in voice.language_codes)


def _blend(text: str, voices: Sequence[Voice]) -> Voice:
    """The voice that a blend makes, as "af_heart:0.7+bf_emma:0.3"; weights are 1 unless written.

    It speaks what its first voice speaks.
    """
    field = "config.voice"
    by_name = {voice.name: voice for voice in voices}
    parts = [part.partition(":") for part in text.split("+")]
    if len(parts) > MAX_BLENDED_VOICES:
        raise InvalidArgument(field, f"blends {len(parts)} voices, more than {MAX_BLENDED_VOICES}")
    for name, colon, weight in parts:
        if name not in by_name:
            raise NotFound("voice", name, f"{field}: {quote(name)} is not here; voices: {listed(by_name)}")
        if colon and not _is_weight(weight):
            raise InvalidArgument(field, f"{quote(weight)} is no weight; write one such as af_heart:0.7+bf_emma:0.3")
    return replace(by_name[parts[0][0]], name=text, gender=Gender.UNKNOWN)


def _is_weight(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False


def _language_outcome(asked: str, spoken: str) -> Outcome:
    # A bare "en" leaves the region open.
    if "-" not in canonical(asked) or canonical(asked) == canonical(spoken):
        return applied(_LANGUAGE)
    return approximated(_LANGUAGE, f"spoken as {spoken}")


def _speaking_rate(config: tts_pb2.SynthesisConfig) -> float | None:
    if not config.HasField("speaking_rate"):
        return None
    check_range("config.speaking_rate", config.speaking_rate, MIN_SPEAKING_RATE, MAX_SPEAKING_RATE)
    return config.speaking_rate


def _voice_reference(reference: tts_pb2.VoiceReference, info: EngineInfo) -> VoiceReference:
    field = "config.voice_reference"
    check_text(f"{field}.transcript", reference.transcript, MAX_TRANSCRIPT_CHARACTERS)
    audio_format = AudioFormat.from_proto(reference.audio_format, f"{field}.audio_format")
    duration_s = len(reference.audio) / audio_format.bytes_per_frame / audio_format.sample_rate_hertz
    if not MIN_REFERENCE_S <= duration_s <= MAX_REFERENCE_S:
        problem = f"must last {MIN_REFERENCE_S:g} to {MAX_REFERENCE_S:g} s, not {duration_s:.3g} s"
        raise InvalidArgument(f"{field}.audio", problem)
    whole = ModelInput(audio_format, info.sample_rate_hertz, f"{field}.audio", max_chunk_bytes=_MAX_REFERENCE_BYTES)
    samples = np.concatenate([whole.feed(reference.audio), whole.flush()])
    return VoiceReference(samples, reference.transcript)
