"""How much of what a right answer holds is in an answer to a task."""

from __future__ import annotations

from voxmesh_client.bench.minds.task_file import Task
from voxmesh_client.bench.pictures.scoring import at, json_in, mentions, plain_words

FULL = 10.0
"""The best score."""


def score(task: Task, text: str) -> float:
    """From 0 to 10: the share of fields or facts that are right; what is too long or forbidden takes its share away."""
    if not text.strip():
        return 0.0
    share = _share_of_fields(task, text) if task.fields else _share_of_facts(task, text)
    broken = sum(mentions(text, [word]) for word in task.forbidden)
    broken += task.most_words is not None and len(text.split()) > task.most_words
    rules = len(task.forbidden) + (task.most_words is not None)
    return FULL * share * (1 - broken / (rules + 1))


def _share_of_fields(task: Task, text: str) -> float:
    found = json_in(text)
    if found is None:
        return 0.0
    right = sum(plain_words(at(found, path)) in map(plain_words, values) for path, values in task.fields.items())
    return right / len(task.fields)


def _share_of_facts(task: Task, text: str) -> float:
    return sum(mentions(text, ways) for ways in task.facts) / len(task.facts)
