"""A file of named upstreams is read field by field, and what is wrong in it is told by file and field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from voxmesh_llm_proxy.settings import LlmSettings
from voxmesh_llm_proxy.shapes import Shape
from voxmesh_llm_proxy.upstream_file import EVERYBODY, read_upstreams, single_upstream
from voxmesh_runtime.errors import FailedPrecondition

pytestmark = pytest.mark.unit

WHOLE = """
hedge_after_s = 0.4

[[upstreams]]
name = "titan"
base_url = "http://titan:8002/v1/"
shape = "llama_cpp"
model = "qwen3.5"
models = { fast = "qwen3.5" }
purposes = ["voice"]
images = true
own_slots = true
context_tokens = 32768
sampling_preset = "instruct-general"
limits = { concurrent = 8, requests_per_minute = 600, tokens_per_minute = 100000 }

[[upstreams]]
name = "beast"
base_url = "https://beast/v1"
shape = "vllm"
purposes = ["agents"]
api_key_file = "KEY"
grammar = false

[[upstreams]]
name = "own"

[callers]
agents = { tokens_per_minute = 20000 }
"*" = { requests_per_minute = 60 }
"""


def test_all_fields_are_read_in_order(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sesame\n")
    path = tmp_path / "upstreams.toml"
    path.write_text(WHOLE.replace("KEY", str(key)))
    file = read_upstreams(path)
    titan, beast, own = file.upstreams
    assert (titan.base_url, titan.shape, titan.models) == ("http://titan:8002/v1", Shape.LLAMA_CPP, {"fast": "qwen3.5"})
    assert (titan.limits.concurrent, titan.limits.tokens_per_minute) == (8, 100_000)
    assert beast.api_key is not None
    assert beast.api_key.get_secret_value() == "sesame"
    assert "sesame" not in repr(file)
    assert (own.base_url, own.limits.concurrent) == (None, None)
    assert (file.hedge_after_s, file.callers[EVERYBODY].requests_per_minute) == (0.4, 60)


def test_json_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "upstreams.json"
    path.write_text(json.dumps({"upstreams": [{"name": "a", "base_url": "http://a/v1", "shape": "ollama"}]}))
    assert read_upstreams(path).upstreams[0].shape is Shape.OLLAMA


WRONG = {
    "an address": ('base_url = "titan:8002"', "upstreams.0.base_url: is no address"),
    "a shape": ('shape = "tgi"', "upstreams.0.shape: Input should be"),
    "a field": ('url = "http://a"', "upstreams.0.url: Extra inputs"),
    "a limit": ("limits = { concurrent = 0 }", "upstreams.0.limits.concurrent: Input should be greater"),
    "a preset": ('sampling_preset = "wild"', "upstreams.0.sampling_preset: Input should be"),
    "a key": ('api_key_file = "/nowhere"', "upstreams.0.api_key_file: /nowhere: no such file"),
    "slots": ("own_slots = true", "upstreams.0: own_slots needs"),
    "a name twice": ('[[upstreams]]\nname = "a"\nbase_url = "http://b"', "file: two upstreams are named a"),
    "two of our own": ('[[upstreams]]\nname = "b"', "file: two upstreams have no base_url"),
    "no TOML": ("=", "is no TOML"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_by_file_and_field(case: str, tmp_path: Path) -> None:
    text, problem = WRONG[case]
    path = tmp_path / "upstreams.toml"
    path.write_text(f'[[upstreams]]\nname = "a"\n{text}\n')
    with pytest.raises(FailedPrecondition) as wrong:
        read_upstreams(path)
    assert wrong.value.message.startswith(f"{path}: ")
    assert problem in wrong.value.message


def test_a_file_that_is_not_there_or_empty_is_told(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match=r"none\.toml: no such file"):
        read_upstreams(tmp_path / "none.toml")
    empty = tmp_path / "empty.json"
    empty.write_text("{}")
    with pytest.raises(FailedPrecondition, match="upstreams: Field required"):
        read_upstreams(empty)


def test_the_settings_describe_one_upstream_or_name_a_file() -> None:
    named = single_upstream(LlmSettings(upstream_url="http://a/v1", upstream_model="m", concurrency=3))
    assert (named.base_url, named.model, named.shape, named.limits.concurrent) == ("http://a/v1", "m", Shape.ANY, 3)
    assert single_upstream(LlmSettings()).shape is Shape.LLAMA_CPP
    with pytest.raises(ValidationError, match="both set; remove one"):
        LlmSettings(upstream_url="http://a/v1", upstreams_file=Path("b.toml"))
