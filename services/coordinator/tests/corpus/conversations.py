"""The scripts: what a person and a mesh of fakes do, step by step, in virtual time.

The first fourteen are the scenarios of `voxmesh bench conversation`; the rest are overlaps, echoes, pauses, failures,
typed turns, pictures, tools and takeovers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import struct_pb2

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_runtime.errors import Unavailable
from voxmesh_testing.virtual import speech
from voxmesh_testing.virtual.caller import REPLY_HERTZ, Caller
from voxmesh_testing.virtual.llm import Answer, calls, says
from voxmesh_testing.virtual.speech import silence
from voxmesh_testing.virtual.stage import Stage
from voxmesh_testing.virtual.stt import FakeRecognizer
from voxmesh_testing.virtual.turn import FakeTurnDetector

Step = Callable[[Stage, Caller], Awaitable[None]]

BEAT_S, BETWEEN_FRAMES_S = 0.1, 0.007

STORY = ("Once upon a time there was a king. ", *["He had three sons and they all went away. "] * 12)
TALE, SLOW_TALE = says(*STORY, gap_s=0.1), says(*STORY, gap_s=1.5)
PARIS = says("It is Paris.")
FRANCE, ITALY = "What is the capital of France?", "And what is the capital of Italy?"
LAMP = conversation_pb2.Tool(name="lamp", description="Turns on the lamp", parameters=struct_pb2.Struct())


async def _on_the_beat() -> None:
    """Wait for the next beat: a script goes on at the same moment though an answer came a little sooner or later."""
    now = asyncio.get_running_loop().time() - BETWEEN_FRAMES_S
    await asyncio.sleep(BEAT_S - now % BEAT_S)


def _speak(sound: Callable[[Caller], bytes]) -> Step:
    async def step(_: Stage, call: Caller) -> None:
        await _on_the_beat()
        call.say(sound(call))
        await call.said()
        await _on_the_beat()

    return step


def say(*parts: str | float) -> Step:
    """Speak texts, with silences of so many seconds between them."""
    sounds = [speech.say(part) if isinstance(part, str) else silence(part) for part in parts]
    return _speak(lambda _: b"".join(sounds))


def cough(seconds: float = 0.4) -> Step:
    """Make a noise."""
    return _speak(lambda _: speech.cough(seconds))


def echo(turn_index: int, begin_s: float, seconds: float, gain: float = 0.5) -> Step:
    """The microphone hears a part of a reply."""
    return _speak(lambda call: speech.echo(call.reply_audio(turn_index), REPLY_HERTZ, begin_s, seconds, gain))


def wait(seconds: float) -> Step:
    """Do nothing."""

    async def step(_: Stage, __: Caller) -> None:
        await asyncio.sleep(seconds)
        await _on_the_beat()

    return step


def typed(text: str) -> Step:
    """Send a text."""
    return lambda _, call: call.conversation.send_text(text)


def picture() -> Step:
    """Send a picture."""
    return lambda _, call: call.conversation.send_image(b"a picture")


def interrupt() -> Step:
    """Have the client stop the reply."""
    return lambda _, call: call.conversation.interrupt()


def mute() -> Step:
    """Have the microphone send nothing more."""

    async def step(_: Stage, call: Caller) -> None:
        call.is_muted = True

    return step


def until(kind: type[Any], count: int = 1) -> Step:
    """Wait for the count-th response of a kind."""

    async def step(_: Stage, call: Caller) -> None:
        await call.until(kind, count)
        await _on_the_beat()

    return step


def tool_result(count: int = 1) -> Step:
    """Answer the count-th tool call."""

    async def step(_: Stage, call: Caller) -> None:
        wanted = await call.until(conversation_pb2.ToolCall, count)
        result = conversation_pb2.ToolResult(call_id=wanted.call_id, content="done")
        await call.conversation.send_tool_result(result)

    return step


def stage(change: Callable[[Stage], object]) -> Step:
    """Change the mesh."""

    async def step(there: Stage, _: Caller) -> None:
        change(there)

    return step


def kill(slot: str) -> Step:
    """A service dies."""
    return stage(lambda there: there.network.kill(slot))


def take_over() -> Step:
    """The coordinator dies, and another goes on."""
    return lambda there, _: there.take_over()


audio = until(conversation_pb2.ReplyAudio)
ended = until(conversation_pb2.TurnEnded)
report = until(conversation_pb2.TurnReport)


def reports(count: int) -> Step:
    """Wait for so many turns to be over."""
    return until(conversation_pb2.TurnReport, count)


@dataclass(frozen=True, slots=True)
class Conversation:
    """One script."""

    steps: Sequence[Step]
    answers: Sequence[Answer] = (PARIS,)
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    how: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of the caller and of the config."""
    replicas: Sequence[str] = ()
    prepare: Callable[[Stage], object] = lambda _: None
    """Changes the mesh before it begins."""


def _second(slot: str) -> dict[str, Any]:
    return {f"{slot}_backends": [{"target": slot}, {"target": f"{slot}-2"}]}


def _serve_second(slot: str) -> Callable[[Stage], object]:
    fakes = {"turn": FakeTurnDetector, "stt": FakeRecognizer}
    return lambda there: there.serve(f"{slot}-2", fakes[slot]())


def _mishear(there: Stage) -> None:
    there.stt.understands = lambda words: words.replace("three sons", "free sands").replace("king", "thing")


def _judge_sound_alone(there: Stage) -> None:
    there.turn.judges_words = False


def _judge_late(there: Stage) -> None:
    there.turn.judges_words = False
    there.turn.judge_s = 1.2


def _recognise_slowly(there: Stage) -> None:
    there.stt.finalize_s = 0.9


def _see(there: Stage) -> None:
    there.vlm.sees = "a red bicycle"


PLAYS: Mapping[str, Any] = {"plays": True}
ECHOES: Mapping[str, Any] = {"plays": True, "echoes": True}
TOOLS: Mapping[str, Any] = {"tools": [LAMP]}
TWO = ("one", "two")

CONVERSATIONS: Mapping[str, Conversation] = {
    # The scoreboard's.
    "plain": Conversation(
        [say(FRANCE), report, wait(2), say("Who wrote the play Hamlet?"), reports(2), wait(2), say("I read."), wait(6)],
        [PARIS, says("Shakespeare did."), says("That is nice to hear.")],
    ),
    "follow_up": Conversation([say(FRANCE), report, wait(0.1), say("And what about Germany?"), wait(5)]),
    "pause": Conversation(
        [
            say("Next summer I am going to visit Rome with my sister,", 0.8, "so what should we see there?"),
            report,
            wait(2),
            say("I would like to know the name of,", 0.8, "the longest river in Africa."),
            wait(5),
        ]
    ),
    "um": Conversation([say("I would like to have, um", 1.2, "a cup of coffee."), wait(6)]),
    "yeah": Conversation([say(FRANCE), report, wait(1), say("Yeah."), reports(2), wait(1), say("Yeah."), wait(5)]),
    "quick_correction": Conversation([say("What is the capital of Spain?"), wait(0.5), say("I mean Italy."), wait(6)]),
    "correction": Conversation(
        [say("What is the capital of Spain?"), audio, wait(0.4), say("I mean Italy."), wait(6)],
        [TALE, PARIS],
        how=PLAYS,
    ),
    "interruption": Conversation(
        [say("Tell me a story."), audio, wait(1.5), say("Stop. What is the capital of Italy?"), wait(6)],
        [TALE, PARIS],
        how=PLAYS,
    ),
    "interruption_espeak": Conversation(
        [say("Tell me a story."), audio, wait(1.5), say("Wait, who wrote Hamlet?"), wait(6)], [SLOW_TALE, PARIS]
    ),
    "backchannel": Conversation(
        [say("Tell me a story."), audio, wait(1.2), say("Mm-hm."), wait(2), say("Right."), wait(4)], [TALE], how=PLAYS
    ),
    "backchannel_espeak": Conversation(
        [say("Tell me a story."), audio, wait(1.2), say("Okay."), wait(2), say("Yeah."), wait(4)], [SLOW_TALE]
    ),
    "noise_over_reply": Conversation(
        [say("Tell me a story."), audio, wait(1), cough(), wait(2), cough(0.2), wait(2), cough(1.5), wait(4)], [TALE]
    ),
    "cough_while_thinking": Conversation(
        [say(FRANCE), wait(0.3), cough(), wait(6), say("Please tell me the name."), wait(0.3), cough(0.2), wait(6)],
        [says("", "It is Paris.", gap_s=2.0)],
    ),
    "echo": Conversation(
        [say("Tell me a story."), audio, wait(2.5), echo(0, 1.0, 1.5, 0.25), wait(3), echo(0, 4.0, 3.0, 0.12), wait(6)],
        [TALE],
        how=PLAYS,
    ),
    # Pauses and ends of turns.
    "unfinished": Conversation([say("I would like to know whether the"), wait(5)]),
    "unfinished_goes_on": Conversation(
        [say("I would like to know whether the", 0.8, "shop is open."), wait(5)], settings={"max_end_of_turn_wait_s": 6}
    ),
    "brisk": Conversation(
        [say("I want,", 0.3, "well,", 0.3, "to see,", 0.3, "maybe,", 0.3, "the sea,", 0.3, "and the"), wait(5)]
    ),
    "goes_on_after_sentences": Conversation(
        [say("I like it.", 0.35, "I like it a lot.", 0.35, "I really do."), wait(5), say("Do you?"), wait(5)]
    ),
    "thrown_away": Conversation(
        [say(FRANCE, 1.5, ITALY), wait(8)],
        [TALE, PARIS],
        {"min_end_of_turn_wait_s": 3, "max_end_of_turn_wait_s": 4},
    ),
    "many_tries": Conversation(
        [say("I see.", 0.6, "It is so.", 0.6, "And more.", 0.6, "And again.", 0.6, "And last."), wait(8)],
        [says("", "Well.", gap_s=3.0)],
        {"min_end_of_turn_wait_s": 2, "max_end_of_turn_wait_s": 3},
    ),
    "slow_model": Conversation([say(FRANCE), wait(8)], [says("", "It is Paris.", gap_s=4.0)]),
    "goes_on_while_a_slow_model_thinks": Conversation(
        [say(FRANCE), wait(0.9), say(ITALY), wait(8)], [says("", "It is Paris.", gap_s=4.0)]
    ),
    "sound_alone": Conversation([say(FRANCE), wait(5)], prepare=_judge_sound_alone),
    "late_judgement": Conversation([say(FRANCE), wait(6)], prepare=_judge_late),
    "late_judgement_of_a_part": Conversation([say("I would like to know the name"), wait(6)], prepare=_judge_late),
    "slow_recogniser": Conversation([say(FRANCE), wait(6)], prepare=_recognise_slowly),
    "speaks_while_the_final_is_awaited": Conversation(
        [say(FRANCE), wait(0.8), say(ITALY), wait(7)], prepare=_recognise_slowly
    ),
    "without_speculation": Conversation([say(FRANCE), wait(5)], how={"speculation": False}),
    "without_interims": Conversation([say(FRANCE, 0.6, ITALY), wait(6)], how={"interim_results": False}),
    "cough_alone": Conversation([cough(), wait(4)]),
    "cough_then_words": Conversation([cough(), wait(0.3), say(FRANCE), wait(5)]),
    "whispered_twice": Conversation([say("Yes."), wait(0.2), say("No."), wait(5)]),
    "hangs_up_in_mid_word": Conversation([say("Tell me what is")]),
    "hangs_up_after_a_question": Conversation([say(FRANCE), wait(0.15)]),
    "filler": Conversation(
        [say("Find it, please."), wait(6)],
        [says("", "Here it is.", gap_s=3.0)],
        {"filler": "Let me see.", "filler_after_s": 0.5},
    ),
    # Speech over replies.
    "own_echo": Conversation([typed("Tell me a story."), audio, wait(9)], [TALE], how=ECHOES),
    "own_echo_misheard": Conversation(
        [typed("Tell me a story."), audio, wait(9)], [TALE], how=ECHOES, prepare=_mishear
    ),
    "quotes_the_reply": Conversation(
        [typed("Tell me a story."), audio, wait(4), say("Once upon a time there was a king?"), wait(6)],
        [TALE, says("Yes.")],
        how=PLAYS,
    ),
    "interrupts_over_echo": Conversation(
        [typed("Tell me a story."), audio, wait(2), say(FRANCE), wait(7)], [SLOW_TALE, PARIS], how=ECHOES
    ),
    "stop": Conversation([typed("Tell me a story."), audio, wait(2), say("Stop."), wait(4)], [TALE, says("Fine.")]),
    "murmur_then_question": Conversation(
        [typed("Tell me a story."), audio, wait(1), say("Right.", 0.2, "But what about Italy?"), wait(6)], [TALE, PARIS]
    ),
    "speaks_while_the_assistant_thinks": Conversation(
        [typed(FRANCE), wait(0.5), say(ITALY), wait(6)], [says("", "Too late.", gap_s=30.0), says("Paris and Rome.")]
    ),
    "speaks_over_the_last_words": Conversation(
        [typed(FRANCE), report, wait(0.3), say("Thank you, and what about Italy?"), wait(6)],
        [says("It is Paris, and it has been so for a very long time."), says("Rome.")],
        how=PLAYS,
    ),
    "murmurs_over_the_last_words": Conversation(
        [typed(FRANCE), report, wait(0.3), say("Right."), wait(6)],
        [says("It is Paris, and it has been so for a very long time.")],
        how=PLAYS,
    ),
    "speaks_beyond_the_last_words": Conversation(
        [typed(FRANCE), report, wait(1.2), say("Thank you so much for that. What is the capital of Italy?"), wait(6)],
        [says("It is Paris, it is."), says("Rome.")],
    ),
    "client_interrupts": Conversation([typed("Tell me a story."), audio, wait(1), interrupt(), wait(3)], [TALE]),
    "client_interrupts_what_is_lowered": Conversation(
        [typed("Tell me a story."), audio, wait(1), cough(0.3), interrupt(), wait(4)], [TALE]
    ),
    "client_interrupts_before_words": Conversation([typed(FRANCE), interrupt(), wait(3)], [says("", "No.", gap_s=5.0)]),
    # Typed turns, pictures and tools.
    "typed": Conversation([typed(FRANCE), report, typed(ITALY), wait(4)], [PARIS, says("Rome.")]),
    "typed_over_a_reply": Conversation(
        [typed("Tell me a story."), audio, wait(1), typed(FRANCE), wait(5)], [TALE, PARIS], how=PLAYS
    ),
    "typed_while_speaking": Conversation(
        [wait(0.1), stage(lambda _: None), typed(FRANCE), say("And what is the capital of Italy, please?"), wait(7)],
        [PARIS, says("Rome.")],
    ),
    "typed_in_a_pause": Conversation([say(FRANCE), wait(0.3), typed(ITALY), wait(7)], [says("Rome."), PARIS]),
    "picture": Conversation([picture(), say("What do you see?"), wait(6)], prepare=_see),
    "picture_typed": Conversation([picture(), picture(), typed("What do you see?"), wait(5)], prepare=_see),
    "picture_of_no_turn": Conversation([cough(), picture(), wait(4), say("What do you see?"), wait(6)], prepare=_see),
    "tool": Conversation(
        [say("Turn on the lamp."), tool_result(), wait(5)], [calls("lamp", "{}"), says("Done.")], how=TOOLS
    ),
    "tool_interrupted": Conversation(
        [typed("Turn on the lamp."), until(conversation_pb2.ToolCall), say(FRANCE), wait(6)],
        [calls("lamp", "{}", before="I will."), PARIS],
        how=TOOLS,
    ),
    # Trouble.
    "recogniser_dies_and_another_goes_on": Conversation(
        [say("What is the"), kill("stt"), say("capital of France?"), wait(6)],
        settings=_second("stt"),
        prepare=_serve_second("stt"),
    ),
    "detector_dies_and_another_goes_on": Conversation(
        [say("What is the"), kill("turn"), say("capital of France?"), wait(6)],
        settings=_second("turn"),
        prepare=_serve_second("turn"),
    ),
    "recogniser_dies": Conversation(
        [say("What is the"), kill("stt"), say("capital of France?"), wait(4), typed(ITALY), wait(4)]
    ),
    "detector_dies": Conversation([say("What is the"), kill("turn"), say("capital?"), wait(3), typed(ITALY), wait(4)]),
    "detector_dies_over_a_reply": Conversation(
        [typed("Tell me a story."), audio, wait(1), say("But what"), kill("turn"), wait(5)], [TALE]
    ),
    "language_model_fails": Conversation(
        [say(FRANCE), wait(6), typed(ITALY), wait(4)], [Answer(refusal=Unavailable("gone"))] * 5 + [PARIS]
    ),
    "language_model_breaks": Conversation([say(FRANCE), wait(6)], [says("It is", reason=None)]),
    "voice_dies": Conversation([typed("Tell me a story."), audio, wait(1), kill("tts"), wait(6)], [TALE]),
    "no_voice": Conversation([kill("tts"), say(FRANCE), wait(6)]),
    "microphone_stops": Conversation([say("What is the capital of"), mute(), wait(6)]),
    # Another coordinator goes on.
    "taken_over_in_a_reply": Conversation(
        [typed("Tell me a story."), audio, wait(2), take_over(), wait(9)], [TALE], replicas=TWO
    ),
    "taken_over_in_a_question": Conversation(
        [say("What is the capital"), take_over(), say("of France?"), wait(9)], replicas=TWO
    ),
    "taken_over_while_lowered": Conversation(
        [typed("Tell me a story."), audio, wait(2), cough(0.3), take_over(), wait(9)], [TALE], replicas=TWO
    ),
}
