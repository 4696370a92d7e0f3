"""What `voxmesh bench stt` reports."""

from __future__ import annotations

from collections.abc import Sequence

from voxmesh_client.bench.gate_file import Gates
from voxmesh_client.bench.plot import draw_stt
from voxmesh_client.bench.report import Report, verdicts_json
from voxmesh_client.bench.results import Run, to_json
from voxmesh_client.bench.stt_tables import failures, stt_tables
from voxmesh_client.bench.tables import MISSING
from voxmesh_client.bench.verdicts import Judgement

_METHOD = f"""## How it was measured

- Targets one after another, each alone; a new stream for each clip; the first clip once on each stream beforehand, not
  counted. A corpus that is short for its streams is heard several times, always whole.
- WER and CER by jiwer over all words of a pass, after Whisper's normaliser (English for `en`, else the basic one with
  marks kept; without spaces in the language each character is a word). A clip that failed counts as one of which
  nothing was heard.
- Real-time factor: seconds a stream takes for a second of its audio, first sample to final, when sent as fast as the
  service takes it. Throughput: seconds of audio heard in a second by all streams.
- Final: from the moment the audio ends, at the pace of a microphone, to the final result; `finalize` is sent at the
  last sample. First interim: from the first sample of the audio, its silence included.
- Interim words changed: words that a later result replaced, moved or removed, of all that were shown; case and
  punctuation do not count. A promise is an interim result's `stable_character_count`; none may be broken.
- Memory and CPU: of the server and its children, the most seen, where it was started here. RSS counts shared pages in
  each process, PSS divides them, anonymous memory has none; the long stream goes by the last. GPU memory by NVML. For
  the rest of the memory, what the service told of itself after the pass.
- One long stream: the corpus over and over with 0.5 s of silence between clips, no finalize. Growth is the median slope
  over all pairs of looks after the first fifth; up to 5 % an hour, or 8 MiB, is flat.
- `{MISSING}` is not measured, or does not apply.
"""


def stt_report(run: Run, judgements: Sequence[Judgement], gates: Gates | None) -> Report:
    """The whole report."""
    corpus = run.corpus
    left_out = f" {corpus.without_text} audio files without text are left out." if corpus.without_text else ""
    clips = f"{len(corpus.clips)} clips, {corpus.seconds:.1f} s, {', '.join(corpus.languages)}"
    return Report(
        title="Speech recognition",
        machine=run.machine,
        about=[f"{clips}: `{corpus.path}`.{left_out}"],
        tables=stt_tables(run, judgements),
        wrong=failures(run),
        method=_METHOD,
        data={**to_json(run), "verdicts": verdicts_json(judgements, gates)},
        draw=lambda path: draw_stt(run, path),
        plot_text="word error rate and wait, cost and streams",
    )
