"""Check a stream's config against the contract and the engine, before the engine sees it."""

from __future__ import annotations

from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.clock import seconds_of
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.language_tags import best_match, checked
from voxmesh_runtime.outcomes import Outcome, applied, ignored
from voxmesh_runtime.refusals import check_count, not_among
from voxmesh_stt.engine import EngineInfo, Phrase, RecognitionOptions

MAX_PHRASES = 10_000
MAX_PHRASE_CHARACTERS = 100
MAX_CONTEXT_CHARACTERS = 8_000
MAX_BOOST = 10.0


def recognition_options(config: stt_pb2.RecognitionConfig, info: EngineInfo) -> RecognitionOptions:
    """The options of a config.

    Raises:
        FailedPrecondition: it asks for another model than the loaded one.
        InvalidArgument: a field is outside its limits, or a language of it is not known.
    """
    info.facts.require_model(config.model)
    return RecognitionOptions(
        language_codes=_languages(config, info),
        interim_results=config.interim_results,
        word_time_offsets=config.word_time_offsets,
        phrases=_phrases(config),
        context=_context(config),
        max_latency_s=_max_latency(config),
    )


def common_outcomes(options: RecognitionOptions, info: EngineInfo) -> list[Outcome]:
    """Outcomes that do not depend on the session."""
    outcomes: list[Outcome] = []
    if options.language_codes:
        outcomes.append(applied("config.language_codes"))
    if options.interim_results:
        why = "the model gives final results only"
        field = "config.interim_results"
        outcomes.append(applied(field) if info.streaming else ignored(field, why))
    if options.word_time_offsets:
        why = "the model gives no word offsets"
        field = "config.word_time_offsets"
        outcomes.append(applied(field) if info.word_time_offsets else ignored(field, why))
    return outcomes


def _languages(config: stt_pb2.RecognitionConfig, info: EngineInfo) -> tuple[str, ...]:
    known = info.facts.language_codes
    tags: list[str] = []
    for index, given in enumerate(config.language_codes):
        field = f"config.language_codes[{index}]"
        tag = checked(field, given)
        if known and best_match(tag, known) is None:
            raise InvalidArgument(field, not_among(tag, known, "the model knows"))
        tags.append(tag)
    return tuple(dict.fromkeys(tags))


def _phrases(config: stt_pb2.RecognitionConfig) -> tuple[Phrase, ...]:
    given = config.biasing.phrases
    check_count("config.biasing.phrases", len(given), MAX_PHRASES, unit="phrases")
    phrases: list[Phrase] = []
    errors: list[InvalidArgument] = []
    for index, phrase in enumerate(given):
        try:
            phrases.append(_phrase(f"config.biasing.phrases[{index}]", phrase))
        except InvalidArgument as error:
            errors.append(error)
    if errors:
        raise InvalidArgument.of_all(errors)
    return tuple(phrases)


def _phrase(field: str, phrase: stt_pb2.Phrase) -> Phrase:
    text = phrase.text.strip()
    check_count(f"{field}.text", len(text), MAX_PHRASE_CHARACTERS, least=1)
    boost = phrase.boost if phrase.HasField("boost") else 1.0
    if not 0 < boost <= MAX_BOOST:
        raise InvalidArgument(f"{field}.boost", f"must be above 0 and at most {MAX_BOOST:g}, not {boost:g}")
    return Phrase(text, boost)


def _context(config: stt_pb2.RecognitionConfig) -> str:
    context = config.biasing.context
    check_count("config.biasing.context", len(context), MAX_CONTEXT_CHARACTERS)
    return context


def _max_latency(config: stt_pb2.RecognitionConfig) -> float | None:
    if not config.HasField("max_latency"):
        return None
    latency_s = seconds_of(config.max_latency)
    if latency_s <= 0:
        raise InvalidArgument("config.max_latency", f"must be above 0 s, not {latency_s:g} s")
    return latency_s
