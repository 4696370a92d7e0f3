"""A speech server as an engine of the text-to-speech service."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from voxmesh_runtime.audio import Samples
from voxmesh_runtime.engine import NO_LIMIT, EngineContext, ModelFacts
from voxmesh_runtime.loop_thread import LoopThread
from voxmesh_runtime.outcomes import Outcome, applied, approximated, ignored
from voxmesh_runtime.upstreams import check_address
from voxmesh_tts.engine import ClauseLimits, EngineInfo, SynthesisOptions
from voxmesh_tts_openai_speech.calls import Answer, Calls
from voxmesh_tts_openai_speech.probe import Abilities, connect
from voxmesh_tts_openai_speech.server import Server, Wish
from voxmesh_tts_openai_speech.settings import OpenAiSpeechSettings


@dataclass(frozen=True, slots=True)
class _Connection:
    """What is there while the engine is loaded."""

    loop: LoopThread
    calls: Calls
    abilities: Abilities

    def speak(self, texts: Sequence[str], wish: Wish) -> Answer:
        """The audio of texts as it comes."""
        return Answer(lambda give: self.loop.submit(self.calls.speak_all(texts, wish, give)))

    def close(self) -> None:
        """Give up what is under way and close all connections."""
        self.loop.submit(self.calls.server.close()).result()
        self.loop.close()


class OpenAiSpeechEngine:
    """One server for all streams; see `voxmesh_tts.engine.Engine`.

    Raises:
        FailedPrecondition: no server is configured.
    """

    def __init__(self, context: EngineContext, settings: OpenAiSpeechSettings) -> None:
        check_address(settings.base_url, "VOXMESH_OPENAI_SPEECH_BASE_URL")
        self._context = context
        self._settings = settings
        self._connection: _Connection | None = None

    @property
    def info(self) -> EngineInfo:
        """What the server is and can do."""
        connection = self._connected
        abilities = connection.abilities
        limit = self._settings.max_input_characters
        facts = ModelFacts(
            model=connection.calls.server.model,
            license=self._settings.license,
            device="upstream",
            device_reason="the model runs behind another server",
            parallel=NO_LIMIT,
            language_codes=tuple(dict.fromkeys(tag for voice in abilities.voices for tag in voice.language_codes)),
        )
        return EngineInfo(
            facts,
            abilities.sample_rate_hertz,
            abilities.voices,
            instruction=self._settings.instructions,
            clause_limits=ClauseLimits(first_maximum=min(80, limit), maximum=min(200, limit)),
        )

    def load(self) -> None:
        """Reach the server and find out what it can do; does nothing when that is known.

        Raises:
            FailedPrecondition: it has not the model, refuses the key, or gives no speech.
            Unavailable: it is not there.
        """
        if self._connection is not None:
            return
        loop, server = LoopThread("openai-speech"), Server(self._settings)
        try:
            abilities = loop.submit(connect(server, self._settings, self._context.model)).result()
        except BaseException:
            loop.submit(server.close()).result()
            loop.close()
            raise
        server.sample_rate_hertz = abilities.sample_rate_hertz
        self._connection = _Connection(loop, Calls(server, self._settings), abilities)

    def warm_up(self) -> None:
        """Done by `load`: the server has spoken, and its connection is open."""

    def open(self, options: SynthesisOptions) -> OpenAiSpeechSession:
        """A session for one stream."""
        return OpenAiSpeechSession(self._connected, options, self._settings.max_input_characters)

    def close(self) -> None:
        """Close all connections."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _connected(self) -> _Connection:
        if self._connection is None:
            raise RuntimeError("load() comes before the first use")
        return self._connection


class OpenAiSpeechSession:
    """See `voxmesh_tts.engine.Session`; it has no state but what is asked of the server."""

    def __init__(self, connection: _Connection, options: SynthesisOptions, max_characters: int) -> None:
        self._connection = connection
        self._max_characters = max_characters
        self._wish, self.outcomes = _wish_of(options, connection.abilities)

    def synthesize(self, clause: str) -> Iterator[Samples]:
        """Speak one clause; what is too long for the server goes in parts.

        Raises:
            VoxmeshError: the server failed; see `Calls.speak`.
        """
        return self._connection.speak(tuple(_parts(clause, self._max_characters)), self._wish)

    def close(self) -> None:
        """Nothing to free: requests end with their clause."""


def _wish_of(options: SynthesisOptions, abilities: Abilities) -> tuple[Wish, Sequence[Outcome]]:
    """What a stream's requests say, and how its options were taken."""
    outcomes: list[Outcome] = []
    way, speed = abilities.way, None
    if options.speaking_rate is not None:
        way, speed = abilities.way_with_speed or way, options.speaking_rate
        if abilities.way_with_speed is None:
            outcomes.append(ignored("config.speaking_rate", "the server does not heed a speed"))
            speed = None
        else:
            outcomes.append(applied("config.speaking_rate"))
    if options.instruction:
        how = "sent as `instructions`; how much it weighs is up to the server's model"
        outcomes.append(approximated("config.instruction", how))
    return Wish(options.voice, way, speed, options.instruction), outcomes


def _parts(text: str, limit: int) -> Iterator[str]:
    """`text` cut at spaces, where there are some, into parts of at most `limit` characters."""
    while len(text) > limit:
        end = text.rfind(" ", 1, limit + 1)
        end = end if end > 0 else limit
        yield text[:end]
        text = text[end:].lstrip()
    if text:
        yield text
