"""Streams of a cache-aware model: exact, apart from one another, and bounded."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.outcomes import Kind
from voxmesh_stt.engine import Phrase, RecognitionOptions, Step, Transcript
from voxmesh_stt_nemotron.engine import NemotronEngine
from voxmesh_stt_nemotron.session import StreamingSession
from voxmesh_stt_nemotron.settings import NemotronSettings
from voxmesh_stt_nemotron.streaming import StreamingRecognizer
from voxmesh_stt_nemotron.tokens import Token

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"
RATE_HERTZ = 16000
CLAUDE = (Phrase("claude"),)
NOTHING = np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def engine() -> Iterator[NemotronEngine]:
    loaded = NemotronEngine(EngineContext(model=str(DATA / "words.nemo")), NemotronSettings(phrase_weight=3))
    loaded.load()
    loaded.warm_up()
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def recognizer(engine: NemotronEngine) -> StreamingRecognizer:
    assert isinstance(engine._recognizer, StreamingRecognizer)
    return engine._recognizer


def _clip(name: str) -> Samples:
    return read_audio_file(DATA / f"{name}.flac")[0]


def _silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HERTZ), np.float32)


def _opened(engine: NemotronEngine, **options: Any) -> StreamingSession:
    session = engine.open(RecognitionOptions(**options))
    assert isinstance(session, StreamingSession)
    return session


def _heard(
    engine: NemotronEngine, session: StreamingSession, samples: Samples, step_s: float = 0.1
) -> list[Transcript]:
    """What a stream says to audio in steps, without an end."""
    size = round(step_s * RATE_HERTZ)
    steps = [Step(session, samples[begin : begin + size], is_final=False) for begin in range(0, len(samples), size)]
    return [transcript for step in steps for transcript in engine.step([step])[0]]


def _final(engine: NemotronEngine, session: StreamingSession, samples: Samples = NOTHING) -> Transcript:
    transcript = engine.step([Step(session, samples, is_final=True)])[0][-1]
    assert transcript.is_final
    return transcript


def _text(engine: NemotronEngine, samples: Samples, **options: Any) -> str:
    session = _opened(engine, **options)
    final = _final(engine, session, samples)
    session.close()
    return final.text


def _recorded(session: StreamingSession, monkeypatch: pytest.MonkeyPatch) -> list[Token]:
    """The tokens that the session will hear."""
    tokens: list[Token] = []
    hear = session.hear

    def recording(new: Sequence[Token]) -> None:
        tokens.extend(new)
        hear(new)

    monkeypatch.setattr(session, "hear", recording)
    return tokens


def _offline(
    recognizer: StreamingRecognizer, samples: Samples, context: tuple[int, int]
) -> tuple[list[int], list[int]]:
    """Tokens and their frames by NeMo's own decoding of the whole audio."""
    import torch  # noqa: PLC0415 # slow

    model = recognizer.model
    model.encoder.set_default_att_context_size(list(context))
    with torch.inference_mode():
        mel, frames = model.preprocessor(
            input_signal=torch.from_numpy(samples)[None], length=torch.tensor([len(samples)])
        )
        encoded, lengths = model.encoder(audio_signal=mel, length=frames)
        (hypothesis,) = model.decoding.rnnt_decoder_predictions_tensor(
            encoder_output=encoded, encoded_lengths=lengths, return_hypotheses=True
        )
    return hypothesis.y_sequence.tolist(), [int(frame) for frame in hypothesis.timestamp]


def _padded(samples: Samples, silence_s: float) -> Samples:
    """With the silence of its end, in whole encoder frames of 80 ms and the 10 ms that the first has more."""
    least = len(samples) + round(silence_s * RATE_HERTZ)
    length = -(-(least - 160) // 1280) * 1280 + 160
    return np.concatenate([samples, np.zeros(length - len(samples), np.float32)])


def test_streams_in_mixed_modes_and_pieces_equal_offline_token_for_token(
    engine: NemotronEngine, recognizer: StreamingRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(seed=7)
    names = ("counting", "asking", "claude", "cloud")
    clips = [np.concatenate([_silence(random.uniform(0, 0.3)), _clip(names[index % 4])]) for index in range(12)]
    modes = [recognizer.modes[(index // 4 + index) % 4] for index in range(12)]
    sessions = [_opened(engine, max_latency_s=mode.latency_s) for mode in modes]
    tokens = [_recorded(session, monkeypatch) for session in sessions]
    positions = [0] * 12
    while unfinished := [index for index in range(12) if positions[index] < len(clips[index])]:
        steps: list[Step] = []
        for index in unfinished:
            begin, positions[index] = positions[index], positions[index] + int(random.integers(1, 4000))
            piece = clips[index][begin : positions[index]]
            steps.append(Step(sessions[index], piece, is_final=positions[index] >= len(clips[index])))
        engine.step(steps)
    for index in range(12):
        whole = _padded(clips[index], NemotronSettings().final_silence_s)
        ids, frames = _offline(recognizer, whole, modes[index].context)
        assert len(ids) > 3
        assert [token.id for token in tokens[index]] == ids
        assert [token.frame for token in tokens[index]] == frames
        sessions[index].close()


def test_pauses_end_utterances_and_change_no_token(
    engine: NemotronEngine, recognizer: StreamingRecognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.concatenate([_clip("counting"), _silence(2), _clip("asking")])
    mode = recognizer.modes[0]
    ended: dict[float, list[tuple[str, float | None]]] = {}
    for step_s in (0.05, 1.0):
        session = _opened(engine, max_latency_s=mode.latency_s)
        tokens = _recorded(session, monkeypatch)
        transcripts = [*_heard(engine, session, samples, step_s), _final(engine, session)]
        ended[step_s] = [(transcript.text, transcript.end_s) for transcript in transcripts]
        whole = _padded(samples, NemotronSettings().final_silence_s)
        assert [token.id for token in tokens] == _offline(recognizer, whole, mode.context)[0]
        session.close()
    assert ended[0.05] == ended[1.0]
    first, second = ended[1.0]
    assert first[0].startswith("zero one")
    # The little model loses the first words after a long silence; so it does offline.
    assert second[0].endswith("yes stop")
    assert first[1] == pytest.approx(len(_clip("counting")) / RATE_HERTZ, abs=0.5)
    assert second[1] is None


def test_finalize_begins_anew_and_does_not_wait_for_a_chunk(engine: NemotronEngine) -> None:
    clip = _clip("claude")
    session = _opened(engine, max_latency_s=1.12)
    texts = [_final(engine, session, clip).text for _ in range(3)]
    assert texts == ["hello cloud please"] * 3
    session.close()


def test_an_utterance_that_ended_with_the_last_audio_is_the_final_one(engine: NemotronEngine) -> None:
    session = _opened(engine)
    (final,) = engine.step([Step(session, np.concatenate([_clip("claude"), _silence(2)]), is_final=True)])[0]
    assert (final.text, final.is_final, final.end_s) == ("hello cloud please", True, None)
    session.close()


def test_discard_forgets_the_utterance_and_keeps_the_clock(engine: NemotronEngine) -> None:
    session = _opened(engine)
    _heard(engine, session, _clip("counting"))
    session.discard()
    final = _final(engine, session, _clip("claude"))
    assert final.text == "hello cloud please"
    assert final.words[0].start_s > len(_clip("counting")) / RATE_HERTZ
    session.close()


def test_interim_text_only_grows_and_its_stable_part_stays(engine: NemotronEngine) -> None:
    session = _opened(engine, interim_results=True, max_latency_s=0.08)
    interim = _heard(engine, session, _clip("counting"), 0.08)
    texts = [*(transcript.text for transcript in interim), _final(engine, session).text]
    assert len(interim) > 5
    for transcript, later in zip(interim, texts[1:], strict=True):
        assert later.startswith(transcript.text[: transcript.stable_character_count])
        assert later.startswith(transcript.text)
    assert all(transcript.stable_character_count > 0 for transcript in interim[3:])
    session.close()


def test_words_have_times_within_the_speech_and_confidence(engine: NemotronEngine) -> None:
    session = _opened(engine, word_time_offsets=True)
    final = _final(engine, session, np.concatenate([_silence(1), _clip("counting")]))
    assert [word.text for word in final.words] == final.text.split()
    assert 1.0 < final.words[0].start_s < 1.7
    assert all(0 < (word.confidence or 0) <= 1 and word.start_s < word.end_s for word in final.words)
    assert final.confidence is not None
    assert 0.5 < final.confidence <= 1
    session.close()


@pytest.mark.parametrize(
    ("wanted_s", "got_ms", "kind"),
    [(3.0, 1120, Kind.APPLIED), (1.0, 560, Kind.APPLIED), (0.16, 160, Kind.APPLIED), (0.05, 80, Kind.APPROXIMATED)],
)
def test_a_stream_gets_the_largest_mode_within_its_wish(
    engine: NemotronEngine, wanted_s: float, got_ms: int, kind: Kind
) -> None:
    session = _opened(engine, max_latency_s=wanted_s)
    (outcome,) = session.outcomes
    assert (outcome.field, outcome.kind) == ("config.max_latency", kind)
    assert f" {got_ms} ms" in outcome.detail
    session.close()


def test_phrases_of_one_stream_do_not_touch_its_neighbours_in_the_batch(engine: NemotronEngine) -> None:
    lists = [(), CLAUDE, (Phrase("weather"), Phrase("cloud")), CLAUDE]
    for latency_s in (1.12, 0.56, 0.16, 0.08):
        sessions = [_opened(engine, phrases=phrases, max_latency_s=latency_s) for phrases in lists]
        answers = engine.step([Step(session, _clip("claude"), is_final=True) for session in sessions])
        heard = [answer[-1].text.split()[1] for answer in answers]
        assert heard == ["cloud", "claude", "cloud", "claude"]
        for session in sessions:
            session.close()


def test_boosting_leaves_other_words_as_they_are(engine: NemotronEngine) -> None:
    for name in ("counting", "asking", "cloud"):
        assert _text(engine, _clip(name), phrases=CLAUDE) == _text(engine, _clip(name))


def test_the_boost_of_a_phrase_counts(engine: NemotronEngine) -> None:
    assert "cloud" in _text(engine, _clip("claude"), phrases=(Phrase("claude", boost=0.01),))
    assert "claude" in _text(
        engine, _clip("claude"), phrases=(Phrase("claude", boost=1.0), Phrase("claude", boost=0.01))
    )


def _states(recognizer: StreamingRecognizer) -> int:
    """States of all trees that NeMo holds."""
    return recognizer.trees._transducer.trees.num_states_total


def test_streams_with_the_same_phrases_share_a_tree_that_goes_when_it_is_long_unused(
    engine: NemotronEngine, recognizer: StreamingRecognizer
) -> None:
    recognizer.trees.close()
    before = _states(recognizer)
    first = _opened(engine, phrases=CLAUDE)
    with_one = _states(recognizer)
    second = _opened(engine, phrases=CLAUDE)
    assert _states(recognizer) == with_one > before
    first.close()
    for index in range(20):
        _opened(engine, phrases=(Phrase("zero " * (index + 1)),)).close()
    assert second.stream.tree >= 0
    assert "claude" in _final(engine, second, _clip("claude")).text
    second.close()
    recognizer.trees.close()
    assert _states(recognizer) == before


def test_a_thousand_phrases_are_taken_and_still_boost(engine: NemotronEngine) -> None:
    random = np.random.default_rng(seed=3)
    letters = list("acdefghilnoprstuvwz")
    names = {"".join(random.choice(letters, 8)) for _ in range(1100)}
    phrases = (*(Phrase(name) for name in sorted(names)[:999]), Phrase("claude"))
    session = _opened(engine, phrases=phrases)
    assert [(outcome.field, outcome.kind) for outcome in session.outcomes] == [("config.biasing.phrases", Kind.APPLIED)]
    assert "claude" in _final(engine, session, _clip("claude")).text
    session.close()


def test_phrases_that_cannot_be_written_are_told_one_by_one(engine: NemotronEngine) -> None:
    phrases = (Phrase("claude"), Phrase("42"), Phrase("中文"), Phrase("hello claude"))
    session = _opened(engine, phrases=phrases)
    assert [outcome.field for outcome in session.outcomes if outcome.kind is Kind.IGNORED] == [
        "config.biasing.phrases[1]",
        "config.biasing.phrases[2]",
    ]
    session.close()
    session = _opened(engine, phrases=phrases[1:3])
    assert {outcome.kind for outcome in session.outcomes} == {Kind.IGNORED}
    assert session.stream.tree == -1
    assert _final(engine, session, _clip("claude")).text == "hello cloud please"
    session.close()


def test_streams_that_are_closed_in_mid_speech_leave_nothing(
    engine: NemotronEngine, recognizer: StreamingRecognizer
) -> None:
    recognizer.trees.close()
    states = _states(recognizer)
    sessions = [_opened(engine, phrases=(Phrase("claude", boost=1 + index),)) for index in range(5)]
    engine.step([Step(session, _clip("counting"), is_final=False) for session in sessions])
    caches = [weakref.ref(session.stream.cache.channel) for session in sessions if session.stream.cache]
    assert len(caches) == 5
    assert _states(recognizer) > states
    for session in sessions:
        session.close()
    recognizer.trees.close()
    assert [cache() for cache in caches] == [None] * 5
    assert _states(recognizer) == states


def test_a_long_stream_holds_no_more_than_a_short_one(engine: NemotronEngine) -> None:
    session = _opened(engine, interim_results=True, max_latency_s=1.12)
    minute = np.tile(np.concatenate([_clip("counting"), _silence(0.4)]), 30)[: 60 * RATE_HERTZ]
    longest: list[int] = []
    for _ in range(3):
        transcripts = _heard(engine, session, minute, 5.0)
        longest.append(max(len(transcript.text) for transcript in transcripts))
        assert session.stream.cache is not None
        assert session.stream.cache.channel.shape[2] == 70
        assert len(session.stream._samples) < 2 * RATE_HERTZ
        assert len(session._utterance.words) < 100
    assert max(longest) < 2 * longest[0]
    session.close()


def test_steady_noise_and_silence_give_no_words(engine: NemotronEngine) -> None:
    noise = np.random.default_rng(seed=1).standard_normal(5 * RATE_HERTZ).astype(np.float32) * 0.002
    assert _text(engine, noise) == ""
    assert _text(engine, _silence(5)) == ""
