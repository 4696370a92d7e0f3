"""What the loaded model is asked to do, token by token: answer in words, answer as data, read lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers.decoders import DecodeStream

from voxmesh_runtime.errors import InvalidArgument, Unavailable
from voxmesh_vlm.engine import Analysis, AnalysisRequest, Structured, TextDelta, Truncated
from voxmesh_vlm.schemas import fault
from voxmesh_vlm.spotting import SCHEMA, LineReader, spotting_prompt
from voxmesh_vlm.wording import answer_text
from voxmesh_vlm_qwen_vl.decoder import Choose, likeliest
from voxmesh_vlm_qwen_vl.grammar import parsed
from voxmesh_vlm_qwen_vl.loading import Loaded
from voxmesh_vlm_qwen_vl.pixels import with_margin
from voxmesh_vlm_qwen_vl.prompts import Prompt
from voxmesh_vlm_qwen_vl.settings import QwenVlSettings

_AT_WORK = TextDelta("")


class Seeing:
    """The loaded model at work.

    Args:
        model: is asked.
        settings: how much it may see and write.
    """

    def __init__(self, model: Loaded, settings: QwenVlSettings) -> None:
        self._model = model
        self._settings = settings

    def answer(self, request: AnalysisRequest) -> Analysis:
        """Words or data about pictures or a video.

        Raises:
            InvalidArgument: they are longer than the context, or the schema cannot be kept.
        """
        prompt = self._prompt(request)
        limit = self._limit(prompt, request.max_output_tokens)
        if request.response_schema is None:
            yield from self._written(prompt, limit)
        else:
            yield from self._structured(prompt, limit, request.response_schema)

    def read(self, request: AnalysisRequest) -> Analysis:
        """The lines of text of each picture by itself, each as soon as it is read."""
        is_cut = False
        for index, picture in enumerate(request.pictures):
            patches = self._model.patcher.pictures([picture], self._settings.max_pixels)
            prompt = self._model.prompter.of_pictures(spotting_prompt(request.language_codes), patches)
            limit = self._limit(prompt, self._settings.max_reading_tokens)
            height, width = with_margin(picture).shape[:2]
            reader = LineReader(index, width, height)
            grammar = self._model.grammars.of_schema(SCHEMA)
            text = _Text(self._model, prompt, limit, grammar.choose)
            for piece in text:
                yield from reader.feed(piece) or [_AT_WORK]
                if grammar.is_over:
                    break
            is_cut = is_cut or text.is_cut
        if is_cut:
            yield Truncated()

    def _prompt(self, request: AnalysisRequest) -> Prompt:
        patcher, prompter, most = self._model.patcher, self._model.prompter, self._settings.max_pixels
        text = answer_text(request)
        if request.frame_interval_s is None:
            return prompter.of_pictures(text, patcher.pictures(request.pictures, most))
        video = patcher.video(request.pictures, most)
        return prompter.of_video(text, video, len(request.pictures), request.frame_interval_s)

    def _limit(self, prompt: Prompt, wanted: int) -> int:
        """Tokens that may be written after a prompt."""
        room = min(self._settings.max_context_tokens, self._model.decoder.most_tokens)
        taken = prompt.ids.shape[1]
        if taken >= room:
            problem = f"pictures and prompt have {taken} tokens; with the answer at most {room} fit; send less"
            raise InvalidArgument("analyze", problem)
        return min(wanted, room - taken)

    def _written(self, prompt: Prompt, limit: int) -> Analysis:
        text = _Text(self._model, prompt, limit, likeliest)
        for piece in text:
            yield TextDelta(piece)
        if text.is_cut:
            yield Truncated()

    def _structured(self, prompt: Prompt, limit: int, schema: dict[str, object]) -> Analysis:
        grammar = self._model.grammars.of_schema(schema)
        pieces: list[str] = []
        for piece in _Text(self._model, prompt, limit, grammar.choose):
            pieces.append(piece)
            yield _AT_WORK
            if grammar.is_over:
                break
        value = parsed("".join(pieces))
        if value is None:
            yield Truncated()
        elif problem := fault(schema, value):
            raise Unavailable(f"the model's answer does not satisfy the schema ({problem}); try another prompt")
        else:
            yield Structured(value)


class _Text:
    """An answer in pieces, one a token; a piece is empty where a token is but a part of a character."""

    def __init__(self, model: Loaded, prompt: Prompt, limit: int, choose: Choose) -> None:
        self._tokens = model.decoder.tokens(prompt, choose)
        self._tokenizer = model.tokenizer.backend_tokenizer
        self._limit = limit
        self.is_cut = False
        """The limit came before the end."""

    def __iter__(self) -> Iterator[str]:
        stream = DecodeStream(skip_special_tokens=True)
        for count, token in enumerate(self._tokens):
            if count == self._limit:
                self.is_cut = True
                return
            yield stream.step(self._tokenizer, token) or ""
