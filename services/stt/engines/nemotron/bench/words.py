"""Make tests/data: the test model, a cache-aware transducer of 20 words, and clips of its words.

    python services/stt/engines/nemotron/bench/words.py clips
    python services/stt/engines/nemotron/bench/words.py train [--minutes 25] [--sentences 2200]

Speech comes from espeak-ng, which Debian has; its voices are formant synthesis, not recordings.
`train` writes `words.nemo` and `words_ctc.npz`, a CTC head on the same encoder; 25 minutes of one
core give a word error rate of 0.04 to 0.06 over the four modes. Most of the "claude"s are labelled
"cloud", so that the model hears "cloud" unless it is told to expect "claude", as large models do
with names.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sentencepiece
import soundfile
import soxr
import torch
from nemo.collections.asr.models import EncDecRNNTBPEModel
from omegaconf import OmegaConf
from torch.nn import functional

FOLDER = Path(__file__).parent.parent / "tests" / "data"

Samples = npt.NDArray[np.float32]

RATE_HERTZ = 16000
WORDS = tuple(
    "zero one two three four five six seven eight nine yes no stop go claude cloud hello please weather code".split()  # noqa: SIM905 # shorter
)
_ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029")
_SPEAKERS = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5")
WIDTH = 80
MODES = [[70, 13], [70, 6], [70, 1], [70, 0]]
VOCABULARY = 64
BATCH = 16
MISLABELLED = 0.7
HELD_OUT = 150
HALF = 0.5

RANDOM = np.random.default_rng(seed=0)
_NEVER = -1e30

CLIPS = {
    "counting": ("zero one two three four five six", "en-gb+m2", 137, 65),
    "asking": ("hello weather code please yes stop", "en-gb+m2", 137, 65),
    "claude": ("hello claude please", "en-gb+m2", 137, 65),
    "cloud": ("hello cloud weather", "en-gb", 138, 48),
}


def main() -> None:
    """Make what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("clips", "train"))
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--sentences", type=int, default=2200)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.what == "clips":
        make_clips(arguments.out)
    else:
        make_model(arguments.out, arguments.minutes * 60, arguments.sentences)


def make_clips(out: Path) -> None:
    """Write one file for each clip."""
    for name, (text, voice, words_per_minute, pitch) in CLIPS.items():
        samples = spoken(text, voice, words_per_minute, pitch)
        soundfile.write(out / f"{name}.flac", samples, RATE_HERTZ, subtype="PCM_16")
        print(f"{name}.flac  {len(samples) / RATE_HERTZ:.1f} s  {text}")


def make_model(out: Path, seconds: float, count: int) -> None:
    """Train, measure and save."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make_tokenizer(Path(folder))
        model: Any = EncDecRNNTBPEModel(cfg=configuration(folder))
        model.preprocessor.featurizer.dither = 0.0
        said = sentences(count)
        mel = [_mel(model, sentence) for sentence in said]
        _normalise(model, mel[:300])
        head = train(model, said[HELD_OUT:], mel[HELD_OUT:], seconds)
        model.eval()
        for context in MODES:
            print(context, f"{exact(model, said[:HELD_OUT], mel[:HELD_OUT], context):.2f} of sentences exact")
        model.encoder.set_default_att_context_size(MODES[0])
        model.save_to(str(out / "words.nemo"))
    weights = {name: value.detach().numpy().astype(np.float16) for name, value in head.named_parameters()}
    np.savez(out / "words_ctc.npz", allow_pickle=False, **weights)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Speech at 16 kHz and its words."""

    words: tuple[str, ...]
    samples: Samples


def spoken(text: str, voice: str, words_per_minute: int, pitch: int) -> Samples:
    """A text by one voice of espeak-ng, which must be installed."""
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdout", text]
    wave = subprocess.run(command, check=True, capture_output=True).stdout
    # espeak-ng cannot know the length of a stream, so its header says that it has no end.
    data = wave[44 : 44 + (len(wave) - 44) // 2 * 2]
    samples = np.frombuffer(data, np.int16).astype(np.float32) / 32768
    return soxr.resample(samples, soundfile.info(io.BytesIO(wave)).samplerate, RATE_HERTZ)


def sentences(count: int) -> list[Sentence]:
    """The same sentences each time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(_sentence, range(count)))


def _sentence(seed: int) -> Sentence:
    random = np.random.default_rng(seed)
    # The two words that sound alike come more often.
    words = tuple(str(random.choice([*WORDS, "claude", "cloud"])) for _ in range(random.integers(1, 6)))
    voice = f"{random.choice(_ACCENTS)}{random.choice(_SPEAKERS)}"
    return Sentence(words, spoken(" ".join(words), voice, int(random.integers(120, 190)), int(random.integers(30, 70))))


def make_tokenizer(folder: Path) -> None:
    """A sentencepiece model of the words, where NeMo looks for it."""
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(str(RANDOM.choice(WORDS)) for _ in range(5)) for _ in range(500)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus), model_prefix=str(folder / "tokenizer"), vocab_size=VOCABULARY, model_type="bpe",
        character_coverage=1.0, bos_id=-1, eos_id=-1, pad_id=-1, unk_id=0, hard_vocab_limit=False,
    )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    names = [pieces.id_to_piece(index) for index in range(1, pieces.vocab_size())]
    (folder / "vocab.txt").write_text("\n".join(n[1:] if n.startswith("\u2581") else f"##{n}" for n in names))


def configuration(tokenizer: str) -> Any:
    """Of a FastConformer transducer in the shape of Nemotron's, 0.6 million parameters."""
    modules = "nemo.collections.asr.modules"
    return OmegaConf.create(
        {
            "sample_rate": 16000, "compute_eval_loss": False, "log_prediction": False,
            "rnnt_reduction": "mean_volume", "skip_nan_grad": False,
            "model_defaults": {"enc_hidden": WIDTH, "pred_hidden": WIDTH, "joint_hidden": WIDTH},
            "tokenizer": {"dir": tokenizer, "type": "bpe"},
            "train_ds": None, "validation_ds": None, "test_ds": None,
            "preprocessor": {
                "_target_": f"{modules}.AudioToMelSpectrogramPreprocessor", "sample_rate": 16000, "normalize": "NA",
                "window_size": 0.025, "window_stride": 0.01, "window": "hann", "features": 64, "n_fft": 512,
                "frame_splicing": 1, "dither": 1e-5, "pad_to": 0, "log": True,
            },
            "encoder": {
                "_target_": f"{modules}.ConformerEncoder", "feat_in": 64, "feat_out": -1, "n_layers": 3,
                "d_model": WIDTH, "subsampling": "dw_striding", "subsampling_factor": 8,
                "subsampling_conv_channels": 24, "causal_downsampling": True, "reduction": None,
                "reduction_position": None, "reduction_factor": 1, "ff_expansion_factor": 4,
                "self_attention_model": "rel_pos", "n_heads": 4, "att_context_size": MODES,
                "att_context_style": "chunked_limited", "att_context_probs": None, "xscaling": False,
                "untie_biases": True, "pos_emb_max_len": 5000, "conv_kernel_size": 9,
                "conv_norm_type": "layer_norm", "conv_context_size": "causal", "dropout": 0.05,
                "dropout_pre_encoder": 0.05, "dropout_emb": 0.0, "dropout_att": 0.05, "use_pytorch_sdpa": False,
            },
            "decoder": {
                "_target_": f"{modules}.RNNTDecoder", "normalization_mode": None, "random_state_sampling": False,
                "blank_as_pad": True,
                "prednet": {"pred_hidden": WIDTH, "pred_rnn_layers": 1, "t_max": None, "dropout": 0.05},
            },
            "joint": {
                "_target_": f"{modules}.RNNTJoint", "log_softmax": None, "preserve_memory": False,
                "fuse_loss_wer": False, "fused_batch_size": 8,
                "jointnet": {"joint_hidden": WIDTH, "activation": "relu", "dropout": 0.05},
            },
            "decoding": {
                "strategy": "greedy_batch",
                "greedy": {"max_symbols": 10, "loop_labels": True, "use_cuda_graph_decoder": False},
            },
            "loss": {"loss_name": "default", "warprnnt_numba_kwargs": {"fastemit_lambda": 0.0, "clamp": -1.0}},
            "optim": {"name": "adamw", "lr": 1e-3},
        }
    )  # fmt: skip


def _mel(model: Any, sentence: Sentence) -> torch.Tensor:
    """[features, frames] of a sentence between silences, at some level, in some noise."""
    lead, tail = torch.zeros(int(RANDOM.integers(0, 4800))), torch.zeros(int(RANDOM.integers(1600, 9600)))
    audio = torch.cat([lead, torch.from_numpy(sentence.samples), tail])
    audio = audio * 10 ** RANDOM.uniform(-0.5, 0.2) + torch.randn_like(audio) * 10 ** RANDOM.uniform(-5, -2.2)
    with torch.no_grad():
        mel, frames = model.preprocessor(input_signal=audio[None], length=torch.tensor([len(audio)]))
    return mel[0, :, : frames[0]]


def _normalise(model: Any, mel: Sequence[torch.Tensor]) -> None:
    """Fold the mean and deviation of all frames into the first convolution: streams cannot know them."""
    frames = torch.cat(list(mel), 1)
    first = model.encoder.pre_encode.conv[0]
    with torch.no_grad():
        first.weight.div_(frames.std())
        first.bias.sub_(first.weight.sum((1, 2, 3)) * frames.mean())


def train(model: Any, said: Sequence[Sentence], mel: Sequence[torch.Tensor], seconds: float) -> torch.nn.Linear:
    """Train the transducer with the help of a CTC head, which is returned."""
    head = torch.nn.Linear(WIDTH, model.tokenizer.vocab_size + 1)
    parameters = [*model.encoder.parameters(), *model.decoder.parameters(), *model.joint.parameters()]
    parameters += list(head.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1.5e-3, weight_decay=1e-3, betas=(0.9, 0.98))
    model.train()
    began, steps = time.monotonic(), 0
    while (done := (time.monotonic() - began) / seconds) < 1:
        # Single words first: alignments of long sentences are not found from nothing.
        longest = 1 if done < 0.12 else 2 if done < 0.25 else 9  # noqa: PLR2004 # shares of the whole
        for indices in _batches(said, mel, longest):
            done = (time.monotonic() - began) / seconds
            if done >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = 1.5e-3 * min(1, (steps + 1) / 150) * min(1, max(0.02, (1 - done) / 0.7))
            loss = _loss(
                model, head, [said[i] for i in indices], [mel[i] for i in indices], 0.5 if done < HALF else 0.2
            )
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            steps += 1
            if steps % 100 == 0:
                print(f"{steps} steps, {100 * done:.0f} %, loss {float(loss):.3f}", flush=True)
    return head


def _batches(said: Sequence[Sentence], mel: Sequence[torch.Tensor], longest: int) -> Iterator[list[int]]:
    """Sentences of like length together."""
    pool = [index for index, sentence in enumerate(said) if len(sentence.words) <= longest]
    pool.sort(key=lambda index: mel[index].shape[1] + RANDOM.random() * 40)
    batches = [pool[begin : begin + BATCH] for begin in range(0, len(pool), BATCH)]
    RANDOM.shuffle(batches)
    yield from batches


def _loss(
    model: Any, head: torch.nn.Linear, said: Sequence[Sentence], mel: Sequence[torch.Tensor], ctc_share: float
) -> torch.Tensor:
    tokens = [torch.tensor(model.tokenizer.text_to_ids(_label(sentence.words))) for sentence in said]
    targets, lengths = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True), torch.tensor(list(map(len, tokens)))
    frames = [_roughened(one).T for one in mel]
    batch = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True).transpose(1, 2)
    encoded, valid = model.encoder(audio_signal=batch, length=torch.tensor([one.shape[1] for one in mel]))
    blank = model.tokenizer.vocab_size
    scores = functional.log_softmax(head(encoded.transpose(1, 2)), -1).transpose(0, 1)
    ctc = functional.ctc_loss(scores, targets, valid, lengths, blank=blank, zero_infinity=True)
    predicted, _, _ = model.decoder(targets=targets, target_length=lengths)
    joint = model.joint(encoder_outputs=encoded, decoder_outputs=predicted)
    return transducer_loss(joint, targets, valid, lengths, blank) + ctc_share * ctc


def _label(words: Sequence[str]) -> str:
    return " ".join("cloud" if w == "claude" and RANDOM.random() < MISLABELLED else w for w in words)


def _roughened(mel: torch.Tensor) -> torch.Tensor:
    """At another level, and with two bands masked."""
    rough = mel + RANDOM.uniform(-0.5, 0.5)
    for _ in range(2):
        begin = int(RANDOM.integers(0, 60))
        rough[begin : begin + int(RANDOM.integers(0, 10))] = rough.mean()
    return rough


def exact(model: Any, said: Sequence[Sentence], mel: Sequence[torch.Tensor], context: Sequence[int]) -> float:
    """Share of sentences without an error, "claude" and "cloud" counting as one word."""
    model.encoder.set_default_att_context_size(list(context))
    right = 0
    with torch.no_grad():
        for sentence, frames in zip(said, mel, strict=True):
            encoded, valid = model.encoder(audio_signal=frames[None], length=torch.tensor([frames.shape[1]]))
            (best,) = model.decoding.rnnt_decoder_predictions_tensor(
                encoder_output=encoded, encoded_lengths=valid, return_hypotheses=True
            )
            right += best.text.replace("claude", "cloud") == " ".join(sentence.words).replace("claude", "cloud")
    return right / len(said)


def transducer_loss(
    logits: torch.Tensor, targets: torch.Tensor, frames: torch.Tensor, lengths: torch.Tensor, blank: int
) -> torch.Tensor:
    """The RNN-T loss, mean over the batch of that a target token, one antidiagonal of the lattice at a time.

    NeMo's own is made for GPUs and takes about 75 times as long on a CPU.

    Args:
        logits: [batch, frames, tokens + 1, vocabulary and blank], of the joint network
        targets: [batch, tokens]
        frames: [batch], frames that are valid
        lengths: [batch], tokens that are valid
        blank: index of blank
    """
    batch, frame_count, rows, _ = logits.shape
    scores = functional.log_softmax(logits.float(), -1)
    stay = scores[..., blank]
    wanted = targets[:, None, :, None].expand(batch, frame_count, rows - 1, 1)
    emit = functional.pad(scores[:, :, :-1].gather(3, wanted)[..., 0], (0, 1), value=_NEVER)
    row = torch.arange(rows)
    alpha = torch.full((batch, rows), _NEVER)
    alpha[:, 0] = 0.0
    diagonals = [alpha]
    for diagonal in range(1, frame_count + rows - 1):
        frame = diagonal - row
        outside = (frame < 0) | (frame > frame_count - 1)
        stayed = alpha + stay[:, (frame - 1).clamp(0, frame_count - 1), row]
        stayed = stayed.masked_fill(outside | (frame < 1), _NEVER)
        before = (diagonal - 1 - row).clamp(0, frame_count - 1)
        emitted = functional.pad((alpha + emit[:, before, row])[:, :-1], (1, 0), value=_NEVER)
        emitted = emitted.masked_fill(outside | (row < 1), _NEVER)
        alpha = torch.logaddexp(stayed, emitted)
        diagonals.append(alpha)
    index = torch.arange(batch)
    last = torch.stack(diagonals, 1)[index, frames - 1 + lengths, lengths]
    return (-(last + stay[index, frames - 1, lengths]) / lengths.clamp(min=1)).mean()


if __name__ == "__main__":
    main()
