"""Plays a scenario on a stage: waits for each step's cue, speaks, and waits for what comes of the last one."""

from __future__ import annotations

from collections.abc import Mapping

from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_client.bench.conversations.microphone import lay_out
from voxmesh_client.bench.conversations.script import Expect, Scenario, Step
from voxmesh_client.bench.conversations.sounds import Sound
from voxmesh_client.bench.conversations.stage import BrokenOff, Stage
from voxmesh_client.bench.conversations.timeline import Utterance

PATIENCE_S = 20.0
"""After speech no answer is expected any more when it has not come by then."""
AFTERMATH_S = 2.5
"""What a sound that should be ignored brings about, it brings about within this time after its end."""
_BREATH_S = 0.3


class Director:
    """One play of a scenario.

    Args:
        scenario: what is played.
        sounds: by name.
        stage: a conversation that has just begun.
    """

    def __init__(self, scenario: Scenario, sounds: Mapping[str, Sound], stage: Stage) -> None:
        self._scenario = scenario
        self._sounds = sounds
        self._stage = stage
        self._timeline = stage.timeline

    async def play(self) -> None:
        """Act out all steps; a conversation that breaks off is told in the timeline."""
        try:
            for number, step in enumerate(self._scenario.steps, 1):
                await self._act(number, step)
            await self._settled(with_playback=False)
        except BrokenOff as broken:
            self._timeline.failure = str(broken)

    async def _act(self, number: int, step: Step) -> None:
        if step.pause is not None:
            await self._pass(step.pause)
        elif step.is_over_reply:
            await self._over_reply(number, step)
        elif step.say_after_speech is not None:
            await self._speak(number, step, self._last_end_s + step.after_s)
        else:
            await self._settled(with_playback=True)
            await self._speak(number, step, self._now_s + step.after_s)

    @property
    def _now_s(self) -> float:
        return self._stage.microphone.now_s

    @property
    def _last_end_s(self) -> float:
        return self._timeline.utterances[-1].end_s if self._timeline.utterances else 0.0

    async def _over_reply(self, number: int, step: Step) -> None:
        """Wait for a reply to what was said last, then speak over it."""
        since_s = self._last_end_s
        if not await self._stage.until(lambda: self._reply_began_s() is not None, since_s + PATIENCE_S):
            self._timeline.unsaid.append(number)
            return
        at_s = max(self._reply_began_s() or 0.0, since_s) + step.after_s
        if step.echo_during_reply is not None:
            await self._echo(number, step, step.echo_during_reply, at_s)
        else:
            await self._speak(number, step, at_s)

    def _reply_began_s(self) -> float | None:
        """When the reply being played began; None while there is none to what was said last."""
        player = self._stage.player
        began_s = player.began_s.get(player.turn_index) if player.turn_index is not None else None
        if began_s is None or not player.is_playing:
            return None
        last = self._timeline.utterances[-1] if self._timeline.utterances else None
        is_older = last is not None and last.expect.is_answered and began_s < last.end_s
        return None if is_older else began_s

    async def _speak(self, number: int, step: Step, at_s: float) -> None:
        spoken = lay_out(step.line, self._sounds.__getitem__, step.gain_db)
        onset_s, end_s = self._stage.microphone.place(spoken, at_s)
        await self._uttered(number, step, onset_s, end_s, spoken.text)

    async def _echo(self, number: int, step: Step, seconds: float, at_s: float) -> None:
        await self._stage.until(lambda: self._now_s >= at_s, at_s + PATIENCE_S)
        onset_s = self._now_s
        self._stage.player.start_echo(seconds, step.gain_db)
        await self._uttered(number, step, onset_s, onset_s + seconds, "")

    async def _uttered(self, number: int, step: Step, onset_s: float, end_s: float, text: str) -> None:
        """Note an utterance at its onset, when it shows what it is spoken over, and wait for its end."""
        await self._stage.until(lambda: self._now_s >= onset_s, onset_s + PATIENCE_S)
        player = self._stage.player
        over = player.turn_index if player.is_playing else None
        expect = step.expect or Expect.ANY
        self._timeline.utterances.append(
            Utterance(number, step.label, text, expect, onset_s, end_s, over, step.is_over_reply)
        )
        await self._stage.until(lambda: self._now_s >= end_s, end_s + PATIENCE_S)

    async def _pass(self, seconds: float) -> None:
        until_s = self._now_s + seconds
        await self._stage.until(lambda: self._now_s >= until_s, until_s + PATIENCE_S)

    async def _settled(self, *, with_playback: bool) -> None:
        """Wait until nothing more comes of what was said, and with playback until nothing is heard any more."""
        last = self._timeline.utterances[-1] if self._timeline.utterances else None
        if last is None:
            return
        ignored_s = last.end_s + (AFTERMATH_S if last.expect.is_ignored else _BREATH_S)
        await self._stage.until(lambda: self._now_s >= ignored_s, ignored_s + PATIENCE_S)
        await self._stage.until(self._is_answered, last.end_s + PATIENCE_S)
        if with_playback:
            await self._stage.until(lambda: not self._stage.player.is_playing, self._now_s + 3 * PATIENCE_S)

    def _is_answered(self) -> bool:
        """The turn of the last utterance that needs one has ended, and every turn that did is over."""
        ended: dict[int, float] = {}
        over: set[int] = set()
        for received in self._timeline.received:
            match received.event:
                case conversation_pb2.TurnEnded():
                    ended[received.event.turn_index] = received.at_s
                case conversation_pb2.TurnReport() | conversation_pb2.TurnFailed():
                    over.add(received.event.turn_index)
                case _:
                    pass
        asked = [each for each in self._timeline.utterances if each.expect.is_answered and not each.is_void]
        is_taken = not asked or any(at_s >= asked[-1].end_s for at_s in ended.values())
        return is_taken and ended.keys() <= over
