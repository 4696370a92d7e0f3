"""A config becomes options only when every field of it is within the contract's limits."""

from __future__ import annotations

import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2

from voxmesh.stt.v1 import stt_pb2
from voxmesh_runtime.engine import ModelFacts
from voxmesh_runtime.errors import FailedPrecondition, InvalidArgument
from voxmesh_runtime.outcomes import Kind
from voxmesh_stt.engine import EngineInfo, Phrase, RecognitionOptions
from voxmesh_stt.options import common_outcomes, recognition_options

pytestmark = pytest.mark.unit

FACTS = ModelFacts("a/model", "MIT", language_codes=("en", "kn"))
INFO = EngineInfo(FACTS)


def test_an_empty_config_asks_for_nothing() -> None:
    assert recognition_options(stt_pb2.RecognitionConfig(), INFO) == RecognitionOptions()


def test_every_field_is_taken_over() -> None:
    config = stt_pb2.RecognitionConfig(
        model="a/model",
        language_codes=["en-GB"],
        interim_results=True,
        word_time_offsets=True,
        biasing=stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text=" Dashwood ", boost=3)], context="A novel."),
        max_latency=duration_pb2.Duration(nanos=500_000_000),
    )
    assert recognition_options(config, INFO) == RecognitionOptions(
        language_codes=("en-GB",),
        interim_results=True,
        word_time_offsets=True,
        phrases=(Phrase("Dashwood", 3.0),),
        context="A novel.",
        max_latency_s=0.5,
    )


def test_a_phrase_without_boost_has_a_boost_of_one() -> None:
    config = stt_pb2.RecognitionConfig(biasing=stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="a")]))
    assert recognition_options(config, INFO).phrases == (Phrase("a", 1.0),)


def test_a_boost_of_zero_is_refused_where_it_stands() -> None:
    phrases = [stt_pb2.Phrase(text="a"), stt_pb2.Phrase(text="b", boost=0)]
    config = stt_pb2.RecognitionConfig(biasing=stt_pb2.Biasing(phrases=phrases))
    with pytest.raises(InvalidArgument, match=r"phrases\[1\]\.boost: must be above 0 and at most 10, not 0"):
        recognition_options(config, INFO)


def test_every_bad_phrase_is_named_in_one_error() -> None:
    phrases = [stt_pb2.Phrase(text=" "), stt_pb2.Phrase(text="fine"), stt_pb2.Phrase(text="a", boost=11)]
    config = stt_pb2.RecognitionConfig(biasing=stt_pb2.Biasing(phrases=phrases))
    with pytest.raises(InvalidArgument, match=r"phrases\[0\]\.text: .* \(and 1 more\)") as raised:
        recognition_options(config, INFO)
    (request,) = raised.value.details
    assert isinstance(request, error_details_pb2.BadRequest)
    fields = [violation.field for violation in request.field_violations]
    assert fields == ["config.biasing.phrases[0].text", "config.biasing.phrases[2].boost"]


def test_thousands_of_bad_phrases_still_fit_a_status() -> None:
    config = stt_pb2.RecognitionConfig(biasing=stt_pb2.Biasing(phrases=[stt_pb2.Phrase(text="")] * 5000))
    with pytest.raises(InvalidArgument, match=r"and 4999 more") as raised:
        recognition_options(config, INFO)
    assert len(raised.value.to_proto().SerializeToString()) < 4096


def test_an_unknown_language_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(InvalidArgument, match=r"language_codes\[1\]: 'fr-FR' is not supported.* en, kn"):
        recognition_options(stt_pb2.RecognitionConfig(language_codes=["kn", "fr-FR"]), INFO)


@pytest.mark.parametrize(
    ("written", "tag"),
    [("en_US", "en-US"), ("zh_CN", "zh-CN"), ("no", "no"), ("iw", "he"), ("cmn-Hans-CN", "zh-Hans-CN")],
    ids=lambda tag: f"C16-{tag}",
)
def test_a_language_reaches_the_engine_as_one_tag_however_it_is_written(written: str, tag: str) -> None:
    info = EngineInfo(ModelFacts("a/model", "MIT", language_codes=("en", "zh", "nb", "iw")))
    options = recognition_options(stt_pb2.RecognitionConfig(language_codes=[written, tag]), info)
    assert options.language_codes == (tag,)


@pytest.mark.parametrize("text", ["xx-", "hindi", "x" * 8000], ids=["C16-xx", "C16-hindi", "C16-long"])
def test_what_is_no_language_is_refused_even_where_language_does_not_matter(text: str) -> None:
    info = EngineInfo(ModelFacts("a/model", "MIT"))
    with pytest.raises(InvalidArgument, match=r"^config\.language_codes\[0\]: .* is no language tag; write one of"):
        recognition_options(stt_pb2.RecognitionConfig(language_codes=[text]), info)


def test_any_language_is_taken_when_language_does_not_matter() -> None:
    info = EngineInfo(ModelFacts("a/model", "MIT"))
    options = recognition_options(stt_pb2.RecognitionConfig(language_codes=["fr"]), info)
    assert options.language_codes == ("fr",)


def test_another_model_is_refused() -> None:
    with pytest.raises(FailedPrecondition, match="this service serves 'a/model'"):
        recognition_options(stt_pb2.RecognitionConfig(model="b/model"), INFO)


@pytest.mark.parametrize("able", [True, False])
def test_outcomes_follow_what_the_engine_can_do(able: bool) -> None:  # noqa: FBT001 # a parameter of the test
    info = EngineInfo(FACTS, streaming=able, word_time_offsets=able)
    outcomes = common_outcomes(RecognitionOptions(("en",), interim_results=True, word_time_offsets=True), info)
    kinds = {outcome.field: outcome.kind for outcome in outcomes}
    depends = Kind.APPLIED if able else Kind.IGNORED
    assert kinds == {
        "config.language_codes": Kind.APPLIED,
        "config.interim_results": depends,
        "config.word_time_offsets": depends,
    }


def test_options_that_were_not_asked_for_have_no_outcome() -> None:
    assert common_outcomes(RecognitionOptions(), INFO) == []
