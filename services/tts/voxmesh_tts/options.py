"""Check a stream's config against the contract and the engine, before the engine sees it."""

from __future__ import annotations

import numpy as np

from voxmesh.tts.v1 import tts_pb2
from voxmesh_runtime.audio import AudioFormat, ModelInput
from voxmesh_runtime.errors import InvalidArgument, NotFound
from voxmesh_runtime.outcomes import Outcome, applied, approximated, ignored
from voxmesh_tts.engine import EngineInfo, SynthesisOptions, Voice, VoiceReference
from voxmesh_tts.texts import check_text

MIN_SPEAKING_RATE = 0.25
MAX_SPEAKING_RATE = 4.0
MAX_INSTRUCTION_CHARACTERS = 1_000
MAX_TRANSCRIPT_CHARACTERS = 1_000
MIN_REFERENCE_S = 1.0
MAX_REFERENCE_S = 30.0
_MAX_REFERENCE_BYTES = 4 * 1024 * 1024


def synthesis_options(config: tts_pb2.SynthesisConfig, info: EngineInfo) -> SynthesisOptions:
    """The options of a config.

    Raises:
        FailedPrecondition: it asks for another model than the loaded one.
        NotFound: the model has no such voice.
        InvalidArgument: a field is outside its limits, or the voice does not speak the language.
    """
    info.facts.require_model(config.model)
    voice = _voice(config, info)
    check_text("config.instruction", config.instruction, MAX_INSTRUCTION_CHARACTERS)
    reference = _voice_reference(config.voice_reference, info) if config.HasField("voice_reference") else None
    return SynthesisOptions(
        voice=voice.name,
        language_code=_spoken_language(voice, config.language_code),
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


def _voice(config: tts_pb2.SynthesisConfig, info: EngineInfo) -> Voice:
    """The voice asked for, else the first that speaks the language best."""
    voices = info.voices
    if config.voice:
        named = [voice for voice in voices if voice.name == config.voice]
        if not named:
            names = ", ".join(voice.name for voice in voices)
            raise NotFound("voice", config.voice, f"config.voice: {config.voice!r} is not here; voices: {names}")
        voices = named
    tag = config.language_code
    speaking = [voice for voice in voices if not tag or _primary(tag) in map(_primary, voice.language_codes)]
    if not speaking:
        who, known = _known_languages(config.voice, voices)
        raise InvalidArgument("config.language_code", f"{tag!r} is not supported; {who} speaks {known}")
    exact = [voice for voice in speaking if tag.lower() in map(str.lower, voice.language_codes)]
    return (exact or speaking)[0]


def _known_languages(named: str, voices: tuple[Voice, ...] | list[Voice]) -> tuple[str, str]:
    tags = dict.fromkeys(code for voice in voices for code in voice.language_codes)
    return (f"voice {named}" if named else "the model"), ", ".join(tags)


def _spoken_language(voice: Voice, tag: str) -> str:
    """The voice's own tag that is nearest to `tag`."""
    codes = voice.language_codes
    exact = (code for code in codes if code.lower() == tag.lower())
    near = (code for code in codes if _primary(code) == _primary(tag))
    return next(exact, next(near, codes[0]))


def _language_outcome(asked: str, spoken: str) -> Outcome:
    # A bare "en" leaves the region open.
    if asked.lower() in {spoken.lower(), _primary(spoken)}:
        return applied("config.language_code")
    return approximated("config.language_code", f"spoken as {spoken}")


def _primary(tag: str) -> str:
    return tag.split("-", 1)[0].lower()


def _speaking_rate(config: tts_pb2.SynthesisConfig) -> float | None:
    if not config.HasField("speaking_rate"):
        return None
    rate = config.speaking_rate
    if not MIN_SPEAKING_RATE <= rate <= MAX_SPEAKING_RATE:
        problem = f"must be from {MIN_SPEAKING_RATE:g} to {MAX_SPEAKING_RATE:g}, not {rate:g}"
        raise InvalidArgument("config.speaking_rate", problem)
    return rate


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
