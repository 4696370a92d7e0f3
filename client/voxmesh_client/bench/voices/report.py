"""What `voxmesh bench tts` reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from voxmesh_client.bench.findings import Figures
from voxmesh_client.bench.gate_file import Gates
from voxmesh_client.bench.plot import draw_waits, over_streams, panels
from voxmesh_client.bench.report import Report, verdicts_json
from voxmesh_client.bench.shared_tables import (
    failure_lines,
    memory_table,
    ratio_table,
    targets_table,
    verdict_tables,
)
from voxmesh_client.bench.tables import MISSING, Table, number, percent
from voxmesh_client.bench.verdicts import Judgement
from voxmesh_client.bench.voices.passes import Pass, VoiceOutcome, figures
from voxmesh_client.bench.voices.runner import Run
from voxmesh_client.bench.voices.soundness import (
    ABRUPT_DB,
    CLIPPED_SHARE,
    LONG_QUIET_S,
    OVERHEAD_S,
    SILENT_DB,
    Fault,
)
from voxmesh_client.bench.voices.speaking import Spoken
from voxmesh_client.bench.voices.understanding import UNHEARD_WORDS, Understood

_METHOD = f"""## How it was measured

- Targets one after another, each alone; a new stream for each text, and the first text once on each stream beforehand,
  not counted. Texts that are few for their streams are spoken several times, always all of them.
- First audio: from the moment the whole text was sent, on a stream that was open and accepted, to the first piece of
  audio. First sound: until somebody who plays that audio as it comes hears something, its silence included. Queued:
  what the service says it waited for a free place, of the time taken. Stalled: how long playback that begins at once
  stands still in all, because audio comes later than it is played.
- Real-time factor: seconds from the text to the end of its audio, for a second of audio. Throughput: seconds of audio
  in a second, all streams together.
- WER and CER: by the recogniser above, which is idle while a voice speaks, after Whisper's normaliser (see `voxmesh
  bench stt`), against the nearest of the ways in which a text may be written. Audio stands in a quiet room of 0.5 s.
  What the recogniser gets wrong by itself is in it: compare targets, not with zero. A text that failed was not heard.
- Clipped: more than {CLIPPED_SHARE:.1%} of the samples at full scale. Silent: nothing above {SILENT_DB:.0f} dB. Gap:
  more than {LONG_QUIET_S:g} s of silence within. Truncated: shorter than its letters allow, shorter than the service
  says, louder at its very end than {ABRUPT_DB:.0f} dB of its usual level, or {UNHEARD_WORDS} or more words at its end
  not heard. Too long: longer than its letters allow and {OVERHEAD_S:g} s.
- Word starts: by the voice less by the recogniser, of words that both name, and the median of the differences' sizes.
- `{MISSING}` is not measured, or does not apply.
"""
_RATIOS = {
    "first_audio_p50_s": "first audio, median",
    "first_sound_p50_s": "first sound, median",
    "real_time_factor": "real-time factor",
    "cpu_s_per_s": "CPU",
    "wer": "WER",
    "model_gb": "memory",
}


def tts_report(run: Run, judgements: Sequence[Judgement], gates: Gates | None) -> Report:
    """The whole report."""
    outcomes = run.outcomes
    found = [outcome.findings() for outcome in outcomes]
    memory = memory_table((outcome.name, each.streams, each.cost.memory) for outcome, each, _ in _passes(outcomes))
    tables = [
        targets_table(outcomes),
        _speed(outcomes),
        _waits(outcomes),
        _quality(outcomes),
        memory,
        ratio_table(found, run.baseline, _RATIOS),
        *verdict_tables(judgements),
    ]
    judge = "nobody" if run.recognizer is None else f"{run.recognizer.engine}, {run.recognizer.model}"
    letters = sum(line.letters for line in run.texts.lines)
    return Report(
        title="Speech synthesis",
        machine=run.machine,
        about=[f"{len(run.texts.lines)} texts, {letters} letters, {run.texts.language}; heard by {judge}."],
        tables=[table for table in tables if table.rows],
        wrong=[line for outcome in outcomes for line in _wrong(outcome)],
        method=_METHOD,
        data={**_to_json(run), "verdicts": verdicts_json(judgements, gates)},
        draw=lambda path: _draw(outcomes, path),
        plot_text="first audio and real-time factor over streams",
    )


def _passes(outcomes: Sequence[VoiceOutcome]) -> Iterator[tuple[VoiceOutcome, Pass, Figures]]:
    for outcome in outcomes:
        for each in outcome.passes:
            yield outcome, each, figures(each, outcome.model.device)


def _speed(outcomes: Sequence[VoiceOutcome]) -> Table:
    columns = ("target", "voice", "streams", "real-time factor", "throughput", "CPU-s per s", "audio s", "failed")
    rows = [
        (
            outcome.name,
            outcome.voice,
            str(each.streams),
            number(told["real_time_factor"], 3),
            number(told["throughput"], 1),
            number(told["cpu_s_per_s"], 3),
            number(each.audio_s, 1),
            f"{len(each.spoken) - len(each.sound)} of {len(each.spoken)}",
        )
        for outcome, each, told in _passes(outcomes)
    ]
    return Table("Speed", columns, rows, text_columns=2)


def _waits(outcomes: Sequence[VoiceOutcome]) -> Table:
    """Waits stand beside what they could be bought with: audio that is cut off, or comes late."""
    columns = (
        "target",
        "streams",
        "first audio s p50",
        "p95",
        "first sound s p50",
        "p95",
        "of it queued p95",
        "stalled s p50",
        "p95",
        "cut off",
    )
    rows = [
        (
            outcome.name,
            str(each.streams),
            number(told["first_audio_p50_s"], 3),
            number(told["first_audio_p95_s"], 3),
            number(told["first_sound_p50_s"], 3),
            number(told["first_sound_p95_s"], 3),
            number(told["queued_p95_s"], 3),
            number(told["stalled_p50_s"]),
            number(told["stalled_p95_s"]),
            f"{each.count(Fault.TRUNCATED)} of {len(each.spoken)}",
        )
        for outcome, each, told in _passes(outcomes)
    ]
    return Table("From the text to its audio", columns, rows)


def _quality(outcomes: Sequence[VoiceOutcome]) -> Table:
    columns = (
        "target",
        "streams",
        "WER %",
        "CER %",
        *(fault.value for fault in Fault),
        "word starts ms, median",
        "size of it, median",
    )
    rows = [
        (
            outcome.name,
            str(each.streams),
            percent(told["wer"]),
            percent(told["cer"]),
            *(str(each.count(fault)) for fault in Fault),
            _milliseconds(told["word_start_median_s"]),
            _milliseconds(told["word_start_deviation_s"]),
        )
        for outcome, each, told in _passes(outcomes)
    ]
    return Table("What was heard", columns, rows)


def _milliseconds(seconds: float | None) -> str:
    return number(None if seconds is None else 1000 * seconds, 0)


def _wrong(outcome: VoiceOutcome) -> Iterator[str]:
    if outcome.problem:
        yield f"{outcome.name}: {outcome.problem}"
    for each in outcome.passes:
        where = f"{outcome.name}, {each.streams} streams"
        yield from failure_lines(where, [one.failure for one in each.spoken if one.failure], len(each.spoken), "texts")
        unheard = [one.failure for one in each.understood if one.failure]
        yield from failure_lines(where, unheard, len(each.spoken), "recognitions")
        for one in each.spoken:
            for finding in one.findings:
                yield f"{where}: {finding.fault.value}: {finding.reason}: {one.line.text[:60]!r}"


def _to_json(run: Run) -> dict[str, Any]:
    recognizer = run.recognizer
    return {
        "texts": {"name": run.texts.name, "language": run.texts.language, "count": len(run.texts.lines)},
        "recognizer": None if recognizer is None else {"engine": recognizer.engine, "model": recognizer.model},
        "baseline": run.baseline,
        "targets": [
            {
                **outcome.to_json(),
                **outcome.load_figures,
                "voice": outcome.voice,
                "passes": [_pass_json(each, outcome.model.device) for each in outcome.passes],
            }
            for outcome in run.outcomes
        ],
    }


def _pass_json(each: Pass, device: str) -> dict[str, Any]:
    understood: Sequence[Understood | None] = each.understood or [None] * len(each.spoken)
    return {
        "streams": each.streams,
        "taken_s": each.cost.taken_s,
        **figures(each, device),
        "words": asdict(each.score.words),
        "characters": asdict(each.score.characters),
        "texts": [_text_json(one, heard) for one, heard in zip(each.spoken, understood, strict=True)],
    }


def _text_json(spoken: Spoken, understood: Understood | None) -> dict[str, Any]:
    return {
        "text": spoken.line.text,
        "heard": None if understood is None else understood.heard,
        "word_errors": None if understood is None else understood.score.words.errors,
        "audio_s": spoken.audio_s,
        "taken_s": spoken.taken_s,
        "first_audio_s": spoken.first_audio_s,
        "first_sound_s": spoken.first_sound_s,
        "queued_s": spoken.queued_s,
        "stalled_s": spoken.stalled_s,
        "faults": [f"{finding.fault.value}: {finding.reason}" for finding in spoken.findings],
        "failure": spoken.failure,
    }


def _draw(outcomes: Sequence[VoiceOutcome], path: Path) -> None:
    with panels(path) as (first, cost):
        for index, outcome in enumerate(outcomes):
            found = outcome.findings().passes
            draw_waits(first, found, "first_audio", outcome.name, index)
            over_streams(cost, found, "real_time_factor", outcome.name, index)
        first.set(xlabel="streams at once", ylabel="text to first audio, median to p95, ms")
        cost.set(xlabel="streams at once", ylabel="real-time factor of each stream")
        cost.axhline(1.0, color="grey", linewidth=0.8, linestyle="--")
