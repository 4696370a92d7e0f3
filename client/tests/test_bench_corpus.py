"""Every form of corpus, and what is said about one that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from voxmesh_client.bench.corpus import read_corpus, read_samples
from voxmesh_client.bench.problems import CorpusError
from voxmesh_runtime.audio import write_wav

pytestmark = pytest.mark.unit

Write = Callable[..., Path]


@pytest.fixture
def wav(tmp_path: Path) -> Write:
    """Writes a second of audio, each sample a tenth of its own time in seconds, and gives its path."""

    def write(name: str, seconds: float = 1.0) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        times = np.arange(round(16000 * seconds), dtype=np.float32) / np.float32(160000)
        write_wav(path, times.astype(np.float32), 16000)
        return path

    return write


def texts(path: Path, language: str = "en") -> dict[str, str]:
    return {clip.name: clip.text for clip in read_corpus(path, language).clips}


def refused(path: Path) -> str:
    with pytest.raises(CorpusError) as caught:
        read_corpus(path, "en")
    return str(caught.value)


def test_audio_beside_texts(tmp_path: Path, wav: Write) -> None:
    wav("a.wav")
    wav("deeper/b.wav")
    wav("silent.wav")
    (tmp_path / "a.txt").write_text("one\n")
    (tmp_path / "deeper/b.txt").write_text("two")
    corpus = read_corpus(tmp_path, "de")
    assert [(clip.name, clip.text, clip.language) for clip in corpus.clips] == [("a", "one", "de"), ("b", "two", "de")]
    assert corpus.seconds == pytest.approx(2.0)
    assert corpus.without_text == 1


def test_librispeech(tmp_path: Path, wav: Write) -> None:
    wav("61/70/61-70-0000.wav")
    wav("61/70/61-70-0001.wav")
    (tmp_path / "61/70/61-70.trans.txt").write_text("61-70-0000 HE BEGAN\n61-70-0001 AND ENDED\n")
    assert texts(tmp_path) == {"61-70-0000": "HE BEGAN", "61-70-0001": "AND ENDED"}


def test_a_list_above_its_audio_as_in_aishell(tmp_path: Path, wav: Write) -> None:
    wav("wav/test/S01/BAC01.wav")
    (tmp_path / "transcript").mkdir()
    (tmp_path / "transcript/aishell_transcript_v0.8.txt").write_text("BAC01 而 对\nBAC99 不 在\n", encoding="utf-8")
    assert texts(tmp_path) == {"BAC01": "而 对"}


def test_cmu_sphinx(tmp_path: Path, wav: Write) -> None:
    for name in ("x", "y", "z"):
        wav(f"{name}.wav")
    (tmp_path / "transcription").write_text("<s> first words </s> (x)\nsecond (y)\n<s> third </s> (z)\n")
    (tmp_path / "fileids").write_text("x\ny\n")
    assert texts(tmp_path) == {"x": "first words", "y": "second"}


def test_a_nemo_manifest_cuts_by_offset_and_duration(tmp_path: Path, wav: Write) -> None:
    wav("long.wav", 4.0)
    wav("short.wav")
    rows = [
        {"audio_filepath": "long.wav", "text": "middle", "offset": 1.5, "duration": 0.5, "lang": "en"},
        {"audio_filepath": str(tmp_path / "short.wav"), "text": "all", "duration": 0.2},
    ]
    manifest = tmp_path / "test.jsonl"
    manifest.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
    cut, whole = read_corpus(manifest, "fr").clips
    assert (cut.name, cut.language, cut.duration_s) == ("long@1.5", "en", 0.5)
    samples, rate = read_samples(cut)
    assert (samples.size, rate) == (8000, 16000)
    assert samples[0] == pytest.approx(0.15, abs=1e-3)
    assert (whole.language, whole.duration_s) == ("fr", 1.0)


def test_common_voice_keeps_quotation_marks(tmp_path: Path, wav: Write) -> None:
    wav("clips/cv_1.wav")
    table = tmp_path / "test.tsv"
    table.write_text('client_id\tpath\tsentence\tlocale\n7\tcv_1.wav\t"Go, he said.\tzh_CN\n', encoding="utf-8")
    (clip,) = read_corpus(table, "en").clips
    assert (clip.text, clip.language) == ('"Go, he said.', "zh-CN")


def test_csv_with_quoted_commas(tmp_path: Path, wav: Write) -> None:
    wav("a.wav")
    table = tmp_path / "test.csv"
    table.write_text('audio,text\na.wav,"yes, no"\n')
    assert texts(table) == {"a": "yes, no"}


def test_the_first_clips_alone(tmp_path: Path, wav: Write) -> None:
    for name in "abc":
        wav(f"{name}.wav")
        (tmp_path / f"{name}.txt").write_text(name)
    assert [clip.name for clip in read_corpus(tmp_path, "en", limit=2).clips] == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", "is no JSON object on one line"),
        ("[1]", "is no JSON object"),
        ('{"text": "x"}', '"audio_filepath" is missing'),
        ('{"audio_filepath": "ok.wav"}', '"text" is missing'),
        ('{"audio_filepath": "gone.wav", "text": "x"}', "no such audio file"),
        ('{"audio_filepath": "ok.wav", "text": "x", "offset": "soon"}', "no number of seconds: 'soon'"),
        ('{"audio_filepath": "ok.wav", "text": "x", "offset": NaN}', "no number of seconds"),
        ('{"audio_filepath": "ok.wav", "text": "x", "offset": 9}', "no audio at 9 s"),
        ('{"audio_filepath": "noise.wav", "text": "x"}', "cannot be read as audio"),
    ],
)
def test_a_wrong_line_of_a_manifest_is_named(tmp_path: Path, wav: Write, line: str, complaint: str) -> None:
    wav("ok.wav")
    (tmp_path / "noise.wav").write_text("no audio")
    manifest = tmp_path / "test.jsonl"
    manifest.write_text('{"audio_filepath": "ok.wav", "text": "fine"}\n' + line + "\n")
    message = refused(manifest)
    assert message.startswith(f"{manifest}:2: ")
    assert complaint in message


def test_wrong_tables_are_named(tmp_path: Path, wav: Write) -> None:
    wav("a.wav")
    table = tmp_path / "test.csv"
    table.write_text("audio,words\na.wav,x\n")
    assert refused(table).startswith(f"{table}:1: the header has none of the columns text")
    table.write_text("audio,text\na.wav,x\na.wav\n")
    assert refused(table) == f"{table}:3: has not as many columns as the header (2)"
    table.write_text("audio,text\na.wav,x,more\n")
    assert refused(table).startswith(f"{table}:2: has not as many columns")
    table.write_bytes(b"audio,text\na.wav,\xff\n")
    assert "is not UTF-8" in refused(table)


def test_wrong_lists_are_named(tmp_path: Path, wav: Write) -> None:
    wav("x.wav")
    (tmp_path / "transcription").write_text("<s> words </s> (x)\nno id\n")
    assert refused(tmp_path) == f"{tmp_path / 'transcription'}:2: is not `<s> words </s> (id)`"
    (tmp_path / "transcription").write_text("<s> words </s> (gone)\n")
    assert "transcription:1: no audio file gone" in refused(tmp_path)
    (tmp_path / "transcription").unlink()
    (tmp_path / "x.trans.txt").write_text("x words\ngone words\n")
    assert "x.trans.txt:2: no audio file gone" in refused(tmp_path)


def test_a_corpus_that_is_none_is_told(tmp_path: Path, wav: Write) -> None:
    assert "no *.trans.txt" in refused(tmp_path)
    assert "neither a folder nor a manifest" in refused(tmp_path / "missing")
    assert "neither a folder nor a manifest" in refused(wav("a.wav"))
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    assert "holds no clips" in refused(empty)
