"""`voxmesh bench` on the services of the mesh, and on an engine that it starts itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import run

from voxmesh_client import MeshSettings
from voxmesh_client.cli.app import main
from voxmesh_client.slots import EMBED, STT, TTS, VLM

pytestmark = pytest.mark.mesh

PAIRS = (
    ("How do I change a flat tyre?", "Take the wheel off, swap the inner tube and pump it up again."),
    ("Who wrote Hamlet?", "The tragedy of the Danish prince is by William Shakespeare."),
    ("What helps against a cold?", "Rest, drink a lot, and a running nose passes by itself."),
)
RECEIPT = Path(__file__).parents[1] / "demo/receipt.png"


def bench_json(*arguments: str | Path) -> dict[str, Any]:
    """What a benchmark tells, which must end well."""
    done = run(main, "bench", *map(str, arguments), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_voice_is_timed_and_understood(settings: MeshSettings, tmp_path: Path) -> None:
    voice, listener = settings.target(TTS), settings.target(STT)
    options = ("--recognizer", listener, "--limit", "3", "--streams", "1,2", "--keep", tmp_path, "--gates", "tts")
    told = bench_json("tts", "--target", f"mesh={voice}", *options)
    assert told["recognizer"]["engine"] == "moonshine"
    (found,) = told["targets"]
    assert [each["streams"] for each in found["passes"]] == [1, 2]
    for each in found["passes"]:
        assert (each["failures"], each["faults"]) == (0, 0)
        assert each["wer"] < 0.1
        assert each["first_sound_p50_s"] > each["first_audio_p50_s"] > 0
        assert each["cpu_s_per_s"] is None  # another's process
        assert each["rss_mib"] > 20
    assert len(list(tmp_path.glob("mesh-*.wav"))) == 3


def test_an_embedding_engine_is_compared_with_its_model_and_with_a_service(
    settings: MeshSettings, tmp_path: Path
) -> None:
    pairs = tmp_path / "pairs.toml"
    pairs.write_text("".join(f'[[pairs]]\nquery = "{query}"\ndocument = "{document}"\n' for query, document in PAIRS))
    targets = ("--engine", "minilm", "--target", f"mesh={settings.target(EMBED)}")
    options = ("--streams", "1,4", "--rounds", "2", "--texts", "8", "--baseline", "mesh", "--out", tmp_path)
    mesh, own = bench_json("embed", pairs, *targets, *options)["targets"]
    for found in (mesh, own):
        assert found["recall_at_1"] == 1.0
        assert found["batch_cosine"] > 0.999
        rounds = [(each["streams"], [one["texts"] for one in each["rounds"]]) for each in found["passes"]]
        assert rounds == [(1, [8, 8]), (4, [16, 16])]
        for each in found["passes"]:
            assert each["tokens_per_s"] > each["texts_per_s"] > 0
            assert each["latency_p95_s"] >= each["latency_p50_s"] > 0
    assert own["direct_problem"] == ""
    assert all(each["direct_ratio"] > 0 and each["direct_cpu_s_per_text"] > 0 for each in own["passes"])
    assert mesh["direct_problem"] == "it was not started here"
    assert all(each["direct_ratio"] is None for each in mesh["passes"])
    assert (tmp_path / "plot.png").is_file()


def test_an_engine_that_reads_is_asked_to_read_alone(settings: MeshSettings, tmp_path: Path) -> None:
    cases = tmp_path / "cases.toml"
    shared = f'about = "a receipt"\npicture = "{RECEIPT}"\nprompt = "What is the total?"\nright_from = 0.9\n'
    lines = ["Corner Cafe", "2 coffees 7.00", "1 cake 4.50", "Total 11.50"]
    cases.write_text(
        f'[[cases]]\nname = "read"\ntask = "read_text"\nlines = {json.dumps(lines)}\n{shared}'
        f'[[cases]]\nname = "ask"\ntask = "answer"\nfacts = [["11.50"]]\n{shared}'
    )
    (found,) = bench_json("vlm", cases, "--target", f"mesh={settings.target(VLM)}")["targets"]
    read, ask = found["answers"]
    assert (ask["verdict"], ask["reason"]) == ("not asked", "it only reads text")
    assert (read["verdict"], read["score"]) == ("right", 1.0)
    assert read["taken_s"] >= read["first_output_s"] > 0
