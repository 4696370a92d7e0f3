"""What stands between a stream's audio messages and a model: decode and resample in one object."""

from voxmesh_runtime.audio.decode import MAX_CHUNK_BYTES, Decoder
from voxmesh_runtime.audio.format import AudioFormat, Samples
from voxmesh_runtime.audio.resample import Resampler


class ModelInput:
    """Gives a model float32 mono samples at its own rate; one object a stream.

    Output may lag input by the resampler's look-ahead (see `voxmesh_runtime.audio.resample`).
    """

    def __init__(
        self,
        audio_format: AudioFormat,
        model_hertz: int,
        field: str = "audio",
        *,
        max_chunk_bytes: int = MAX_CHUNK_BYTES,
    ) -> None:
        self._decoder = Decoder(audio_format, field, max_chunk_bytes=max_chunk_bytes)
        self._resampler = Resampler(audio_format.sample_rate_hertz, model_hertz)
        self._rate_hertz = audio_format.sample_rate_hertz
        self._frames = 0

    @property
    def received_s(self) -> float:
        """Audio received since the stream began, in seconds; the stream's own clock."""
        return self._frames / self._rate_hertz

    def feed(self, data: bytes) -> Samples:
        """Samples at the model's rate that are ready after one audio message; may be empty.

        Raises:
            InvalidArgument: the message is no audio of the format; nothing of it is taken.
        """
        samples = self._decoder.decode(data)
        self._frames += len(samples)
        return self._resampler.process(samples)

    def flush(self) -> Samples:
        """The samples still held back, at the end of an utterance; audio may go on after it."""
        return self._resampler.flush()
