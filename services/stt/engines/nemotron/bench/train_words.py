"""Train the test model: a cache-aware transducer of 20 words, and a CTC head on its encoder.

    python services/stt/engines/nemotron/bench/train_words.py OUT_FOLDER [--minutes 25] [--sentences 2200]

Writes `words.nemo` and `words_ctc.npz`. Word error rate 0.04 to 0.06 over the four modes after about
25 minutes of one core. Most of the "claude"s are labelled "cloud", so that the model hears "cloud"
unless it is told to expect "claude", as large models do with names.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sentencepiece
import torch
from nemo.collections.asr.models import EncDecRNNTBPEModel
from omegaconf import OmegaConf
from speech import WORDS, Sentence, sentences
from torch.nn import functional
from transducer_loss import transducer_loss

WIDTH = 80
MODES = [[70, 13], [70, 6], [70, 1], [70, 0]]
VOCABULARY = 64
BATCH = 16
MISLABELLED = 0.7
HELD_OUT = 150
HALF = 0.5

RANDOM = np.random.default_rng(seed=0)


def main() -> None:
    """Train, measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--sentences", type=int, default=2200)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        make_tokenizer(Path(folder))
        model: Any = EncDecRNNTBPEModel(cfg=configuration(folder))
        model.preprocessor.featurizer.dither = 0.0
        said = sentences(arguments.sentences)
        mel = [_mel(model, sentence) for sentence in said]
        _normalise(model, mel[:300])
        head = train(model, said[HELD_OUT:], mel[HELD_OUT:], arguments.minutes * 60)
        model.eval()
        for context in MODES:
            print(context, f"{exact(model, said[:HELD_OUT], mel[:HELD_OUT], context):.2f} of sentences exact")
        model.encoder.set_default_att_context_size(MODES[0])
        arguments.out.mkdir(parents=True, exist_ok=True)
        model.save_to(str(arguments.out / "words.nemo"))
    weights = {name: value.detach().numpy().astype(np.float16) for name, value in head.named_parameters()}
    np.savez(arguments.out / "words_ctc.npz", allow_pickle=False, **weights)


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


if __name__ == "__main__":
    main()
