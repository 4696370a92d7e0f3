"""The published code on a checkpoint of its architecture: steps, numbers, cancelling, and nothing left behind."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from voxmesh_tts_indic_f5.library import convert_char_to_pinyin
from voxmesh_tts_indic_f5.model import CHOSEN_STEPS, IndicF5, Interrupted
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.testing import TRANSCRIPTS, babble
from voxmesh_tts_indic_f5.weights import Models

pytestmark = pytest.mark.engine

REFERENCE = babble(1.0)
SAID = f"{TRANSCRIPTS['kn']} "
CHOSEN = {
    5: [0, 2, 4, 8, 16, 32],
    6: [0, 2, 4, 6, 8, 16, 32],
    7: [0, 2, 4, 6, 8, 16, 24, 32],
    10: [0, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32],
    12: [0, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32],
    16: [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32],
}
"""Places of the steps, in 32nds of the way from noise to speech, as published."""


def times_of(models: Models, steps: int) -> list[float]:
    """At which times the transformer is asked, one for each step."""
    model, times = IndicF5(models, "cpu", dtype=torch.float32, steps=steps, seed=0), list[float]()

    def note(_: object, __: object, named: dict[str, Any]) -> None:
        times.append(float(named["time"]))

    models.acoustic.transformer.register_forward_pre_hook(note, with_kwargs=True)
    model.speak(model.mel(REFERENCE), f"{SAID}ಇಲ್ಲ.", 20)
    return times


@pytest.mark.parametrize("steps", [*CHOSEN, 4, 8])
def test_steps_are_where_they_were_chosen_to_be_and_else_evenly_spaced(models: Models, steps: int) -> None:
    places = np.array(CHOSEN[steps]) / 32 if steps in CHOSEN else np.linspace(0, 1, steps + 1)
    # Swayed: more of them at the beginning. The last place is the speech, where nothing is asked.
    swayed = places - (np.cos(np.pi / 2 * places) - 1 + places)
    assert times_of(models, steps) == pytest.approx(swayed[:-1], abs=1e-6)


def test_the_numbers_of_steps_that_are_told_to_operators_are_those_with_chosen_places() -> None:
    assert tuple(CHOSEN) == CHOSEN_STEPS
    assert IndicF5Settings().steps in CHOSEN_STEPS


@pytest.mark.parametrize("dtype", ["float16", "fp16", "half"])
def test_float16_is_refused_with_the_reason(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXMESH_INDIC_F5_DTYPE", dtype)
    with pytest.raises(ValidationError, match=r"noise.*bfloat16"):
        IndicF5Settings()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_vocoder_has_float32_whatever_the_transformer_has(models: Models, dtype: torch.dtype) -> None:
    model = IndicF5(models, "cpu", dtype=dtype, steps=5, seed=0)
    assert {weight.dtype for weight in models.vocoder.parameters()} == {torch.float32}
    assert {weight.dtype for weight in models.acoustic.parameters()} == {dtype}
    samples = model.speak(model.mel(REFERENCE), f"{SAID}ಇಲ್ಲ.", 60)
    assert (samples.dtype, bool(np.isfinite(samples).all())) == (np.float32, True)


def test_places_of_frames_are_exact_in_bfloat16(models: Models) -> None:
    IndicF5(models, "cpu", dtype=torch.bfloat16, steps=5, seed=0)
    angles = models.acoustic.transformer.rotary_embed.forward_from_seq_len(2000)[0][0, :, 0]
    assert angles.tolist() == list(range(2000))


def test_the_same_text_sounds_the_same_and_text_voice_and_seed_change_it(models: Models) -> None:
    model = IndicF5(models, "cpu", dtype=torch.float32, steps=5, seed=0)
    reference = model.mel(REFERENCE)
    first = model.speak(reference, f"{SAID}ಬೆಂಗಳೂರು", 60)
    assert np.array_equal(first, model.speak(reference, f"{SAID}ಬೆಂಗಳೂರು", 60))
    assert len(first) == 59 * 256
    assert not np.array_equal(first, model.speak(reference, f"{SAID}ಮೈಸೂರು", 60))
    assert not np.array_equal(first, model.speak(model.mel(babble(1.0, pitch_hertz=300)), f"{SAID}ಬೆಂಗಳೂರು", 60))
    other = IndicF5(models, "cpu", dtype=torch.float32, steps=5, seed=1)
    assert not np.array_equal(first, other.speak(reference, f"{SAID}ಬೆಂಗಳೂರು", 60))


def test_speech_is_what_the_librarys_own_inference_makes_of_the_sound_itself(models: Models) -> None:
    model = IndicF5(models, "cpu", dtype=torch.float32, steps=7, seed=3)
    ours = model.speak(model.mel(REFERENCE), f"{SAID}ಬೆಂಗಳೂರು", 60)
    frames = len(REFERENCE) // 256 + 1
    with torch.inference_mode():
        spectrum, _ = models.acoustic.sample(
            cond=torch.from_numpy(REFERENCE)[None],
            text=convert_char_to_pinyin([f"{SAID}ಬೆಂಗಳೂರು"]),
            duration=frames + 60,
            steps=7,
            cfg_strength=2.0,
            sway_sampling_coef=-1.0,
            seed=3,
        )
        theirs = models.vocoder.head(models.vocoder.backbone(spectrum[:, frames:].transpose(1, 2)))[0].numpy()
    assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("after", range(7))
def test_an_interrupt_takes_effect_at_the_next_step_and_leaves_no_text_behind(models: Models, after: int) -> None:
    model = IndicF5(models, "cpu", dtype=torch.float32, steps=7, seed=0)
    reference, asked, steps = model.mel(REFERENCE), list[int](), list[int]()

    def note(*_: object) -> None:
        steps.append(1)

    models.acoustic.transformer.register_forward_hook(note)
    expected = model.speak(reference, f"{SAID}ಇಲ್ಲ.", 30)
    steps.clear()

    def is_interrupted() -> bool:
        asked.append(1)
        return len(asked) > after

    with pytest.raises(Interrupted):
        model.speak(reference, f"{SAID}ಬೆಂಗಳೂರು ಕರ್ನಾಟಕದ ರಾಜಧಾನಿ.", 90, is_interrupted)
    assert len(steps) == after
    assert models.acoustic.transformer.text_cond is None
    assert models.acoustic.transformer.text_uncond is None
    assert np.array_equal(model.speak(reference, f"{SAID}ಇಲ್ಲ.", 30), expected)


def test_an_error_within_a_step_leaves_no_text_behind_either(models: Models) -> None:
    model = IndicF5(models, "cpu", dtype=torch.float32, steps=7, seed=0)
    reference = model.mel(REFERENCE)
    expected = model.speak(reference, f"{SAID}ಇಲ್ಲ.", 30)

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    hook = models.acoustic.transformer.proj_out.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        model.speak(reference, f"{SAID}ಬೆಂಗಳೂರು", 60)
    hook.remove()
    assert np.array_equal(model.speak(reference, f"{SAID}ಇಲ್ಲ.", 30), expected)


def test_an_unknown_mark_within_a_word_does_not_cut_it_in_two(model: IndicF5) -> None:
    assert model._tokens("ಕ\u200cಷ") == ["ಕ", "ಷ"]
    assert model._tokens("ಕ₹ಷ") == ["ಕ", "₹", "ಷ"]


def test_speech_is_never_louder_than_samples_can_be(models: Models) -> None:
    models.vocoder.head.out.bias.data += 6.0
    model = IndicF5(models, "cpu", dtype=torch.float32, steps=5, seed=0)
    assert np.abs(model.speak(model.mel(REFERENCE), f"{SAID}ಇಲ್ಲ.", 30)).max() == pytest.approx(1.0)


def test_nothing_that_only_training_needs_is_imported_and_no_stand_in_is_left_behind() -> None:
    unwanted = ("torchaudio", "librosa", "wandb", "datasets", "encodec", "ema_pytorch", "accelerate", "gradio")
    assert not [name for name in sys.modules if name.partition(".")[0] in unwanted]
    assert not {"f5_tts.model", "vocos"} & sys.modules.keys()
