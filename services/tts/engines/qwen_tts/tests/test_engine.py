"""What the engine makes of a caller's options: voices, instructions, descriptions, recordings; and its memory."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import InvalidArgument
from voxmesh_runtime.outcomes import Kind
from voxmesh_tts.engine import Engine, SpokenWord, SynthesisOptions, VoiceReference
from voxmesh_tts_qwen_tts.engine import QwenTtsEngine
from voxmesh_tts_qwen_tts.model import QwenTts
from voxmesh_tts_qwen_tts.testing import SHORT, recording

pytestmark = pytest.mark.engine

TEXT = "No, it is not."
LOW, HIGH = recording(110), recording(440)


def options_of(engine: Engine, **changes: Any) -> SynthesisOptions:
    voice = engine.info.voices[0]
    plain = SynthesisOptions(voice.name, "en")
    return replace(plain, **changes)


def spoken(engine: Engine, text: str = TEXT, **changes: Any) -> Samples:
    """All audio of a clause."""
    pieces = engine.open(options_of(engine, **changes)).synthesize(text)
    return np.concatenate([piece for piece in pieces if not isinstance(piece, SpokenWord)])


def same(one: Samples, other: Samples) -> bool:
    return np.array_equal(one, other)


def test_a_model_with_speakers_lists_them_and_what_it_can_do(engines: dict[str, Engine]) -> None:
    info = engines["custom_voice"].info
    assert [voice.name for voice in info.voices] == ["ryan", "someone", "eric", "vivian"]
    assert info.facts.language_codes == ("zh", "en")
    assert (info.instruction, info.voice_cloning, info.sample_rate_hertz) == (True, False, 24000)


@pytest.mark.parametrize(
    ("kind", "voices", "instruction", "cloning"),
    [
        ("small", ["ryan", "someone", "eric", "vivian"], False, False),
        ("voice_design", ["designed"], True, False),
        ("base", ["recorded"], False, True),
    ],
)
def test_the_other_kinds_tell_where_their_voice_comes_from(
    engines: dict[str, Engine],
    kind: str,
    voices: list[str],
    instruction: bool,  # noqa: FBT001 # a column of the table
    cloning: bool,  # noqa: FBT001 # the same
) -> None:
    info = engines[kind].info
    assert [voice.name for voice in info.voices] == voices
    assert (info.instruction, info.voice_cloning) == (instruction, cloning)


def test_the_same_text_sounds_the_same_and_voice_language_and_instruction_change_it(
    engines: dict[str, Engine],
) -> None:
    engine = engines["custom_voice"]
    plain = spoken(engine)
    assert same(plain, spoken(engine))
    for change in ({"voice": "vivian"}, {"language_code": "zh"}, {"instruction": "whisper"}):
        assert not same(plain, spoken(engine, **change))


def test_a_speaker_of_a_dialect_speaks_it_when_the_language_is_chinese(engines: dict[str, Engine]) -> None:
    engine = engines["custom_voice"]
    speakers = [spoken(engine, voice=name, language_code="zh") for name in ("eric", "vivian")]
    assert not same(*speakers)


def test_a_described_voice_is_the_descriptions_and_else_the_operators(engines: dict[str, Engine]) -> None:
    engine = engines["voice_design"]
    silent_caller = spoken(engine)
    assert same(silent_caller, spoken(engine, instruction=SHORT.design))
    assert not same(silent_caller, spoken(engine, instruction="an old pirate"))


@pytest.mark.parametrize("kind", ["custom_voice", "voice_design"])
def test_marks_of_a_prompt_in_text_and_instruction_change_nothing(engines: dict[str, Engine], kind: str) -> None:
    engine = engines[kind]
    plain = spoken(engine, instruction="an old pirate")
    marked = spoken(
        engine, "<tts_pad>No, it<|im_end|>\n is <tts_text_eod>not. ", instruction=" an old<|im_end|>\n<tts_pad> pirate"
    )
    assert same(plain, marked)


def test_a_clause_of_nothing_but_marks_gives_no_audio(engines: dict[str, Engine]) -> None:
    assert list(engines["custom_voice"].open(options_of(engines["custom_voice"])).synthesize("<tts_pad> ")) == []


@pytest.mark.parametrize(
    ("kind", "changes", "outcomes"),
    [
        ("custom_voice", {"speaking_rate": 1.5}, {"speaking_rate": (Kind.IGNORED, "instruction")}),
        ("small", {"speaking_rate": 1.5}, {"speaking_rate": (Kind.IGNORED, "own pace")}),
        ("custom_voice", {"instruction": "whisper"}, {"instruction": (Kind.APPLIED, "")}),
        ("voice_design", {"instruction": "an old pirate"}, {"instruction": (Kind.APPLIED, "")}),
        ("base", {"voice_reference": VoiceReference(LOW, "Hm.")}, {"voice_reference": (Kind.APPLIED, "")}),
        (
            "base",
            {"voice_reference": VoiceReference(LOW, " ")},
            {"voice_reference": (Kind.APPROXIMATED, "the transcript says")},
        ),
    ],
)
def test_how_options_were_taken_is_told(
    engines: dict[str, Engine], kind: str, changes: dict[str, Any], outcomes: dict[str, tuple[Kind, str]]
) -> None:
    found = engines[kind].open(options_of(engines[kind], **changes)).outcomes
    assert {outcome.field.removeprefix("config."): outcome.kind for outcome in found} == {
        field: kind for field, (kind, _) in outcomes.items()
    }
    assert all(outcomes[outcome.field.removeprefix("config.")][1] in outcome.detail for outcome in found)


def test_a_voice_is_that_of_its_recording_and_of_what_is_said_in_it(engines: dict[str, Engine]) -> None:
    engine = engines["base"]
    asked = [(LOW, "Hm."), (HIGH, "Hm."), (LOW, "Oh."), (LOW, "")]
    voices = [spoken(engine, voice_reference=VoiceReference(*one)) for one in asked]
    again = spoken(engine, voice_reference=VoiceReference(LOW.copy(), "Hm."))
    assert same(voices[0], again)
    assert not any(same(voices[0], other) for other in voices[1:])


def test_a_recording_is_encoded_once(engines: dict[str, Engine], monkeypatch: pytest.MonkeyPatch) -> None:
    engine, encoded = engines["base"], list[int]()
    codec = loaded_model(engine)._package.model.speech_tokenizer
    encode = codec.encode

    def counted(*arguments: Any, **named: Any) -> Any:
        encoded.append(1)
        return encode(*arguments, **named)

    monkeypatch.setattr(codec, "encode", counted)
    sample = recording(330)
    for transcript in ("A.", "A.", " A. ", "B."):
        engine.open(options_of(engine, voice_reference=VoiceReference(sample.copy(), transcript)))
    assert len(encoded) == 2


def loaded_model(engine: Any) -> QwenTts:
    return engine._ready().model


def test_a_model_that_clones_needs_a_recording(engines: dict[str, Engine]) -> None:
    with pytest.raises(InvalidArgument, match=r"config\.voice_reference: must be set.*use a CustomVoice model"):
        engines["base"].open(options_of(engines["base"]))


def test_a_silent_recording_is_refused(engines: dict[str, Engine]) -> None:
    silence = VoiceReference(np.zeros(48000, np.float32), "Hm.")
    with pytest.raises(InvalidArgument, match=r"config\.voice_reference\.audio: is silent"):
        engines["base"].open(options_of(engines["base"], voice_reference=silence))


def test_an_engine_gives_its_model_back_and_loads_it_again(checkpoints: dict[str, Path]) -> None:
    engine = QwenTtsEngine(EngineContext(model=str(checkpoints["base"]), device="cpu"), SHORT)
    sounds: list[Samples] = []
    for _ in range(2):
        engine.load()
        engine.load()
        engine.warm_up()
        session = engine.open(options_of(engine, voice_reference=VoiceReference(LOW, "Hm.")))
        sounds.append(np.concatenate(list(session.synthesize("No."))))
        begun = session.synthesize(TEXT)
        next(begun)
        begun.close()  # pyright: ignore[reportAttributeAccessIssue] # a generator
        model = weakref.ref(engine._ready().model._package.model)
        engine.close()
        gc.collect()
        # The session is still there, and holds nothing of the model's.
        assert model() is None
        with pytest.raises(RuntimeError, match="load"):
            next(session.synthesize(TEXT))
    assert same(*sounds)
