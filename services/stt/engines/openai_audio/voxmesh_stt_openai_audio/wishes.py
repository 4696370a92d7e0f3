"""What a stream's options become in requests, and what `ready` says of it."""

from __future__ import annotations

from dataclasses import dataclass

from voxmesh_runtime.outcomes import Outcome, approximated, ignored
from voxmesh_stt.biasing import CONTEXT, PHRASES, phrase_field, refuse_marks, rich_context
from voxmesh_stt.engine import RecognitionOptions
from voxmesh_stt.utterances import latency_outcome
from voxmesh_stt_openai_audio.languages import code_of
from voxmesh_stt_openai_audio.probe import Abilities
from voxmesh_stt_openai_audio.server import Form
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings


@dataclass(frozen=True, slots=True)
class Wishes:
    """The requests of one stream."""

    interim: Form
    final: Form
    language_code: str = ""
    """BCP-47 tag that the caller gave; empty when the server detects."""


def wishes_of(
    options: RecognitionOptions, settings: OpenAiAudioSettings, abilities: Abilities
) -> tuple[Wishes, list[Outcome]]:
    """The requests of a stream, and the outcomes of its options.

    Raises:
        InvalidArgument: a phrase or the context holds a control token.
    """
    prompt, outcomes = _prompt(options, settings)
    if options.max_latency_s is not None:
        outcomes.append(latency_outcome(options.max_latency_s, settings))
    tag = options.language_codes[0] if options.language_codes else ""
    language = code_of(tag)
    wants_words = options.word_time_offsets and abilities.gives_words
    is_verbose = wants_words or (not language and abilities.tells_language)
    # Servers stream plain text alone.
    final = Form(language, prompt, is_verbose, wants_words, is_streamed=abilities.streams and not is_verbose)
    interim = Form(language, prompt, is_streamed=abilities.streams)
    return Wishes(interim, final, tag), outcomes


def _prompt(options: RecognitionOptions, settings: OpenAiAudioSettings) -> tuple[str, list[Outcome]]:
    if not settings.prompt:
        why = "the operator has switched prompts off"
        asked = ((PHRASES, options.phrases), (CONTEXT, options.context))
        return "", [ignored(field, why) for field, value in asked if value]
    refuse_marks(options)
    limit = settings.prompt_max_characters
    prompt, left_out = rich_context(options, max_characters=limit)
    outcomes: list[Outcome] = []
    if options.phrases and len(left_out) < len(options.phrases):
        outcomes.append(approximated(PHRASES, "named in the prompt; how much it weighs is up to the server's model"))
    why = f"does not fit in the {limit} characters of the prompt"
    outcomes += [ignored(phrase_field(index), why) for index in left_out]
    if options.context:
        part = f"its first {limit} characters are" if len(options.context.strip()) > limit else "it is"
        outcomes.append(approximated(CONTEXT, f"{part} sent as the prompt; the server's model may heed it or not"))
    return prompt, outcomes
