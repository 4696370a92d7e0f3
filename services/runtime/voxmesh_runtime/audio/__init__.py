"""Audio between callers and models: bytes in a declared format <-> float32 mono samples in [-1, 1]."""

from voxmesh_runtime.audio.decode import MAX_CHUNK_BYTES, Decoder, Encoder
from voxmesh_runtime.audio.format import MAX_RATE_HERTZ, MIN_RATE_HERTZ, AudioFormat, Encoding, Samples
from voxmesh_runtime.audio.model_input import ModelInput
from voxmesh_runtime.audio.resample import Resampler
from voxmesh_runtime.audio.wav import AudioFile, AudioFileError, read_audio_file, wav_bytes, write_wav

__all__ = [
    "MAX_CHUNK_BYTES",
    "MAX_RATE_HERTZ",
    "MIN_RATE_HERTZ",
    "AudioFile",
    "AudioFileError",
    "AudioFormat",
    "Decoder",
    "Encoder",
    "Encoding",
    "ModelInput",
    "Resampler",
    "Samples",
    "read_audio_file",
    "wav_bytes",
    "write_wav",
]
