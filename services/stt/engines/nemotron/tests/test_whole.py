"""Models of whole utterances: hybrid, CTC and TDT, made of the test model's parts."""

from __future__ import annotations

import copy
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from voxmesh_runtime.audio import Samples, read_audio_file
from voxmesh_runtime.engine import EngineContext
from voxmesh_runtime.outcomes import Kind
from voxmesh_stt.engine import Phrase, RecognitionOptions, Step, Transcript
from voxmesh_stt_nemotron.engine import NemotronEngine
from voxmesh_stt_nemotron.loading import restore
from voxmesh_stt_nemotron.settings import NemotronSettings
from voxmesh_stt_nemotron.tokens import Token
from voxmesh_stt_nemotron.utterance import SpokenWord, Utterance
from voxmesh_stt_nemotron.whole import WholeRecognizer

pytestmark = pytest.mark.engine

DATA = Path(__file__).parent / "data"
VOCABULARY = 64
WIDTH = 80


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """The trained streaming model and its configuration for whole utterances, with a tokenizer on disk."""
    words = restore(DATA / "words.nemo", "cpu", threads=1)
    folder = tmp_path_factory.mktemp("tokenizer")
    with tarfile.open(DATA / "words.nemo") as archive:
        for member in archive.getmembers():
            if member.name.endswith(("tokenizer.model", "vocab.txt")):
                content = archive.extractfile(member)
                assert content is not None
                (folder / member.name.rsplit("_", 1)[-1]).write_bytes(content.read())
    config = copy.deepcopy(words.cfg)
    OmegaConf.set_struct(config, False)
    config.tokenizer = {"dir": str(folder), "type": "bpe"}
    # PyTorch warns of it in a network of one layer.
    config.decoder.prednet.dropout = 0.0
    config.encoder.att_context_style = "regular"
    config.encoder.att_context_size = [70, 13]
    return words, config


def _ctc_head() -> dict[str, Any]:
    return {
        "_target_": "nemo.collections.asr.modules.ConvASRDecoder",
        "feat_in": WIDTH,
        "num_classes": -1,
        "vocabulary": [],
    }


def _fill_head(head: Any) -> None:
    import torch  # noqa: PLC0415 # slow

    with np.load(DATA / "words_ctc.npz") as weights:
        layer = head.decoder_layers[0]
        layer.weight.data.copy_(torch.from_numpy(weights["weight"].astype(np.float32))[:, :, None])
        layer.bias.data.copy_(torch.from_numpy(weights["bias"].astype(np.float32)))


def _loaded(model: Any, path: Path) -> NemotronEngine:
    """An engine of a model, by way of its file."""
    model.save_to(str(path))
    settings = NemotronSettings(phrase_weight=3, spotting_weight=3)
    engine = NemotronEngine(EngineContext(model=str(path)), settings)
    engine.load()
    engine.warm_up()
    assert isinstance(engine._recognizer, WholeRecognizer)
    return engine


@pytest.fixture(scope="module")
def hybrid(parts: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[NemotronEngine]:
    from nemo.collections.asr.models import EncDecHybridRNNTCTCBPEModel  # noqa: PLC0415 # slow

    words, config = parts[0], copy.deepcopy(parts[1])
    config.pop("target")
    config.aux_ctc = {
        "ctc_loss_weight": 0.3,
        "use_cer": False,
        "ctc_reduction": "mean_batch",
        "decoder": _ctc_head(),
        "decoding": {"strategy": "greedy_batch"},
    }
    model = EncDecHybridRNNTCTCBPEModel(cfg=config)
    model.load_state_dict(words.state_dict(), strict=False)
    _fill_head(model.ctc_decoder)
    engine = _loaded(model, tmp_path_factory.mktemp("hybrid") / "words-hybrid.nemo")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def ctc(parts: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[NemotronEngine]:
    from nemo.collections.asr.models import EncDecCTCModelBPE  # noqa: PLC0415 # slow

    words, config = parts[0], copy.deepcopy(parts[1])
    config.decoder = _ctc_head()
    config.decoding = {"strategy": "greedy_batch"}
    for name in ("joint", "loss", "model_defaults", "target"):
        config.pop(name)
    model = EncDecCTCModelBPE(cfg=config)
    model.encoder.load_state_dict(words.encoder.state_dict())
    _fill_head(model.decoder)
    engine = _loaded(model, tmp_path_factory.mktemp("ctc") / "words-ctc.nemo")
    yield engine
    engine.close()


def _clip(name: str) -> Samples:
    return read_audio_file(DATA / f"{name}.flac")[0]


def _finals(engine: NemotronEngine, *listened: tuple[str, tuple[Phrase, ...]]) -> list[Transcript]:
    """What streams of one step say in the end to a clip each."""
    sessions = [engine.open(RecognitionOptions(phrases=phrases, word_time_offsets=True)) for _, phrases in listened]
    steps = [Step(session, _clip(name), is_final=True) for session, (name, _) in zip(sessions, listened, strict=True)]
    answers = engine.step(steps)
    for session in sessions:
        session.close()
    return [answer[-1] for answer in answers]


def test_a_hybrid_model_decodes_whole_utterances_of_several_streams(hybrid: NemotronEngine) -> None:
    counting, claude = _finals(hybrid, ("counting", ()), ("claude", ()))
    assert "two three four five" in counting.text
    assert claude.text == "hello cloud please"
    assert [word.text for word in counting.words] == counting.text.split()
    starts = [word.start_s for word in counting.words]
    assert starts == sorted(starts)
    assert counting.confidence is not None


def test_phrases_are_spotted_in_the_scores_of_a_hybrid_models_ctc_head(hybrid: NemotronEngine) -> None:
    spotted, plain = _finals(hybrid, ("claude", (Phrase("claude"),)), ("claude", ()))
    assert spotted.text == "hello claude please"
    assert plain.text == "hello cloud please"


def test_a_ctc_model_hears_and_spots(ctc: NemotronEngine) -> None:
    plain, spotted = _finals(ctc, ("claude", ()), ("claude", (Phrase("claude"),)))
    assert plain.text.startswith("hello")
    assert "claude" not in plain.text.split()
    assert "claude" in spotted.text.split()
    (counting,) = _finals(ctc, ("counting", ()))
    assert "three four" in counting.text


def test_spotted_phrases_have_one_boost_and_say_so(ctc: NemotronEngine) -> None:
    session = ctc.open(RecognitionOptions(phrases=(Phrase("claude", 5.0), Phrase("中"))))
    outcomes = {outcome.field: outcome.kind for outcome in session.outcomes}
    session.close()
    assert outcomes == {"config.biasing.phrases": Kind.APPROXIMATED, "config.biasing.phrases[1]": Kind.IGNORED}
    session = ctc.open(RecognitionOptions(phrases=(Phrase("claude", 5.0),)))
    assert [outcome.kind for outcome in session.outcomes] == [Kind.APPROXIMATED]
    session.close()


def test_a_phrase_replaces_the_words_that_it_covers() -> None:
    words = [SpokenWord([Token(0, first, 0.9), Token(0, last, 0.9)], text) for text, first, last in (
        ("the", 0, 1), ("cloud", 4, 6), ("code", 8, 9), ("works", 12, 14),
    )]  # fmt: skip
    from voxmesh_stt_nemotron.spotting import place  # noqa: PLC0415 # with PyTorch

    utterance = Utterance(None, words)  # pyright: ignore[reportArgumentType] # no token is read
    place("claude code", 4, 9, 0.7, utterance)
    assert utterance.text == "the claude code works"
    assert [(word.first_frame, word.last_frame) for word in utterance.words] == [(0, 1), (4, 6), (7, 9), (12, 14)]


def test_a_tdt_transducer_runs_with_trees(parts: tuple[Any, Any], tmp_path: Path) -> None:
    from nemo.collections.asr.models import EncDecRNNTBPEModel  # noqa: PLC0415 # slow

    durations = [0, 1, 2, 3, 4]
    config = copy.deepcopy(parts[1])
    config.joint.num_extra_outputs = len(durations)
    config.model_defaults.tdt_durations = durations
    config.decoding = {
        "strategy": "greedy_batch",
        "model_type": "tdt",
        "durations": durations,
        "greedy": {"max_symbols": 10},
    }
    config.loss = {"loss_name": "tdt", "tdt_kwargs": {"durations": durations, "sigma": 0.05, "omega": 0.1}}
    engine = _loaded(EncDecRNNTBPEModel(cfg=config), tmp_path / "tdt.nemo")
    plain, boosted = _finals(engine, ("counting", ()), ("counting", (Phrase("zero zero"),)))
    assert plain.is_final
    assert boosted.is_final
    engine.close()


def test_a_canary_like_model_decodes_in_the_callers_language_and_ignores_phrases() -> None:
    engine = NemotronEngine(EngineContext(model=str(DATA / "canary_random.nemo")), NemotronSettings())
    engine.load()
    engine.warm_up()
    assert engine.info.facts.language_codes == ("en", "de")
    assert not engine.info.word_time_offsets
    sessions = [
        engine.open(RecognitionOptions(language_codes=(language,), phrases=(Phrase("claude"),)))
        for language in ("en", "de-DE", "en-GB")
    ]
    answers = engine.step([Step(session, _clip("claude"), is_final=True) for session in sessions])
    assert [answer[-1].language_code for answer in answers] == ["en", "de", "en"]
    assert [(outcome.field, outcome.kind) for outcome in sessions[0].outcomes] == [
        ("config.biasing.phrases", Kind.IGNORED)
    ]
    for session in sessions:
        session.close()
    engine.close()
