"""Scripts of conversations: what a person says and when, and what a good listener would do.

A scenario is a TOML file:

    about = "A murmur over a reply does not stop it."
    system_prompt = "Tell long stories."            # optional

    [[steps]]
    say = "tell_story"                              # when all is quiet; a sound of sounds.toml
    expect = "answer"

    [[steps]]
    say_during_reply = "mm_hm"                      # after_s after the reply's start, or the sound before
    after_s = 1.0
    expect = "no_interruption"

`say = ["italy_begin", 0.8, "italy_end"]` is one utterance with a true silence of 0.8 s in it.
`say_after_speech` comes `after_s` after the end of the last utterance, whatever the mesh does;
`echo_during_reply = 1.5` lets so many seconds of the reply reach the microphone; `pause` lets time pass.
"""

from __future__ import annotations

import enum
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from voxmesh_client.bench.conversations.sounds import Sound, known, places
from voxmesh_client.bench.problems import BenchUsage

SHIPPED = Path(__file__).with_name("scenarios")
"""Folder of the scenarios that ship with the client."""

LEAST_PAUSE_S, MOST_S = 0.2, 30.0


class Expect(enum.Enum):
    """What a good listener does."""

    ANSWER = "answer"
    """Lets the person finish, then answers."""
    NO_TURN = "no_turn"
    """Takes it for no turn; what it was doing goes on."""
    INTERRUPTION = "interruption"
    """Stops the reply, then answers."""
    NO_INTERRUPTION = "no_interruption"
    """Goes on with the reply and takes it for no turn."""
    ANY = "any"
    """What happens does not count."""

    @property
    def is_answered(self) -> bool:
        """True when an answer must come."""
        return self in {Expect.ANSWER, Expect.INTERRUPTION}

    @property
    def is_ignored(self) -> bool:
        """True when nothing may come of it."""
        return self in {Expect.NO_TURN, Expect.NO_INTERRUPTION}


def _line(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Line = Annotated[tuple[str | float, ...], BeforeValidator(_line)]
"""Sounds with seconds of silence between them."""

_VERBS = ("say", "say_during_reply", "say_after_speech", "echo_during_reply", "pause")
_OVER_REPLY = {"say_during_reply", "echo_during_reply"}


class Step(BaseModel):
    """One thing that happens; it has exactly one verb."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    say: Line | None = None
    """Say when all before is over."""
    say_during_reply: Line | None = None
    """Say over the reply to what was said before."""
    say_after_speech: Line | None = None
    """Say after the last utterance, without regard to turns."""
    echo_during_reply: float | None = Field(default=None, gt=0, le=10)
    """Seconds of the reply that come back into the microphone."""
    pause: float | None = Field(default=None, gt=0, le=MOST_S)
    """Seconds of silence."""
    after_s: float = Field(default=0.5, ge=0, le=MOST_S)
    """Seconds to wait first."""
    gain_db: float = Field(default=0.0, ge=-60, le=0)
    """Level of the sound, or of an echo against the reply."""
    expect: Expect | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        verbs = [verb for verb in _VERBS if getattr(self, verb) is not None]
        if len(verbs) != 1:
            raise ValueError(f"must have exactly one of {', '.join(_VERBS)}, not {', '.join(verbs) or 'none'}")
        if (self.expect is None) != (self.pause is not None):
            values = ", ".join(each.value for each in Expect)
            raise ValueError(f"needs expect (one of {values})" if self.pause is None else "a pause expects nothing")
        only_over_reply = self.expect in {Expect.INTERRUPTION, Expect.NO_INTERRUPTION}
        if only_over_reply and not self.is_over_reply:
            raise ValueError("expects what only say_during_reply or echo_during_reply can bring")
        _check_line(self.line)
        return self

    @property
    def line(self) -> Sequence[str | float]:
        """What is said; empty for an echo or a pause."""
        return self.say or self.say_during_reply or self.say_after_speech or ()

    @property
    def is_over_reply(self) -> bool:
        """True when it is to be heard while a reply plays."""
        return any(getattr(self, verb) is not None for verb in _OVER_REPLY)

    @property
    def label(self) -> str:
        """What is heard, for a person."""
        names = [each for each in self.line if isinstance(each, str)]
        return "+".join(names) or ("echo" if self.echo_during_reply is not None else "pause")


def _check_line(line: Sequence[str | float]) -> None:
    for place, each in enumerate(line):
        if isinstance(each, str) != (place % 2 == 0):
            raise ValueError(f"must be sounds with seconds of silence between them, not {list(line)}")
        if not isinstance(each, str) and not LEAST_PAUSE_S <= each <= MOST_S:
            raise ValueError(f"a silence must be {LEAST_PAUSE_S:g} to {MOST_S:g} s, not {each:g}")
    if line and len(line) % 2 == 0:
        raise ValueError("must end with a sound")


class Scenario(BaseModel):
    """One conversation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = ""
    """Of its file."""
    about: str = Field(min_length=1)
    """What it shows, in one sentence."""
    system_prompt: str = ""
    """Of the conversation; empty takes the coordinator's."""
    steps: tuple[Step, ...] = Field(min_length=1)


def read_scenarios(folder: Path, sounds: Mapping[str, Sound]) -> list[Scenario]:
    """The scenarios of a folder, by file name.

    Raises:
        BenchUsage: there is none, or one is wrong; the message names the file and the field or line.
    """
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise BenchUsage(f"{folder}: holds no scenario, a file such as interruption.toml")
    return [read_scenario(path, sounds) for path in paths]


def read_scenario(path: Path, sounds: Mapping[str, Sound]) -> Scenario:
    """One scenario; see `read_scenarios`."""
    try:
        scenario = Scenario.model_validate({"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))})
    except OSError as error:
        raise BenchUsage(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        raise BenchUsage(f"{path}: {places(error)}") from None
    except ValueError as error:  # TOML, which names the line, or UTF-8
        raise BenchUsage(f"{path}: is no TOML: {error}") from None
    for number, step in enumerate(scenario.steps):
        unknown = [each for each in step.line if isinstance(each, str) and each not in sounds]
        if unknown:
            raise BenchUsage(f"{path}: steps.{number}: no sound {unknown[0]!r}; known: {known(sounds)}")
    return scenario
