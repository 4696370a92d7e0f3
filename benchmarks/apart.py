"""Benchmark `apart`: spoken sessions at once, each with its own words; after every turn, whether any crossed over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.apart_words import LISTS, WORDS, of_others, question_for, words_in
from benchmarks.mesh import LocalMesh
from benchmarks.result import Result, Table
from benchmarks.speech import PATIENCE_S, NotAnswered, Question, Speaker
from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2, conversation_pb2_grpc
from voxmesh.stt.v1 import stt_pb2
from voxmesh.tts.v1 import tts_pb2
from voxmesh_client import Conversation, Mesh
from voxmesh_client.asking import REPLY_HERTZ, spoken_config
from voxmesh_client.slots import COORDINATOR
from voxmesh_client.sound import pcm
from voxmesh_client.turns import Turn, TurnLog
from voxmesh_runtime.channels import open_channel
from voxmesh_runtime.structs import Json
from voxmesh_testing.llm_server import Play, recorded_upstream, text

RATE_HERTZ = 16_000
LISTEN_EVERY = 5
"""Every so many turns the reply's audio is transcribed too."""
_HEARD_S = 3600.0
_PIECE_BYTES = 9600


class Recall:
    """The language model of this benchmark: it answers with the words it was asked about, of all it can see."""

    def __init__(self) -> None:
        self.seen: dict[str, list[list[str]]] = {name: [] for name in LISTS}
        """By session, the words in each request's history, in order; of a session by its system prompt alone."""
        self.unknown = 0
        """Requests without the system prompt of a session."""

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[str]:
        """It serves for the time of a block; gives its URL."""
        async with recorded_upstream() as upstream:
            upstream.play(self._answer)
            yield upstream.url

    def _answer(self, request: Json) -> Play:
        messages: Any = request["messages"]
        asked = words_in(" ".join(each["content"] for each in messages if each["role"] == "user"))
        names = [name for name in LISTS if name in messages[0]["content"]]
        if len(names) == 1:
            self.seen[names[0]].append(words_in(" ".join(each["content"] for each in messages[1:])))
        else:
            self.unknown += 1
        last = words_in(messages[-1]["content"])
        if not last:
            return Play([text("I did not hear that.")])
        earlier = [word for word in asked if word not in last]
        before = f" Before that it was the {earlier[-1]}." if earlier else ""
        return Play([text(f"You asked about the {last[-1]}."), text(before)])


@dataclass(slots=True)
class Person:
    """One session's words, what was said, and what was found."""

    name: str
    questions: dict[str, Question]
    found: Counter[str] = field(default_factory=Counter[str])
    mixed: list[str] = field(default_factory=list[str])
    """What belongs to another session; each a sentence."""
    trace_ids: list[str] = field(default_factory=list[str])
    session_id: str = ""

    def check(self, turn: int, what: str, words: Sequence[str]) -> None:
        """Words that were found somewhere must be this session's."""
        if strange := of_others(self.name, words):
            self.mixed.append(f"{self.name}, turn {turn}: {what} has {', '.join(strange)} of another session")


async def measure_apart(mesh: LocalMesh, recall: Recall, *, turns: int = 200, sessions: int = 2) -> Result:
    """Hold spoken turns in several sessions at once, and look for what crossed over.

    Args:
        mesh: its language model service has `recall` for its upstream.
        recall: keeps what it was shown.
        turns: of all sessions together.
        sessions: at once.
    """
    each = turns // sessions
    people = [Person(name, await _questions(mesh.client, name, each)) for name in list(LISTS)[:sessions]]
    problems = [f"{person.name}: no word is heard as it is said" for person in people if not person.questions]
    if not problems:
        recall.unknown = 0  # before a session asks, the service itself does, to see whether its upstream answers
        await asyncio.gather(*(_converse(mesh.client, person, recall, each) for person in people))
        await _check_reports(mesh, people)
        problems = problems_of(people, recall)
    figures = {person.name: {**person.found, "mixed": person.mixed} for person in people}
    return Result("apart", [_table(people, problems)], {"turns": turns, "people": figures}, problems)


async def _converse(mesh: Mesh, person: Person, recall: Recall, turns: int) -> None:
    config = spoken_config(RATE_HERTZ)
    config.system_prompt = f"You talk with {person.name}."
    async with mesh.conversation(config) as conversation, asyncio.TaskGroup() as tasks:
        person.session_id = conversation.session.session_id
        log, answered = TurnLog(), asyncio.Event()
        tasks.create_task(_read(conversation, log, answered))
        words, before = list(person.questions), ""
        for number in range(turns):
            word, begun = words[number % len(words)], len(log.turns)
            answered.clear()
            try:
                await Speaker(person.questions[word]).speak(conversation.send_audio, answered)
            except NotAnswered:
                person.found["unanswered"] += 1
                continue
            own = log.turns[begun:]
            await conversation.played(own[-1].index, _HEARD_S)
            await _check(person, recall, number, own, (word, before))
            if number % LISTEN_EVERY == 0:
                await _listen(mesh, person, number, word, own[-1])
            before = word
        await conversation.finish()


async def _read(conversation: Conversation, log: TurnLog, answered: asyncio.Event) -> None:
    async for event in conversation:
        log.take(event)
        if log.is_answered:
            answered.set()


async def _check(person: Person, recall: Recall, number: int, turns: Sequence[Turn], words: tuple[str, str]) -> None:
    """What came of one question, about a word after the one before: transcript, history, reply and report."""
    word, before = words
    person.found["turns"] += 1
    person.found["more than one turn"] += len(turns) > 1
    heard, reply = words_in(" ".join(turn.text for turn in turns)), words_in(" ".join(turn.reply for turn in turns))
    person.check(number, "the transcript", heard)
    person.check(number, "the reply", reply)
    for seen in recall.seen[person.name]:
        person.check(number, "the history", seen)
    latest = recall.seen[person.name][-1:]
    recall.seen[person.name].clear()
    person.found["transcripts right"] += heard == [word]
    person.found["replies with the own word"] += word in reply
    person.found["histories with the word before"] += bool(latest) and (not before or before in latest[0])
    for turn in turns:
        person.trace_ids += [turn.report.trace_id] if turn.report is not None else []


async def _listen(mesh: Mesh, person: Person, number: int, word: str, turn: Turn) -> None:
    """What the reply's audio says must be about the session's own word."""
    sound = words_in(await _transcribed(mesh, b"".join(turn.audio)))
    person.check(number, "the reply's sound", sound)
    person.found["replies listened to"] += 1
    person.found["replies that sound right"] += word in sound


async def _check_reports(mesh: LocalMesh, people: Sequence[Person]) -> None:
    """The coordinator's own list must have each trace under its session, and under no other."""
    async with open_channel(mesh.client.settings.target(COORDINATOR)) as channel:
        stub = conversation_pb2_grpc.ConversationServiceStub(channel)
        listed = await stub.ListTurnReports(conversation_pb2.ListTurnReportsRequest(limit=1000))
    for person in people:
        own = [each.report.trace_id for each in listed.turns if each.session_id == person.session_id]
        person.found["reports"] = len(own)
        if sorted(own) != sorted(person.trace_ids):
            person.mixed.append(f"{person.name}: the list of reports has other traces than the session was told of")


def problems_of(people: Sequence[Person], recall: Recall) -> list[str]:
    """All that is wrong, each a sentence: what crossed over, and what makes the run show nothing."""
    problems = [problem for person in people for problem in person.mixed]
    counted = Counter(trace for person in people for trace in person.trace_ids)
    problems += [f"trace {trace} is told of {count} times" for trace, count in counted.items() if count > 1]
    problems += [f"{recall.unknown} requests belong to no session"] if recall.unknown else []
    for person in people:
        found = person.found
        problems += [f"{person.name}: {found['unanswered']} questions got no answer"] if found["unanswered"] else []
        if not found["turns"]:
            problems.append(f"{person.name}: no turn was held")
        for share in ("replies with the own word", "histories with the word before"):
            # Recognition is not what is measured here; but a run in which little was understood shows nothing.
            if found[share] < 0.9 * found["turns"]:
                problems.append(f"{person.name}: only {found[share]} of {found['turns']} {share}")
    return problems


async def _questions(mesh: Mesh, name: str, at_most: int) -> dict[str, Question]:
    """The session's questions by word, in the mesh's own voice; words that it mishears by themselves are left out."""
    questions: dict[str, Question] = {}
    for word in LISTS[name]:
        config = tts_pb2.SynthesisConfig(audio_format=_format(RATE_HERTZ))
        audio = b"".join([piece.data async for piece in mesh.text_to_speech.speak(_each(question_for(word)), config)])
        if words_in(await _transcribed(mesh, audio, RATE_HERTZ)) == [word]:
            questions[word] = Question.of(audio, RATE_HERTZ)
        if len(questions) == at_most:
            break
    return questions


async def _transcribed(mesh: Mesh, audio: bytes, rate_hertz: int = REPLY_HERTZ) -> str:
    chunks = [audio[begin : begin + _PIECE_BYTES] for begin in range(0, len(audio), _PIECE_BYTES)]
    config = stt_pb2.RecognitionConfig(audio_format=_format(rate_hertz))
    async with asyncio.timeout(PATIENCE_S):
        results = [each.transcript async for each in mesh.speech_to_text.transcribe(_each(*chunks), config)]
    return " ".join(results)


def _format(rate_hertz: int) -> common_pb2.AudioFormat:
    return pcm(rate_hertz).to_proto()


async def _each(*pieces: Any) -> AsyncGenerator[Any]:
    for piece in pieces:
        yield piece


_COLUMNS = (
    *("turns", "transcripts right", "replies with the own word", "histories with the word before"),
    *("replies listened to", "replies that sound right", "more than one turn", "unanswered", "reports"),
)


def _table(people: Sequence[Person], problems: Sequence[str]) -> Table:
    rows = [(column, *(str(person.found[column]) for person in people)) for column in _COLUMNS]
    rows.append(("found of another session", *(str(len(person.mixed)) for person in people)))
    verdict = "; ".join(problems) or f"nothing of one session was found in another; {len(WORDS)} words were looked for"
    return Table("apart: spoken sessions at once", ("", *(person.name for person in people)), rows, [f"{verdict}."])
