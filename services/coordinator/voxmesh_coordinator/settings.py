"""Settings of the coordinator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from platformdirs import user_state_path
from pydantic import Field, model_validator

from voxmesh_routing.settings import BackendSettings, read_backends
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.language_tags import LanguageTag
from voxmesh_runtime.settings import ServerSettings

SYSTEM_PROMPT = "You are a helpful assistant. Answer in one short sentence."

BACKCHANNELS = (
    *("mm", "mhm", "mm hm", "mmhm", "mm hmm", "mmm", "hm", "hmm", "uh huh", "uhuh", "huh"),
    *("uh", "um", "ah", "aha", "oh"),
    *("yeah", "yep", "yes", "right", "okay", "ok", "sure", "i see", "got it", "really", "wow", "great", "nice"),
    *("thank you", "thanks", "so", "well", "you"),
    *("all right", "alright", "of course", "exactly", "true", "good", "cool", "interesting", "makes sense"),
)


INTERRUPTIONS = (
    *("stop", "wait", "no", "enough", "quiet", "pause", "cancel", "please", "stop it", "hold on", "hang on"),
    *("excuse me", "wait a minute", "wait a second", "be quiet", "never mind", "shut up"),
)

_NEVER_LAST = (
    *("a", "an", "the", "my", "your", "our", "their", "every", "um", "uh", "er", "erm", "wait"),
    *("and", "or", "but", "because", "if", "whether", "when", "while", "which", "than", "as", "into", "between"),
)
UNFINISHED_ENDINGS = (
    *_NEVER_LAST,
    # A recogniser writes a full stop where it hears nothing more.
    *(f"{word}." for word in _NEVER_LAST),
    *("his", "her", "this", "these", "some", "so", "that", "hmm", "like", "well", "very", "really"),
    *("of", "to", "in", "on", "at", "for", "from", "with", "about", "by", "without"),
    *("i", "we", "they", "is", "are", "was", "were", "am", "can", "could", "would", "should", "will"),
)

LineName = Literal["length", "content_filter", "tool_calls", "nothing_said", "failed"]
Lines: TypeAlias = Mapping[str, Mapping[LineName, str]]
"""What is said at the end of a reply, by BCP-47 tag and end."""
REPLY_FORMAT = AudioFormat(sample_rate_hertz=24_000)
"""Of reply audio where the config names none."""


class CoordinatorSettings(ServerSettings):
    """Where the other services are and how a conversation goes."""

    max_message_bytes: int = Field(default=9 * 1024 * 1024, ge=64 * 1024)
    """Longest message accepted, in bytes; a picture of 8 MiB fits."""
    turn_target: str = "127.0.0.1:50051"
    """gRPC target of the turn detection service."""
    stt_target: str = "127.0.0.1:50052"
    """gRPC target of the speech-to-text service."""
    tts_target: str = "127.0.0.1:50053"
    """gRPC target of the text-to-speech service."""
    llm_target: str = "127.0.0.1:50054"
    """gRPC target of the language model service."""
    vlm_target: str = "127.0.0.1:50055"
    """gRPC target of the vision-language service."""
    turn_backends: tuple[BackendSettings, ...] = ()
    """Backends of turn detection, first choice first, as JSON: [{"target": "a:50051"}, ...]; unset: `turn_target`."""
    stt_backends: tuple[BackendSettings, ...] = ()
    """The same of speech to text, as [{"target": "a:50052", "languages": ["en"], "mixed_languages": false}, ...]."""
    tts_backends: tuple[BackendSettings, ...] = ()
    """The same of text to speech."""
    llm_backends: tuple[BackendSettings, ...] = ()
    """The same of the language model."""
    vlm_backends: tuple[BackendSettings, ...] = ()
    """The same of the vision-language model."""
    backends_file: Path | None = None
    """JSON file with the backends of several slots: {"stt": [...], "llm": [...]}; a slot is set there or above, not in
    both."""
    reopen_timeout_s: float = Field(default=0.8, gt=0)
    """Longest wait for a service whose stream broke in mid-session, in seconds."""
    connect_timeout_s: float = Field(default=5.0, gt=0)
    """Longest wait for a service to accept a stream, in seconds."""
    resume_s: float = Field(default=30.0, ge=0)
    """How long a session whose stream broke waits for its client, in seconds; 0 ends it at once."""
    session_store: str = Field(default_factory=lambda: f"sqlite://{user_state_path('voxmesh') / 'sessions.sqlite3'}")
    """Where sessions are kept so that another replica can resume them: sqlite:///PATH for the coordinators of one host;
    redis://HOST:PORT/NUMBER for those of several, with voxmesh-coordinator[redis]; none keeps them in memory alone. By
    default `voxmesh/sessions.sqlite3` in the user's state folder. What is said and answered lies there until a goodbye,
    or until nobody came back in time."""
    system_prompt: str = SYSTEM_PROMPT
    """First system message of conversations that bring none."""
    end_of_turn_probability: float = Field(default=0.5, gt=0, lt=1)
    """Probability from which a pause counts as the end of the turn."""
    min_end_of_turn_wait_s: float = Field(default=0.4, ge=0, le=10)
    """Silence after which a turn that sounds complete ends, in seconds."""
    max_end_of_turn_wait_s: float = Field(default=1.5, gt=0, le=10)
    """Silence after which any turn ends, in seconds."""
    unfinished_endings: tuple[str, ...] = UNFINISHED_ENDINGS
    """Words that no turn ends with, in lower case, with a full stop or without: after them the longer wait holds."""
    speculation: bool = True
    """Prepare replies in pauses, and say them once the turn is over; a session may choose otherwise."""
    max_speculations: int = Field(default=3, ge=1)
    """Replies prepared for one turn; after so many the turn's end is awaited."""
    duck_gain: float = Field(default=0.25, ge=0, le=1)
    """Volume of a reply while it is judged whether speech over it interrupts."""
    backchannels: tuple[str, ...] = BACKCHANNELS
    """What listeners say to go along, in lower case without punctuation; it does not interrupt a reply."""
    interruptions: tuple[str, ...] = INTERRUPTIONS
    """Short words that stop a reply however they sound, unless they are surely its echo; written as backchannels."""
    filler: str = "One moment, please."
    """Said when the first words of a reply take longer than `filler_after_s`."""
    filler_after_s: float | None = Field(default=None, gt=0)
    """Wait before the filler is said, in seconds; unset says none."""
    pre_roll_s: float = Field(default=0.5, ge=0, le=2)
    """Audio before the start of speech that the recogniser gets too, in seconds."""
    history_characters: int = Field(default=4000, ge=200)
    """Text of earlier turns that the language model gets; when it grows longer, its older half is left out."""
    lines: dict[LanguageTag, dict[LineName, str]] = Field(default_factory=dict)
    """What is said at the end of a reply that did not come to its end as it should, by language as JSON: {"en":
    {"failed": "...", "content_filter": "...", "nothing_said": "...", "length": "...", "tool_calls": "..."}}; those of
    the first language are for sessions whose language is not known. Unset says nothing."""
    max_reply_tokens: int = Field(default=160, ge=1)
    """Longest reply, in tokens."""
    temperature: float = Field(default=0.2, ge=0, le=2)
    """Randomness of replies; spoken answers want little of it."""
    tool_rounds: int = Field(default=4, ge=1)
    """Times in one turn that the language model may wait for tools; then it answers without them."""
    tool_timeout_s: float = Field(default=30.0, gt=0)
    """Longest wait for a tool's result, in seconds."""
    turn_reports_kept: int = Field(default=500, ge=1)
    """Newest turn reports that are held for `voxmesh trace`; they hold no words."""
    recordings_dir: Path | None = None
    """Folder of the recordings of sessions whose config asks for one; unset keeps none."""
    recording_max_bytes: int = Field(default=1024**3, ge=1, le=3 * 1024**3)
    """Longest recording of one session, in bytes; it stops there, and the session goes on."""
    clock_drift_ppm: float = Field(default=50.0, ge=0, le=1000)
    """The most by which a service's clock runs faster or slower than this host's, in millionths."""

    @model_validator(mode="before")
    @classmethod
    def _take_backends_file(cls, values: dict[str, Any]) -> dict[str, Any]:
        path = values.get("backends_file")
        if path is None:
            return values
        found = read_backends(Path(path))
        for slot in found:
            name = f"{slot}_backends"
            if values.get(name):
                raise ValueError(f"{path}: {slot}: {name} (VOXMESH_{name.upper()}) is set too; remove one of the two")
        return {**values, **{f"{slot}_backends": backends for slot, backends in found.items()}}

    def backends(self, slot: str) -> tuple[BackendSettings, ...]:
        """The backends of a slot in order, at least one."""
        return getattr(self, f"{slot}_backends") or (BackendSettings(target=getattr(self, f"{slot}_target")),)
