"""A small hybrid CTC and RNNT network with the parts of IndicConformer; its encoder is NeMo's."""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# torch, NeMo and sentencepiece are not in the engine's environment.

from __future__ import annotations

import torch
from nemo.collections.asr.modules import ConformerEncoder
from torch import nn

MELS, WIDTH, LAYERS = 80, 80, 3
PREDICTED, JOINT, LSTM_LAYERS = 64, 64, 2
TOKENS = 256
"""Tokens of each language; the blank comes after them."""

LANGUAGES = ("hi", "kn")


class Network(nn.Module):
    """Encoder, CTC head and prediction network for all languages; a last layer of the joint for each."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = ConformerEncoder(
            feat_in=MELS,
            n_layers=LAYERS,
            d_model=WIDTH,
            subsampling="dw_striding",
            subsampling_factor=8,
            subsampling_conv_channels=32,
            n_heads=4,
            conv_kernel_size=9,
            xscaling=False,
            pos_emb_max_len=400,
            dropout=0.05,
            dropout_pre_encoder=0.05,
            dropout_att=0.05,
            use_pytorch_sdpa=False,
        )
        self.ctc = nn.Linear(WIDTH, len(LANGUAGES) * TOKENS + 1)
        self.embedding = nn.Embedding(TOKENS + 1, PREDICTED, padding_idx=TOKENS)
        self.prediction = nn.LSTM(PREDICTED, PREDICTED, LSTM_LAYERS, batch_first=True)
        self.joint_enc = nn.Linear(WIDTH, JOINT)
        self.joint_pred = nn.Linear(PREDICTED, JOINT)
        self.joint_post = nn.ModuleDict({language: nn.Linear(JOINT, TOKENS + 1) for language in LANGUAGES})

    def encoded(self, mel: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[batch, mels, frames] -> [batch, steps, width] and the steps of each."""
        outputs, steps = self.encoder(audio_signal=mel, length=lengths)
        return outputs.transpose(1, 2), steps

    def ctc_scores(self, encoded: torch.Tensor, language: str) -> torch.Tensor:
        """Log-probabilities of one language's tokens and the blank."""
        begin = LANGUAGES.index(language) * TOKENS
        scores = self.ctc(encoded)
        return torch.cat([scores[..., begin : begin + TOKENS], scores[..., -1:]], -1).log_softmax(-1)

    def rnnt_scores(self, encoded: torch.Tensor, tokens: torch.Tensor, language: str) -> torch.Tensor:
        """[batch, steps, tokens + 1, 257], before the softmax; the blank starts each sequence."""
        started = nn.functional.pad(tokens, (1, 0), value=TOKENS)
        predicted, _ = self.prediction(self.embedding(started))
        joint = self.joint_enc(encoded)[:, :, None] + self.joint_pred(predicted)[:, None]
        return self.joint_post[language](torch.relu(joint))
