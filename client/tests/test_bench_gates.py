"""Gates files, verdicts and what is written down of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from voxmesh.common.v1 import common_pb2
from voxmesh_client.bench.clip import Clip
from voxmesh_client.bench.corpus import Corpus
from voxmesh_client.bench.gate_file import Gates, read_gates
from voxmesh_client.bench.interims import Shown, Stability, stability
from voxmesh_client.bench.listening import Heard, Manner
from voxmesh_client.bench.machine import Machine, load
from voxmesh_client.bench.measuring import Pass, rounds
from voxmesh_client.bench.problems import BenchUsage
from voxmesh_client.bench.processes import NOT_MEASURED, Memory
from voxmesh_client.bench.results import Run, TargetResult, figures, findings_of, metrics
from voxmesh_client.bench.soak import Look, Soak
from voxmesh_client.bench.stt_report import stt_report
from voxmesh_client.bench.tables import Table
from voxmesh_client.bench.verdicts import Judgement, Verdict, exit_status, judge
from voxmesh_client.bench.words import Score, score

pytestmark = pytest.mark.unit

SEED = read_gates("seed", metrics())
SAID = "one two three four five six seven eight nine ten"
CLIP = Clip(Path("clip.wav"), SAID, "here:1", "de", duration_s=10.0)
MEMORY = Memory(rss_mib=1200.0, pss_mib=1000.0)


def heard(text: str = SAID, taken_s: float = 2.0, delay_s: float | None = None, failure: str = "") -> Heard:
    return Heard(CLIP, taken_s, delay_s, delay_s, [Shown(1.0, 0, text, True)], failure=failure)


def one_pass(
    *each: Heard, streams: int = 1, real_time: bool = False, memory: Memory = MEMORY, steady: Stability | None = None
) -> Pass:
    scores = [score(SAID, one.text, "de") for one in each]
    manner = Manner(real_time=real_time)
    return Pass(manner, streams, each, scores, 5.0, 3.0, memory, steady or Stability())


def run_of(*results: TargetResult) -> Run:
    return Run(Machine.now(load()), Corpus(Path("corpus"), (CLIP,)), results[0].name, results)


def result(name: str, *passes: Pass, device: str = "cpu") -> TargetResult:
    model = common_pb2.ModelInfo(model="tiny|en", engine="e", engine_version="1", device=device)
    return TargetResult(name, model, load_s=1.0, passes=list(passes))


BASELINE = result("old", one_pass(heard(SAID.replace("one two", "x y"))))  # a fifth is wrong


def judge_run(run: Run, gates: Gates) -> list[Judgement]:
    return judge(findings_of(run), run.baseline, gates)


def judged(candidate: TargetResult, gates: Gates | None = None) -> tuple[Verdict, list[bool]]:
    judgement = judge_run(run_of(BASELINE, candidate), gates or SEED)[-1]
    return judgement.verdict, [each.is_met for each in judgement.gates]


def test_all_criteria_of_the_seed_met_is_go() -> None:
    verdict = judged(result("new", one_pass(heard(SAID.replace("one", "x")))))  # half the errors
    assert verdict == (Verdict.GO, [True] * 5)


def test_a_gain_of_just_a_fifth_is_not_more_than_a_fifth() -> None:
    ten_wrong, eight_wrong = ([heard(SAID.replace("one", "x"))] * count + [heard()] * (20 - count) for count in (10, 8))
    (judgement,) = judge_run(run_of(result("old", one_pass(*ten_wrong)), result("new", one_pass(*eight_wrong))), SEED)
    gain = next(each for each in judgement.gates if each.gate.gain_above is not None)
    assert gain.value == pytest.approx(0.2)
    assert judged(result("new", one_pass(heard(SAID.replace("one two", "x y")))))[1][2] is False


def test_three_of_five_is_conditional_and_two_is_no_go() -> None:
    slow = one_pass(heard(taken_s=11.0), heard(failure="broke"))
    assert judged(result("new", slow)) == (Verdict.NO_GO, [True, False, False, False, True])
    only_slow = one_pass(heard(SAID.replace("one two", "x y"), taken_s=11.0))
    assert judged(result("new", only_slow)) == (Verdict.CONDITIONAL, [True, False, False, True, True])


def test_what_does_not_load_is_no_go_and_nothing_of_it_is_met() -> None:
    assert judged(TargetResult("new", problem="no model")) == (Verdict.NO_GO, [False] * 5)


def test_memory_counts_where_the_model_is() -> None:
    on_gpu = Memory(rss_mib=9000.0, pss_mib=9000.0, gpu_mib=1000.0)
    assert on_gpu.model_gb("cuda:0") == pytest.approx(1.048576)
    assert on_gpu.model_gb("cpu") == pytest.approx(9.437184)
    assert Memory(rss_mib=9000.0).model_gb("cuda:0") is None
    candidate = result("new", one_pass(heard(), memory=on_gpu), device="cuda:0")
    assert judged(candidate)[0] is Verdict.GO
    assert judged(result("new", one_pass(heard(), memory=on_gpu)))[1][4] is False
    assert judged(result("new", one_pass(heard(), memory=NOT_MEASURED)))[1][4] is False


def test_what_a_service_tells_of_itself_fills_in_for_what_cannot_be_seen() -> None:
    told = Memory.of(common_pb2.ModelInfo(resident_memory_bytes=300 * 2**20, accelerator_memory_bytes=2**30))
    assert NOT_MEASURED.filled(told) == Memory(rss_mib=300.0, gpu_mib=1024.0)
    # From within a container NVML's process ids are others: nothing was measured, not nothing used.
    assert Memory(400.0, 350.0, 200.0, 0.0).filled(told) == Memory(400.0, 350.0, 200.0, 1024.0)
    assert Memory.of(common_pb2.ModelInfo()) == NOT_MEASURED


def gates_of(tmp_path: Path, text: str) -> Gates:
    path = tmp_path / "gates.toml"
    path.write_text(text)
    return read_gates(str(path), metrics())


def test_the_worst_pass_counts_unless_the_gate_names_one(tmp_path: Path) -> None:
    candidate = result("new", one_pass(heard(taken_s=2.0)), one_pass(heard(taken_s=12.0), streams=4))
    everywhere = '[[gates]]\nmetric = "real_time_factor"\nbelow = 1\n'
    assert judged(candidate, gates_of(tmp_path, everywhere))[1] == [False]
    assert judged(candidate, gates_of(tmp_path, everywhere + "streams = 1\n"))[1] == [True]
    assert judged(candidate, gates_of(tmp_path, everywhere + "streams = 2\n"))[1] == [False]  # not measured


def test_without_a_relative_gate_the_baseline_is_judged_too(tmp_path: Path) -> None:
    gates = gates_of(tmp_path, '[[gates]]\nmetric = "wer"\nat_most = 0.1\n')
    judgements = judge_run(run_of(BASELINE, result("new", one_pass(heard()))), gates)
    assert [each.verdict for each in judgements] == [Verdict.NO_GO, Verdict.GO]
    assert exit_status(judgements) == 1
    assert exit_status(judgements[1:]) == 0


def test_a_conditional_verdict_has_a_status_of_its_own() -> None:
    slow = result("new", one_pass(heard(taken_s=11.0)))
    assert exit_status(judge_run(run_of(BASELINE, slow), SEED)) == 3


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("gates = [", "is no TOML"),
        ("conditional_from = 2\n", "gates: Field required"),
        ('[[gates]]\nmetric = "speed"\nbelow = 1', "gates.0.metric: Value error, no metric 'speed'; known: wer, cer"),
        ('[[gates]]\nmetric = "wer"', "exactly one of below, at_most"),
        ('[[gates]]\nmetric = "wer"\nbelow = 1\nabove = 0', "exactly one of below, at_most"),
        ('[[gates]]\nmetric = "wer"\nbelow = 1\npace = "slow"', "gates.0.pace"),
        ('[[gates]]\nmetric = "wer"\nunder = 1', "gates.0.under"),
    ],
)
def test_wrong_gates_are_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BenchUsage) as caught:
        gates_of(tmp_path, text)
    assert complaint in str(caught.value)


def test_a_gates_file_that_is_missing_is_told_with_those_that_ship() -> None:
    with pytest.raises(BenchUsage, match="give a file or one of: embed, llm, seed, tts, vlm"):
        read_gates("none.toml", metrics())


def test_figures_of_a_pass() -> None:
    told = figures(one_pass(heard(taken_s=2.0), heard(taken_s=4.0), heard(failure="broke")), "cpu")
    assert told["wer"] == pytest.approx(1 / 3)  # of the clip that failed nothing was heard
    assert told["failures"] == 1
    assert told["real_time_factor"] == pytest.approx(0.3)
    assert told["throughput"] == pytest.approx(4.0)
    assert told["cpu_s_per_s"] == pytest.approx(0.15)
    assert told["final_delay_p50_s"] is None


def test_waits_are_median_and_95th_percentile_of_clips_in_real_time() -> None:
    delays = [heard(delay_s=0.1 * number) for number in range(1, 12)]
    told = figures(one_pass(*delays, heard(delay_s=9.0, failure="broke"), real_time=True), "cpu")
    assert told["final_delay_p50_s"] == pytest.approx(0.6)
    assert told["final_delay_p95_s"] == pytest.approx(1.05)
    assert told["real_time_factor"] is None


@pytest.mark.parametrize(("clips", "streams", "times"), [(5, 1, 1), (5, 2, 2), (5, 4, 3), (100, 16, 1), (2, 2, 3)])
def test_a_short_corpus_is_repeated_whole_so_that_all_streams_are_busy(clips: int, streams: int, times: int) -> None:
    assert rounds(clips, streams) == times


def soak_of(mib: Sequence[float]) -> Soak:
    looks = [Look(600.0 * (at + 1), Memory(value + 50 * (at % 2), value, value)) for at, value in enumerate(mib)]
    return Soak(600.0 * len(mib), 60.0, looks, Score())


def test_memory_that_grows_only_while_warming_up_is_flat() -> None:
    assert soak_of([100, 300, 301, 300, 302, 301]).verdict == "flat"


def test_memory_that_goes_on_growing_is_told_by_the_hour() -> None:
    growing = soak_of([300, 310, 320, 330, 340, 350])
    assert growing.growth_mib_per_hour == pytest.approx(60.0)
    assert growing.verdict == "growing"


def test_a_soak_of_a_server_that_is_not_ours_measures_no_memory() -> None:
    assert Soak(600.0, 60.0, [Look(600.0, NOT_MEASURED)] * 3, Score()).verdict == "not measured"


def test_a_target_is_sound_only_when_nothing_failed_and_promises_were_kept() -> None:
    assert result("new", one_pass(heard())).is_sound
    assert not result("new", one_pass(heard(failure="broke"))).is_sound
    assert not TargetResult("new", problem="no model").is_sound
    broken = stability([Shown(0, 0, "he", False, 2), Shown(0, 0, "she", False), Shown(0, 0, "she", True)])
    assert not result("new", one_pass(heard(), steady=broken)).is_sound
    broke_off = result("new", one_pass(heard()))
    broke_off.soak = Soak(1.0, 1.0, [Look(1.0, MEMORY)], Score(), "gone")
    assert (broke_off.is_sound, broke_off.failures) == (False, 1)


def test_a_report_holds_every_figure_and_every_failure(tmp_path: Path) -> None:
    new = result("new", one_pass(heard(), heard(failure="stt: full")), one_pass(heard(delay_s=0.25), real_time=True))
    new.soak = soak_of([300, 310, 320, 330, 340, 350])
    run = run_of(BASELINE, new, TargetResult("none", problem="ended with status 1"))
    markdown, data, plot = stt_report(run, judge_run(run, SEED), SEED).write(tmp_path)
    text = markdown.read_text()
    assert "new, fast, 1 streams: 1 of 2 clips failed: stt: full" in text
    assert "- none: ended with status 1" in text
    assert "| new | 1 | 50.00 | 50.00 | 0.200 |" in text
    assert "## Verdict on none: no-go" in text
    assert "tiny\\|en" in text
    assert "| 60.0 | growing |" in text
    told = json.loads(data.read_text())
    assert told["targets"][1]["passes"][1]["final_delay_p50_s"] == 0.25
    assert told["targets"][1]["passes"][0]["clips"][1]["failure"] == "stt: full"
    assert [each["verdict"] for each in told["verdicts"]] == ["conditional", "no-go"]
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_table_is_markdown() -> None:
    assert Table("T", ("a", "b"), [("x", "1")]).markdown() == "## T\n\n| a | b |\n| --- | ---: |\n| x | 1 |"
