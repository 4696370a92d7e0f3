"""The package's model behind what the engine asks of it: take a voice, speak a text; needs the libraries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.devices import CPU
from voxmesh_tts_qwen_tts.codec import ChunkDecoder, chunk_sizes
from voxmesh_tts_qwen_tts.library import Qwen3TTSModel, VoiceClonePromptItem, quiet
from voxmesh_tts_qwen_tts.recordings import RecordedVoices
from voxmesh_tts_qwen_tts.settings import QwenTtsSettings
from voxmesh_tts_qwen_tts.talker import Prompt, frames, prompt_of
from voxmesh_tts_qwen_tts.text import marks_of, most_frames, unmarked
from voxmesh_tts_qwen_tts.trimming import NOTHING
from voxmesh_tts_qwen_tts.voices import Kind, languages_by_tag


@dataclass(frozen=True, slots=True, eq=False)
class Manner:
    """How a text is spoken."""

    speaker: str
    """Of a `PRESET` model."""
    language: str
    """As the model calls it."""
    instruction: str = ""
    recording: VoiceClonePromptItem | None = None
    """Of a `CLONE` model."""


class QwenTts:
    """Speaks texts, each as an iterator; several may take turns.

    Args:
        folder: of a checkpoint.
        device: that torch knows.
        settings: how long it may speak, and how many recorded voices it keeps.
    """

    def __init__(self, folder: Path, device: str, settings: QwenTtsSettings) -> None:
        with quiet():
            package: Any = Qwen3TTSModel.from_pretrained(
                str(folder), device_map=device, dtype=dtype_of(device), local_files_only=True
            )
        model = package.model.eval()
        self._package = package
        self.talker: Any = model.talker
        self.codec: Any = model.speech_tokenizer.model.eval()
        self._settings = settings
        self._marks = marks_of(package.processor.tokenizer.get_added_vocab())
        self.kind = Kind(model.tts_model_type)
        self.size: str = model.tts_model_size
        self.hertz: int = self.codec.get_output_sample_rate()
        self.speakers = tuple(model.get_supported_speakers())
        self.languages = languages_by_tag(model.get_supported_languages())
        self.recorded = RecordedVoices(self._voice_of, settings.max_recordings)

    def unmarked(self, text: str) -> str:
        """A caller's text as the model may read it; see `text.unmarked`."""
        return unmarked(text, self._marks)

    def speak(self, text: str, manner: Manner) -> Iterator[Samples]:
        """The audio of an unmarked text; one item a frame, most of them empty."""
        tokens = len(self._package.processor.tokenizer(text)["input_ids"])
        recording = manner.recording
        decoder = ChunkDecoder(self.codec, None if recording is None else recording.ref_code)
        sizes, waiting = chunk_sizes(), list[torch.Tensor]()
        size = next(sizes)
        most = most_frames(tokens, self._settings)
        for frame in frames(self.talker, self.prompt(text, manner), most, self._settings.seed):
            waiting.append(frame)
            if len(waiting) < size:
                yield NOTHING
            else:
                yield decoder.decode(waiting)
                waiting, size = [], next(sizes)
        if waiting:
            yield decoder.decode(waiting)

    @torch.inference_mode()
    def prompt(self, text: str, manner: Manner) -> Prompt:
        """What the talker reads of an unmarked text."""
        return prompt_of(self.talker, lambda: self._generate(text, manner))

    def _generate(self, text: str, manner: Manner) -> None:
        match self.kind:
            case Kind.PRESET:
                self._package.generate_custom_voice(
                    text, speaker=manner.speaker, language=manner.language, instruct=manner.instruction
                )
            case Kind.DESIGN:
                self._package.generate_voice_design(text, instruct=manner.instruction, language=manner.language)
            case Kind.CLONE:
                self._package.generate_voice_clone(
                    text, language=manner.language, voice_clone_prompt=[manner.recording]
                )

    def _voice_of(self, samples: Samples, transcript: str) -> VoiceClonePromptItem:
        """How the recording sounds, and with a transcript also what is said, which the speech goes on from."""
        (voice,) = self._package.create_voice_clone_prompt(
            (samples, self.hertz), ref_text=transcript, x_vector_only_mode=not transcript
        )
        return voice


def dtype_of(device: str) -> torch.dtype:
    """Half the memory where it is no slower."""
    return torch.float32 if device == CPU else torch.bfloat16
