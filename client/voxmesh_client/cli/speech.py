"""`voxmesh transcribe` and `voxmesh speak`: recordings to text and text to recordings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from voxmesh.common.v1 import common_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_client.cli.console import (
    BasePortOption,
    Failed,
    JsonOption,
    TargetOption,
    err,
    input_line,
    out,
    print_json,
    require_place,
    run,
    settings_of,
    to_dict,
)
from voxmesh_client.cli.languages import language_option
from voxmesh_client.cli.show import options_dict, print_options
from voxmesh_client.endpoint import OnReady
from voxmesh_client.mesh import Mesh
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import STT, TTS
from voxmesh_client.sound import file_chunks, pcm, sent_hertz, write_pcm
from voxmesh_client.speaker import Speaker
from voxmesh_runtime.audio import AudioFile

_CHUNK_S = 0.1
_REPLY_HERTZ = 24000
_LONG_S = 20.0
"""Files longer than this get a progress bar."""

Show: TypeAlias = Callable[[float | None, str | None], None]
"""Shows seconds done, or the newest text."""

LanguageOption = Annotated[list[str] | None, language_option("the speech, likeliest first; may be given several times")]
PhraseOption = Annotated[
    list[str] | None, typer.Option(help="A name or term to listen for; may be given several times.")
]
ContextOption = Annotated[str, typer.Option(help="Text that precedes or frames the speech.")]


def transcribe(
    files: Annotated[list[Path], typer.Argument(help="Audio files: wav, flac, ogg or mp3.")],
    *,
    language: LanguageOption = None,
    phrase: PhraseOption = None,
    context: ContextOption = "",
    word_times: Annotated[bool, typer.Option("--word-times", help="Print when each word is said.")] = False,
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Print what is said in audio files.

    Examples:
      voxmesh transcribe meeting.wav
      voxmesh transcribe *.flac --phrase Nemotron --phrase voxmesh
      voxmesh transcribe call.mp3 --json | jq -r .results[].transcript
    """
    phrases = [stt_pb2.Phrase(text=text) for text in phrase or ()]
    config = stt_pb2.RecognitionConfig(
        language_codes=language or (),
        interim_results=err.is_terminal and not json,
        word_time_offsets=word_times,
        biasing=stt_pb2.Biasing(phrases=phrases, context=context),
    )
    run(_transcribe(settings_of(base_port, STT, target), files, config, json=json))


async def _transcribe(
    settings: MeshSettings, files: list[Path], config: stt_pb2.RecognitionConfig, *, json: bool
) -> None:
    async with Mesh(settings) as mesh:
        for path in files:
            with AudioFile(path) as file, _progress(path, file.duration_s, shown=not json) as show:
                results, ready = await _results(mesh, file, config, show)
            if path == files[0]:
                print_options(ready)
            if json:
                plain = [to_dict(result) for result in results]
                print_json({"file": str(path), "results": plain, **options_dict(ready)})
            else:
                _print_results(path, results, named=len(files) > 1)


async def _results(
    mesh: Mesh, file: AudioFile, config: stt_pb2.RecognitionConfig, show: Show
) -> tuple[list[stt_pb2.RecognitionResult], common_pb2.Ready]:
    """The final results of a file, and what was made of the config; interim ones are shown."""
    ready = common_pb2.Ready()
    own = stt_pb2.RecognitionConfig()
    own.CopyFrom(config)
    own.audio_format.CopyFrom(pcm(sent_hertz(file.sample_rate_hertz)).to_proto())
    done: list[stt_pb2.RecognitionResult] = []
    audio = file_chunks(file, _CHUNK_S, lambda seconds: show(seconds, None))
    async for result in mesh.speech_to_text.transcribe(audio, own, on_ready=ready.CopyFrom):
        show(None, result.transcript)
        if result.is_final:
            done.append(result)
    return done, ready


def _print_results(path: Path, results: list[stt_pb2.RecognitionResult], *, named: bool) -> None:
    text = " ".join(result.transcript for result in results if result.transcript)
    out.print(f"{path}: {text}" if named else text, markup=False)
    for word in (word for result in results for word in result.words):
        start, end = (offset.seconds + offset.nanos / 1e9 for offset in (word.start_offset, word.end_offset))
        out.print(f"  {start:8.2f} {end:8.2f}  {word.text}", markup=False)


@contextmanager
def _progress(path: Path, duration_s: float, *, shown: bool) -> Generator[Show]:
    """Give a function that shows seconds done and the newest text, on a terminal alone."""
    if not shown or not err.is_terminal:
        yield lambda _seconds, _text: None
        return
    bar = (BarColumn(), TimeRemainingColumn()) if duration_s > _LONG_S else ()
    columns = (TextColumn(path.name, markup=False), *bar, TextColumn("{task.fields[text]}", markup=False))
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("", total=duration_s, text="")

        def show(seconds: float | None, text: str | None) -> None:
            fields: dict[str, Any] = {} if text is None else {"text": text[-60:]}
            progress.update(task, completed=seconds, **fields)

        yield show


def speak(
    text: Annotated[str, typer.Argument(help="What to say; - reads it from standard input as it comes.")],
    *,
    to: Annotated[Path | None, typer.Option("--out", help="Write a wav file instead of playing.")] = None,
    voice: Annotated[str, typer.Option(help="Voice, as `voxmesh models` lists them.")] = "",
    language: Annotated[str, language_option("the text")] = "",
    rate: Annotated[float | None, typer.Option(min=0.25, max=4.0, help="Speed; 1 is normal.")] = None,
    instruction: Annotated[str, typer.Option(help='How to speak, such as "whisper".')] = "",
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Say text, or write it to a wav file.

    Examples:
      voxmesh speak "Good morning." --out morning.wav
      voxmesh generate "Tell me a story." --max-tokens 60 | voxmesh speak - --out story.wav
    """
    config = tts_pb2.SynthesisConfig(
        audio_format=pcm(_REPLY_HERTZ).to_proto(),
        voice=voice,
        language_code=language,
        speaking_rate=rate,
        instruction=instruction,
    )
    require_place(to)
    settings = settings_of(base_port, TTS, target)
    seconds, ready = run(_write(settings, text, config, to) if to is not None else _play(settings, text, config))
    if json:
        told = {"file": str(to) if to is not None else None, "seconds": round(seconds, 3)}
        print_json({**told, **options_dict(ready)})
    elif to is not None:
        out.print(f"{to}: {seconds:.1f} s", markup=False)


async def _write(
    settings: MeshSettings, text: str, config: tts_pb2.SynthesisConfig, to: Path
) -> tuple[float, common_pb2.Ready]:
    async with Mesh(settings) as mesh:
        ready = common_pb2.Ready()
        pieces = [audio.data async for audio in mesh.text_to_speech.speak(_pieces(text), config, on_ready=_told(ready))]
    if not pieces:
        raise Failed("nothing in the text can be spoken; give it some words")
    return write_pcm(to, pieces, _REPLY_HERTZ), ready


async def _play(settings: MeshSettings, text: str, config: tts_pb2.SynthesisConfig) -> tuple[float, common_pb2.Ready]:
    async with Mesh(settings) as mesh:
        ready = common_pb2.Ready()
        async with aclosing(mesh.text_to_speech.speak(_pieces(text), config, on_ready=_told(ready))) as audio:
            first = await anext(audio, None)
            # A mesh that does not run is told before a speaker that is missing.
            with Speaker(_REPLY_HERTZ) as speaker:
                if first is not None:
                    speaker.play(first.data)
                async for piece in audio:
                    speaker.play(piece.data)
                await speaker.drained()
                return speaker.played_s, ready


def _told(ready: common_pb2.Ready) -> OnReady:
    """Keeps what was made of the config, and tells it before anything is heard."""

    def take(given: common_pb2.Ready) -> None:
        ready.CopyFrom(given)
        print_options(given)

    return take


async def _pieces(text: str) -> AsyncGenerator[str]:
    """The text in pieces that the contract takes; of standard input, line by line."""
    if text != "-":
        for start in range(0, len(text), 4000):
            yield text[start : start + 4000]
        return
    while line := await asyncio.to_thread(input_line, 4000):
        yield line
