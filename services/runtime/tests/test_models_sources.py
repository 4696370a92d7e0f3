"""A model source can be written in settings and says what is wrong with it."""

from pathlib import Path

import pytest

from voxmesh_runtime.models import HubSnapshot, InvalidSourceError, LocalPath, WheelMember, parse_source

pytestmark = pytest.mark.unit

SHA256 = "ab" * 32
WHEEL = f"wheel:some-model==1.2.0+cpu/package/data/model.onnx#sha256={SHA256}"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (WHEEL, WheelMember("some-model", "1.2.0+cpu", "package/data/model.onnx", SHA256)),
        ("hub:Qwen/Qwen3-ASR-0.6B@5eb144179a02", HubSnapshot("Qwen/Qwen3-ASR-0.6B", "5eb144179a02")),
        ("hub:org/name", HubSnapshot("org/name", "main")),
        ("path:/srv/model", LocalPath(Path("/srv/model"))),
        ("/srv/model.gguf", LocalPath(Path("/srv/model.gguf"))),
        ("models/tiny", LocalPath(Path("models/tiny"))),
    ],
)
def test_a_text_names_a_source(text: str, source: object) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize("text", [WHEEL, "hub:org/name@v1", "path:/srv/model"])
def test_a_source_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_source(text)) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must not be empty"),
        ("path:", "names no file"),
        ("s3:bucket/key", "begins with none of wheel:, hub: and path:"),
        ("https://example.org/model", "begins with none of"),
        ("wheel:some-model==1.2.0/model.onnx", "not written as wheel:distribution==version/member#sha256="),
        ("wheel:some-model/model.onnx", "not written as wheel:"),
        (f"wheel:m==1/model.onnx#sha256={'AB' * 32}", "sha256 of 64 lower-case"),
        (f"wheel:m==1/model.onnx#sha256={'ab' * 31}", "sha256 of 64 lower-case"),
        (f"wheel:-r==1/model.onnx#sha256={SHA256}", "'-r' is not a distribution name"),
        (f"wheel:m[extra]==1/model.onnx#sha256={SHA256}", "not a distribution name"),
        (f"wheel:m==1 --pre/model.onnx#sha256={SHA256}", "not a version"),
        (f"wheel:m==1/../../etc/passwd#sha256={SHA256}", "not the path of a file in a wheel"),
        (f"wheel:m==1//etc/passwd#sha256={SHA256}", "not the path of a file in a wheel"),
        ("hub:name", "repository written as organisation/name"),
        ("hub:org/../name", "repository written as organisation/name"),
        ("hub:org/name@", "not a revision"),
        ("hub:org/name@a/../b", "not a revision"),
    ],
)
def test_what_is_no_source_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidSourceError) as refused:
        parse_source(text)
    assert problem in str(refused.value)
