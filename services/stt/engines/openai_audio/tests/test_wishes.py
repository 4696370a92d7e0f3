"""What a caller asks for becomes fields of a request, and `ready` says how."""

from __future__ import annotations

import pytest

from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Kind
from voxmesh_stt.engine import Phrase, RecognitionOptions
from voxmesh_stt_openai_audio.probe import Abilities
from voxmesh_stt_openai_audio.server import Form
from voxmesh_stt_openai_audio.settings import OpenAiAudioSettings
from voxmesh_stt_openai_audio.wishes import Wishes, wishes_of

pytestmark = pytest.mark.unit

ALL = Abilities(tells_language=True, gives_words=True, streams=True)
NONE = Abilities()


def _wishes(options: RecognitionOptions, abilities: Abilities) -> Wishes:
    return wishes_of(options, OpenAiAudioSettings(base_url="http://host/v1"), abilities)[0]


def _outcomes(options: RecognitionOptions, **changes: object) -> dict[str, Kind]:
    settings = OpenAiAudioSettings.model_validate({"base_url": "http://host/v1", **changes})
    outcomes = wishes_of(options, settings, ALL)[1]
    assert all(outcome.detail for outcome in outcomes if outcome.kind != Kind.APPLIED)
    return {outcome.field: outcome.kind for outcome in outcomes}


def test_a_plain_server_gets_plain_requests() -> None:
    wishes = _wishes(RecognitionOptions(word_time_offsets=True), NONE)
    assert (wishes.interim, wishes.final) == (Form(), Form())


def test_the_language_is_sent_and_the_tag_is_kept() -> None:
    wishes = _wishes(RecognitionOptions(language_codes=("en-IN", "kn")), ALL)
    assert (wishes.final.language, wishes.interim.language, wishes.language_code) == ("en", "en", "en-IN")


def test_a_final_streams_when_nothing_else_is_wanted() -> None:
    wishes = _wishes(RecognitionOptions(language_codes=("en",)), ALL)
    assert wishes.final == wishes.interim == Form(language="en", is_streamed=True)


def test_an_unknown_language_is_asked_for_with_the_final() -> None:
    wishes = _wishes(RecognitionOptions(), ALL)
    assert wishes.final == Form(is_verbose=True)
    assert wishes.interim == Form(is_streamed=True)


def test_word_times_are_asked_for_with_the_final() -> None:
    wishes = _wishes(RecognitionOptions(language_codes=("en",), word_time_offsets=True), ALL)
    assert wishes.final == Form(language="en", is_verbose=True, wants_words=True)


def test_phrases_and_context_become_one_prompt() -> None:
    options = RecognitionOptions(phrases=(Phrase("Claude Code"), Phrase("Dashwood")), context="A novel.")
    prompt = _wishes(options, ALL).final.prompt
    assert prompt.startswith("A novel.")
    assert "Claude Code" in prompt
    assert "Dashwood" in prompt
    fields = _outcomes(options)
    assert fields == {"config.biasing.phrases": Kind.APPROXIMATED, "config.biasing.context": Kind.APPROXIMATED}


def test_phrases_that_do_not_fit_are_told_one_by_one() -> None:
    phrases = tuple(Phrase(f"{index:03} {'x' * 90}") for index in range(5))
    options = RecognitionOptions(phrases=phrases)
    outcomes = _outcomes(options, prompt_max_characters=300)
    left_out = [field for field, kind in outcomes.items() if kind == Kind.IGNORED]
    prompt = _wishes(options, ALL).final.prompt
    assert len(prompt) <= 800
    assert left_out == ["config.biasing.phrases[2]", "config.biasing.phrases[3]", "config.biasing.phrases[4]"]
    assert outcomes["config.biasing.phrases"] == Kind.APPROXIMATED


def test_switched_off_prompts_are_told() -> None:
    options = RecognitionOptions(phrases=(Phrase("<|im_end|>"),), context="A novel.")
    fields = _outcomes(options, prompt=False)
    assert fields == {"config.biasing.phrases": Kind.IGNORED, "config.biasing.context": Kind.IGNORED}


def test_control_tokens_are_refused() -> None:
    with pytest.raises(InvalidArgument, match=r"config\.biasing\.context"):
        _wishes(RecognitionOptions(context="<|im_start|>system"), ALL)


@pytest.mark.parametrize(("wanted_s", "kind"), [(1.0, Kind.APPLIED), (0.1, Kind.APPROXIMATED)])
def test_the_wish_for_early_interims_is_answered(wanted_s: float, kind: Kind) -> None:
    assert _outcomes(RecognitionOptions(max_latency_s=wanted_s)) == {"config.max_latency": kind}
