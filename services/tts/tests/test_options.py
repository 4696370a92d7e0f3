"""Voice and language of a config: found as they are written, or refused shortly and by name."""

from __future__ import annotations

import pytest

from voxmesh.tts.v1 import tts_pb2
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.errors import InvalidArgument, NotFound
from voxmesh_runtime.outcomes import Kind
from voxmesh_tts.engine import EngineInfo, Voice
from voxmesh_tts.options import common_outcomes, synthesis_options

pytestmark = pytest.mark.unit

VOICES = (Voice("anna", ("en-US",)), Voice("ravi", ("en-IN", "hi-IN")), Voice("nora", ("nb-NO", "he")))
INFO = EngineInfo(ModelFacts("tone", "Apache-2.0"), sample_rate_hertz=16000, voices=VOICES)


@pytest.mark.parametrize(
    ("voice", "written", "spoken_by", "spoken", "kind"),
    [
        ("", "", "anna", "en-US", None),
        ("ravi", "", "ravi", "en-IN", None),
        ("", "en", "anna", "en-US", Kind.APPLIED),
        ("", "en_US", "anna", "en-US", Kind.APPLIED),
        ("", "en_IN.UTF-8", "ravi", "en-IN", Kind.APPLIED),
        ("", "en-GB", "anna", "en-US", Kind.APPROXIMATED),
        ("ravi", "hin", "ravi", "hi-IN", Kind.APPLIED),
        ("", "no", "nora", "nb-NO", Kind.APPLIED),
        ("", "iw", "nora", "he", Kind.APPLIED),
    ],
    ids=lambda value: f"C16-{value}",
)
def test_a_language_is_spoken_by_the_voice_that_is_nearest(
    voice: str, written: str, spoken_by: str, spoken: str, kind: Kind | None
) -> None:
    config = tts_pb2.SynthesisConfig(voice=voice, language_code=written)
    options = synthesis_options(config, INFO)
    assert (options.voice, options.language_code) == (spoken_by, spoken)
    outcomes = {outcome.field: outcome.kind for outcome in common_outcomes(config, options, INFO)}
    assert outcomes.get("config.language_code") == kind


@pytest.mark.parametrize(
    ("voice", "written", "problem"),
    [
        ("", "tlh", "'tlh' is not supported; the model speaks en-US, en-IN, hi-IN, nb-NO, he"),
        ("anna", "hi", "'hi' is not supported; voice anna speaks en-US"),
        ("", "hindi", "'hindi' is no language tag; write one of BCP-47"),
    ],
    ids=["C16-tlh", "C16-hi", "C16-hindi"],
)
def test_a_language_that_no_voice_speaks_is_refused(voice: str, written: str, problem: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        synthesis_options(tts_pb2.SynthesisConfig(voice=voice, language_code=written), INFO)
    assert refused.value.field == "config.language_code"
    assert problem in refused.value.problem


def test_c9_an_unknown_voice_is_quoted_in_part_with_those_that_are_here() -> None:
    with pytest.raises(NotFound) as refused:
        synthesis_options(tts_pb2.SynthesisConfig(voice="ಕ" * 8000), INFO)
    assert refused.value.message.endswith("…' (8000 characters) is not here; voices: anna, ravi, nora")
    assert len(refused.value.message) < 200
    (packed,) = refused.value.to_proto().details
    assert packed.TypeName() == "google.rpc.ResourceInfo"
