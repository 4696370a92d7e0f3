"""The tasks put to a language model, with thinking and without: scores, times, and what came to nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf import json_format, struct_pb2

from voxmesh.llm.v1 import llm_pb2
from voxmesh_client.bench.minds.scoring import score
from voxmesh_client.bench.minds.task_file import Task, TaskSet
from voxmesh_client.errors import MeshError
from voxmesh_client.language_model import LanguageModel

Message = llm_pb2.Message


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """One answer to one question."""

    task: Task
    thinking: bool
    text: str
    score: float
    """From 0 to 10."""
    taken_s: float
    output_tokens: int
    failure: str = ""

    @property
    def is_empty(self) -> bool:
        """It came to nothing, though nothing failed."""
        return not self.failure and not self.text.strip()


@dataclass(frozen=True, slots=True)
class Summary:
    """Answers together."""

    score: float | None
    taken_s: float | None
    output_tokens: int
    asked: int
    empty: int
    failed: int

    @classmethod
    def of(cls, answers: Sequence[TaskAnswer]) -> Summary:
        """Means of scores and times, and numbers of the rest."""
        return cls(
            score=statistics.fmean(each.score for each in answers) if answers else None,
            taken_s=statistics.fmean(each.taken_s for each in answers) if answers else None,
            output_tokens=sum(each.output_tokens for each in answers),
            asked=len(answers),
            empty=sum(each.is_empty for each in answers),
            failed=sum(bool(each.failure) for each in answers),
        )


@dataclass(frozen=True, slots=True)
class Manner:
    """How tasks are asked."""

    thinking: bool
    thoughts: int
    """Tokens of an answer that may be thoughts."""
    timeout_s: float
    """Longest time of an answer."""


async def evaluate(
    service: LanguageModel, tasks: TaskSet, manner: Manner, on_answer: Callable[[], None]
) -> list[TaskAnswer]:
    """Put every question once; one that fails or takes too long has score 0.

    Args:
        service: the language model.
        tasks: the questions.
        manner: how they are asked.
        on_answer: called after each.
    """
    found: list[TaskAnswer] = []
    for task in tasks.tasks:
        found.append(await _asked(service, task, manner))
        on_answer()
    return found


async def _asked(service: LanguageModel, task: Task, manner: Manner) -> TaskAnswer:
    system = [Message(role=Message.ROLE_SYSTEM, text=task.system)] if task.system else []
    messages = [*system, Message(role=Message.ROLE_USER, text=task.prompt)]
    text, tokens, failure = "", 0, ""
    began = time.monotonic()
    try:
        async for response in service.generate(messages, task_config(task, manner), timeout_s=manner.timeout_s):
            text += response.text_delta.text
            tokens += response.finished.usage.output_tokens
    except MeshError as error:
        failure = str(error)
    taken_s = time.monotonic() - began
    return TaskAnswer(task, manner.thinking, text, 0.0 if failure else score(task, text), taken_s, tokens, failure)


def task_config(task: Task, manner: Manner) -> llm_pb2.GenerationConfig:
    """How a task is asked; the likeliest tokens, so that a second run tells the same."""
    tokens = task.max_tokens + (manner.thoughts if manner.thinking else 0)
    sampling = llm_pb2.Sampling(temperature=0.0, seed=1, max_output_tokens=tokens)
    config = llm_pb2.GenerationConfig(sampling=sampling, thinking=manner.thinking)
    if task.answer_schema is not None:
        config.response_schema.CopyFrom(json_format.ParseDict(task.answer_schema, struct_pb2.Struct()))
    return config
