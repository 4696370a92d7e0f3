"""Make tests/data/canary_random.nemo: a model in the shape of Canary, of 2 languages, with random weights.

python services/stt/engines/nemotron/bench/make_canary.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from nemo.collections.asr.models import EncDecMultiTaskModel
from nemo.collections.common.tokenizers.canary_tokenizer import CanaryTokenizer
from omegaconf import OmegaConf

OUT = Path(__file__).parent.parent / "tests" / "data" / "canary_random.nemo"
LANGUAGES = ("en", "de")
PROMPTS = [
    "pnc",
    "nopnc",
    "transcribe",
    "translate",
    "itn",
    "noitn",
    "timestamp",
    "notimestamp",
    "diarize",
    "nodiarize",
]
WIDTH = 32


def main() -> None:
    """Build and save."""
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        _tokenizers(Path(folder))
        model: Any = EncDecMultiTaskModel(cfg=_configuration(Path(folder)))
        # NeMo rounds the vocabulary up; a trained model never gives the tokens that do not exist.
        model.log_softmax.mlp.last_linear_layer.bias.data[model.tokenizer.vocab_size :] = -1e4
        model.save_to(str(OUT))
    print(f"{OUT.name}  {sum(weights.numel() for weights in model.parameters())} parameters")


def _tokenizers(folder: Path) -> None:
    special = folder / "special"
    special.mkdir()
    CanaryTokenizer.build_special_tokenizer([*LANGUAGES, *PROMPTS], str(special))
    for language in LANGUAGES:
        own = folder / language
        own.mkdir()
        corpus = own / "corpus.txt"
        corpus.write_text("zero one two three four five hello cloud weather code\n" * 50)
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus), model_prefix=str(own / "tokenizer"), vocab_size=60, model_type="bpe",
            bos_id=-1, eos_id=-1, pad_id=-1, unk_id=0, hard_vocab_limit=False,
        )  # fmt: skip
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(own / "tokenizer.model"))
        names = [pieces.id_to_piece(index) for index in range(1, pieces.vocab_size())]
        (own / "vocab.txt").write_text("\n".join(n[1:] if n.startswith("\u2581") else f"##{n}" for n in names))


def _configuration(folder: Path) -> Any:
    modules = "nemo.collections.asr.modules"
    canary = "nemo.collections.common.tokenizers.canary_tokenizer.CanaryTokenizer"
    parts = {"spl_tokens": "special", **{language: language for language in LANGUAGES}}
    return OmegaConf.create(
        {
            "sample_rate": 16000, "label_smoothing": 0.0, "log_prediction": False, "prompt_format": "canary",
            "use_loss_mask_for_prompt": False, "train_ds": None, "validation_ds": None, "test_ds": None,
            "model_defaults": {"asr_enc_hidden": WIDTH, "lm_enc_hidden": WIDTH, "lm_dec_hidden": WIDTH},
            "tokenizer": {
                "dir": None, "type": "agg", "custom_tokenizer": {"_target_": canary, "tokenizers": None},
                "langs": {name: {"dir": str(folder / part), "type": "bpe"} for name, part in parts.items()},
            },
            "preprocessor": {
                "_target_": f"{modules}.AudioToMelSpectrogramPreprocessor", "sample_rate": 16000,
                "normalize": "per_feature", "window_size": 0.025, "window_stride": 0.01, "window": "hann",
                "features": WIDTH, "n_fft": 512, "log": True, "frame_splicing": 1, "dither": 1e-5, "pad_to": 0,
            },
            "spec_augment": {
                "_target_": f"{modules}.SpectrogramAugmentation", "freq_masks": 0, "time_masks": 0,
                "freq_width": 1, "time_width": 1,
            },
            "encoder": {
                "_target_": f"{modules}.ConformerEncoder", "feat_in": WIDTH, "feat_out": -1, "n_layers": 1,
                "d_model": WIDTH, "subsampling": "dw_striding", "subsampling_factor": 8,
                "subsampling_conv_channels": 16, "causal_downsampling": False, "ff_expansion_factor": 2,
                "self_attention_model": "rel_pos", "n_heads": 2, "att_context_size": [-1, -1],
                "conv_kernel_size": 9, "dropout": 0.0, "dropout_emb": 0.0, "dropout_att": 0.0,
                "dropout_pre_encoder": 0.0,
            },
            "transf_encoder": {
                "_target_": f"{modules}.transformer.transformer_encoders.TransformerEncoder", "num_layers": 0,
                "hidden_size": WIDTH, "inner_size": 64, "num_attention_heads": 2, "ffn_dropout": 0.0,
                "attn_score_dropout": 0.0, "attn_layer_dropout": 0.0, "mask_future": False, "pre_ln": True,
                "pre_ln_final_layer_norm": True,
            },
            "transf_decoder": {
                "_target_": f"{modules}.transformer.get_nemo_transformer", "model_name": None, "pretrained": False,
                "encoder": None, "pre_ln_final_layer_norm": True,
                "config_dict": {
                    "max_sequence_length": 128, "num_token_types": 0, "embedding_dropout": 0.0,
                    "learn_positional_encodings": False, "hidden_size": WIDTH, "inner_size": 64, "num_layers": 1,
                    "num_attention_heads": 2, "ffn_dropout": 0.0, "attn_score_dropout": 0.0,
                    "attn_layer_dropout": 0.0, "hidden_act": "relu", "pre_ln": True, "vocab_size": None,
                },
            },
            "head": {
                "_target_": "nemo.collections.asr.parts.submodules.token_classifier.TokenClassifier",
                "num_layers": 1, "activation": "relu", "log_softmax": True, "hidden_size": WIDTH,
                "num_classes": None, "dropout": 0.0, "use_transformer_init": True,
            },
            "decoding": {
                "strategy": "beam", "return_best_hypothesis": True,
                "beam": {"beam_size": 1, "len_pen": 0.0, "max_generation_delta": 10},
            },
            "loss": {
                "_target_": "nemo.collections.common.losses.smoothed_cross_entropy.SmoothedCrossEntropyLoss",
                "label_smoothing": 0.0, "pad_id": None,
            },
            "optim": {"name": "adamw", "lr": 1e-3},
        }
    )  # fmt: skip


if __name__ == "__main__":
    main()
