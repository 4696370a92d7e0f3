"""What is loaded is what is in the file, all of it, or it is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.errors import FailedPrecondition
from voxmesh_runtime.models import HubSnapshot, ModelUnavailableError
from voxmesh_tts_indic_f5.checkpoint import PUBLISHED, VOCABULARY, WEIGHTS
from voxmesh_tts_indic_f5.engine import IndicF5Engine
from voxmesh_tts_indic_f5.library import CFM, ISTFTHead, VocosBackbone
from voxmesh_tts_indic_f5.settings import IndicF5Settings
from voxmesh_tts_indic_f5.testing import write_random_checkpoint
from voxmesh_tts_indic_f5.weights import Models, old_transformer, read_models

pytestmark = pytest.mark.engine

MODEL = PUBLISHED.names[0]

Tensors = dict[str, torch.Tensor]
PREFIX = "ema_model._orig_mod.transformer."


def test_every_tensor_of_the_file_is_in_the_models(checkpoint: Path, models: Models) -> None:
    tensors = load_file(checkpoint / WEIGHTS)
    loaded = {f"ema_model._orig_mod.{name}": tensor for name, tensor in models.acoustic.state_dict().items()}
    loaded |= {f"vocoder._orig_mod.{name}": tensor for name, tensor in models.vocoder.state_dict().items()}
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items())


def test_the_architecture_is_the_old_one(models: Models) -> None:
    transformer = models.acoustic.transformer
    assert transformer.text_embed.mask_padding is False
    assert transformer.transformer_blocks[0].attn.processor.pe_attn_head == 1


def test_the_published_widths_give_the_published_number_of_tensors() -> None:
    with torch.device("meta"):
        acoustic = CFM(old_transformer(dim=1024, depth=22, heads=16, ff_mult=2, text_dim=512, conv_layers=4))
        vocoder = [VocosBackbone(100, 512, 1536, 8), ISTFTHead(512, 1024, 256, "center")]
    names = [len(part.state_dict()) for part in (acoustic, *vocoder)]
    # The published file has 447: two more are of the vocoder's mel spectrum, which is not loaded.
    assert (names[0], sum(names[1:]), sum(names) + 2) == (364, 81, 447)


def test_tensors_are_found_without_the_compiled_modules_prefix_and_extras_of_training_left_out(tmp_path: Path) -> None:
    folder = write_random_checkpoint(tmp_path, prefix="")
    tensors = load_file(folder / WEIGHTS)
    extras = {
        "ema_model.initted": torch.tensor(1),
        "ema_model.step": torch.tensor(7),
        "ema_model.mel_spec.mel_stft.mel_scale.fb": torch.zeros(2),
        "vocoder.feature_extractor.mel_spec.spectrogram.window": torch.zeros(2),
    }
    del tensors["ema_model.transformer.rotary_embed.inv_freq"]
    with pytest.raises(FailedPrecondition, match=r"lacks|shape"):
        # The heads' width is 64 then, and these are 32 wide.
        read_models(_changed(folder, lambda _: {**tensors, "ema_model.transformer.proj_out.weight": torch.zeros(1)}))
    read_models(_changed(write_random_checkpoint(tmp_path, prefix=""), lambda whole: whole | extras))


def _without(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if name not in key}


def _with(name: str, tensor: torch.Tensor) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: tensor}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_without("proj_out.bias"), r"lacks tensors of IndicF5: ema_model\.transformer\.proj_out\.bias"),
        (_without("proj_out.weight"), r"lacks tensors .*proj_out\.weight"),
        (_without("transformer_blocks.0.attn"), r"lacks tensors .*attn\.to_q\.weight"),
        (_without("head.out.weight"), r"lacks tensors of IndicF5: vocoder\.head\.out\.weight"),
        (_without("ema_model"), r"has no tensor named ema_model"),
        (_without("vocoder"), r"has no tensor named vocoder"),
        (_with(f"{PREFIX}long_skip_connection.weight", torch.zeros(2)), r"does not have: .*long_skip_connection"),
        (_with(f"{PREFIX}norm_out.linear.weight", torch.zeros(3, 4)), r"norm_out\.linear\.weight .*128x64, not 3x4"),
        (_with(f"{PREFIX}text_embed.text_embed.weight", torch.zeros(8, 32)), r"vocab\.txt .* 351 .* are of 7"),
    ],
)
def test_a_file_of_another_model_is_refused(tmp_path: Path, change: Callable[[Tensors], Tensors], problem: str) -> None:
    folder = _changed(write_random_checkpoint(tmp_path), change)
    with pytest.raises(FailedPrecondition, match=problem):
        read_models(folder)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        (WEIGHTS, b"no weights", "cannot be read as safetensors"),
        (VOCABULARY, b"a\n \n", "must begin with a line that is one space"),
        (VOCABULARY, b"", "must begin with a line that is one space"),
        (VOCABULARY, b" \n\xff\n", "cannot be read"),
        (VOCABULARY, b" \na\n", "is of another model: it has 2 characters"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    folder = write_random_checkpoint(tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(FailedPrecondition, match=problem):
        read_models(folder)


def _changed(folder: Path, change: Callable[[Tensors], Tensors]) -> Path:
    save_file(change(load_file(folder / WEIGHTS)), folder / WEIGHTS)
    return folder


def test_a_folder_without_the_files_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"holds no model\.safetensors"):
        IndicF5Engine(EngineContext(model=str(tmp_path)), IndicF5Settings()).load()
    with pytest.raises(ModelUnavailableError):
        IndicF5Engine(EngineContext(model=str(tmp_path / "none")), IndicF5Settings()).load()


@pytest.mark.parametrize(
    ("wanted", "name", "license_"),
    [
        (None, MODEL, "MIT"),
        (MODEL, MODEL, "MIT"),
        (f"hub:{MODEL}@abc123", MODEL, "MIT"),
        ("hub:someone/tuned", "someone/tuned", "unknown"),
        ("/models/indic", "indic", "unknown"),
    ],
)
def test_a_model_is_named_as_it_is_served(wanted: str | None, name: str, license_: str) -> None:
    found = PUBLISHED.find(wanted)
    assert (found.name, found.license) == (name, license_)


def test_no_code_of_the_repository_is_fetched() -> None:
    source = PUBLISHED.find(None).source
    assert isinstance(source, HubSnapshot)
    assert source.allow_patterns == (WEIGHTS, VOCABULARY, "voices/*")
    assert not source.allow_code


@pytest.mark.parametrize("wanted", ["", "ftp:x", f"wheel:a==1/b#sha256={'0' * 64}"])
def test_what_is_no_source_of_such_a_model_is_refused(wanted: str) -> None:
    with pytest.raises(FailedPrecondition):
        PUBLISHED.find(wanted)
