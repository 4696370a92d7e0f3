"""What a caller may declare about its audio."""

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh_runtime.audio import AudioFormat, Encoding
from voxmesh_runtime.errors import InvalidArgument

pytestmark = pytest.mark.unit

PROTO = common_pb2.AudioFormat


def declared(encoding: int = 1, rate: int = 16000, channels: int = 1) -> common_pb2.AudioFormat:
    return PROTO(
        encoding=PROTO.Encoding.ValueType(encoding),
        sample_rate_hertz=rate,
        channel_count=channels,
    )


@pytest.mark.parametrize(("encoding", "frame"), [(1, 4), (2, 8), (3, 2), (4, 2)])
def test_a_format_survives_the_trip_through_the_contract(encoding: int, frame: int) -> None:
    proto = declared(encoding, 44100, 2)
    audio_format = AudioFormat.from_proto(proto)
    assert audio_format.bytes_per_frame == frame
    assert audio_format.to_proto() == proto


def test_unset_channels_mean_mono() -> None:
    assert AudioFormat.from_proto(declared(channels=0)) == AudioFormat(Encoding.S16LE, 16000, 1)


@pytest.mark.parametrize("rate", [8000, 48000])
def test_the_limits_of_the_rate_are_themselves_accepted(rate: int) -> None:
    assert AudioFormat.from_proto(declared(rate=rate)).sample_rate_hertz == rate


@pytest.mark.parametrize(
    ("proto", "field", "limit"),
    [
        (declared(encoding=0), "config.audio_format.encoding", "must be set; one of PCM_S16LE, PCM_F32LE, MULAW, ALAW"),
        (declared(encoding=77), "config.audio_format.encoding", "is unknown (77)"),
        (declared(rate=0), "config.audio_format.sample_rate_hertz", "from 8000 to 48000, not 0"),
        (declared(rate=7999), "config.audio_format.sample_rate_hertz", "from 8000 to 48000, not 7999"),
        (declared(rate=48001), "config.audio_format.sample_rate_hertz", "from 8000 to 48000, not 48001"),
        (declared(channels=9), "config.audio_format.channel_count", "from 1 to 8"),
        (declared(channels=-1), "config.audio_format.channel_count", "from 1 to 8"),
    ],
)
def test_a_wrong_format_is_refused_by_field_and_limit(proto: common_pb2.AudioFormat, field: str, limit: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        AudioFormat.from_proto(proto)
    assert refused.value.field == field
    assert limit in refused.value.problem


def test_the_field_is_named_as_the_caller_says() -> None:
    with pytest.raises(InvalidArgument, match=r"^output\.format\.encoding: must be set"):
        AudioFormat.from_proto(PROTO(), field="output.format")
