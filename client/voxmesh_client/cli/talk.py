"""`voxmesh talk`: a spoken conversation through the microphone and the speaker."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from rich.text import Text

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh.stt.v1 import stt_pb2
from voxmesh_client.asking import REPLY_HERTZ, end_tasks, spoken_config
from voxmesh_client.cli.console import (
    BasePortOption,
    JsonOption,
    PurposeOption,
    TargetOption,
    err,
    out,
    print_json,
    run,
    settings_of,
)
from voxmesh_client.cli.languages import language_option
from voxmesh_client.cli.show import (
    asked_of,
    options_dict,
    print_failure,
    print_ignored,
    print_replaced,
    print_waterfall,
    turn_dict,
)
from voxmesh_client.conversation import Conversation
from voxmesh_client.events import Event
from voxmesh_client.mesh import Mesh
from voxmesh_client.playback import Playback
from voxmesh_client.settings import MeshSettings
from voxmesh_client.slots import COORDINATOR
from voxmesh_client.speaker import Speaker, microphone
from voxmesh_client.turns import TurnLog

_MICROPHONE_HERTZ = 16000
_CHUNK_S = 0.02


def talk(
    *,
    language: Annotated[list[str] | None, language_option("your speech")] = None,
    times: Annotated[bool, typer.Option("--times", help="Show where the time of each turn went.")] = False,
    record: Annotated[bool, typer.Option("--record", help="Have it recorded, if the coordinator keeps any.")] = False,
    purpose: PurposeOption = "",
    target: TargetOption = None,
    base_port: BasePortOption = None,
    json: JsonOption = False,
) -> None:
    """Talk with the mesh until Ctrl-C; you may interrupt it. Wear headphones, or it hears itself.

    Examples:
      voxmesh talk
      voxmesh talk --times
    """
    settings = settings_of(base_port, COORDINATOR, target)
    config = spoken_config(_MICROPHONE_HERTZ, tuple(language or ()), purpose=purpose)
    config.record = record
    run(talk_with(settings, config, times=times, json=json))


async def talk_with(
    settings: MeshSettings, config: conversation_pb2.ConversationConfig, *, times: bool, json: bool
) -> None:
    """Hold a spoken conversation until cancelled; `config` as `spoken_config(16000)` makes it."""
    log = TurnLog()
    async with Mesh(settings) as mesh, mesh.conversation(config) as conversation:
        print_ignored(conversation.session)
        # A mesh that does not run is told before a speaker that is missing.
        with Speaker(REPLY_HERTZ) as speaker:
            playback = Playback(speaker)
            err.print("speak; Ctrl-C ends", style="dim")
            tasks = {
                asyncio.create_task(_listen(conversation)),
                asyncio.create_task(playback.tell(conversation)),
                asyncio.create_task(_follow(conversation, log, playback, times=times, json=json)),
            }
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                await end_tasks(*tasks)


async def _listen(conversation: Conversation) -> None:
    async for chunk in microphone(_MICROPHONE_HERTZ, _CHUNK_S):
        await conversation.send_audio(chunk)


async def _follow(conversation: Conversation, log: TurnLog, playback: Playback, *, times: bool, json: bool) -> None:
    with err.status("listening") as status:
        async for event in conversation:
            turn = log.take(event)
            _hear(event, playback)
            print_replaced(event)
            if isinstance(event, stt_pb2.RecognitionResult):
                status.update(Text(event.transcript or "listening"))
            if turn is None or not turn.is_over:
                continue
            if json:
                print_json({**turn_dict(turn), **options_dict(*asked_of(conversation.session))})
                continue
            out.print(Text.assemble(("you:   ", "bold"), turn.text))
            out.print(Text.assemble(("reply: ", "bold"), turn.reply.strip()))
            print_failure(turn)
            if times:
                print_waterfall(turn)


def _hear(event: Event, playback: Playback) -> None:
    match event:
        case conversation_pb2.ReplyAudio():
            playback.take(event.turn_index, event.data)
        case conversation_pb2.Interrupted():
            playback.interrupt()
        case conversation_pb2.Duck():
            playback.duck(event.gain)
        case _:
            pass
