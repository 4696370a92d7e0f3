"""IndicF5 itself: what was said in a recording goes on in the same voice with new words.

The model is given the mel spectrum of a recording, the text of the recording with the new text
behind it, and a total length. In a few passes it turns noise into a spectrum of that length; what
follows the recording is the new speech.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import numpy as np
import torch

from voxmesh_runtime.audio import Samples
from voxmesh_tts_indic_f5.library import convert_char_to_pinyin
from voxmesh_tts_indic_f5.weights import Models

CHOSEN_STEPS = (5, 6, 7, 10, 12, 16)
"""Numbers of steps for which the library has places in time, found by trial (empirically pruned steps, EPSS)."""
_GUIDANCE = 2.0
_SWAY = -1.0
"""Both as published; sway puts more of the steps at the beginning."""


class Interrupted(Exception):
    """Speech was given up between two steps."""


def _never() -> bool:
    return False


class IndicF5:
    """The loaded model; one thread at a time.

    Args:
        models: as they were read.
        device: that torch knows.
        dtype: of the transformer.
        steps: passes of the transformer.
        seed: of the noise.
    """

    def __init__(self, models: Models, device: str, *, dtype: torch.dtype, steps: int, seed: int) -> None:
        self._acoustic = models.acoustic.to(device, dtype)
        # As bfloat16 the places of frames beyond the 256th would be rounded to one another.
        self._acoustic.transformer.rotary_embed.float()
        self._vocoder = models.vocoder.to(device)
        self._vocabulary = models.vocabulary
        self._device = device
        self._steps = steps
        self._seed = seed
        self._is_interrupted = _never
        self._acoustic.transformer.register_forward_pre_hook(self._between_steps)

    def mel(self, samples: Samples) -> torch.Tensor:
        """Log-mel spectrum of a recording at 24 kHz as (1, frames, mels), a frame each 256 samples."""
        with torch.inference_mode():
            return self._acoustic.mel_spec(torch.from_numpy(samples)[None].to(self._device)).transpose(1, 2)

    def speak(
        self, reference: torch.Tensor, text: str, frames: int, is_interrupted: Callable[[], bool] = _never
    ) -> Samples:
        """Speak the end of `text`, whose beginning is said in the reference.

        Args:
            reference: spectrum of the recording, of `mel`.
            text: what is said in the recording, and behind it what is to be said.
            frames: of the new speech.
            is_interrupted: asked before each step.

        Returns:
            `frames` * 256 samples at most, in [-1, 1].

        Raises:
            Interrupted: the caller wants no more of it.
        """
        self._is_interrupted = is_interrupted
        try:
            spectrum = self._spectrum(reference, self._tokens(text), frames)
        finally:
            self._is_interrupted = _never
            # The text stays here, even after an error, and the next call would speak it again.
            self._acoustic.transformer.clear_cache()
        with torch.inference_mode():
            samples: Samples = self._vocoder(spectrum.float().transpose(1, 2))[0].cpu().numpy()
        return samples / np.float32(max(1.0, float(np.abs(samples).max(initial=0.0))))

    def _spectrum(self, reference: torch.Tensor, tokens: list[str], frames: int) -> torch.Tensor:
        spoken = reference.shape[1]
        with torch.inference_mode():
            spectrum, _ = self._acoustic.sample(
                cond=reference,
                text=[tokens],
                duration=spoken + frames,
                steps=self._steps,
                cfg_strength=_GUIDANCE,
                sway_sampling_coef=_SWAY,
                seed=self._seed,
            )
        return spectrum[:, spoken:]

    def _tokens(self, text: str) -> list[str]:
        tokens: list[str] = convert_char_to_pinyin([text])[0]
        # An unknown letter becomes a space; an unknown mark or joiner within a word must not cut it in two.
        return [token for token in tokens if token in self._vocabulary or not _is_mark(token)]

    def _between_steps(self, *_: object) -> None:
        if self._is_interrupted():
            raise Interrupted


def _is_mark(token: str) -> bool:
    return len(token) == 1 and unicodedata.category(token) in {"Mn", "Mc", "Cf"}
