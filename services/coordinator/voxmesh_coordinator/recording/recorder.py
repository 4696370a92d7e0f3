"""Records a session in a thread of its own, so that no disk, full or slow, is felt in the conversation."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from voxmesh.common.v1 import common_pb2
from voxmesh.conversation.v1 import conversation_pb2
from voxmesh_coordinator.recording.folder import About, RecordingFolder, Request, Response, plain
from voxmesh_coordinator.settings import REPLY_FORMAT, CoordinatorSettings
from voxmesh_runtime.audio import AudioFormat
from voxmesh_runtime.clock import SYSTEM_CLOCK, Clock

log = logging.getLogger(__name__)

BEGIN_S = 2.0
"""Longest wait for the files to be made, in seconds; the session begins without a recording then."""
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Messages that wait for the disk; when there are more, recording stops."""
_MESSAGE_BYTES = 200
"""What a message takes beside its content, about."""


class NotRecorded(Exception):
    """A recording cannot be begun; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message, when it passed, and its size in memory."""

    offset_s: float
    message: Request | Response
    size_bytes: int


class Recording:
    """Takes messages as they pass, without waiting; nothing it does ends the session.

    Args:
        folder: what is written.
        max_bytes: longest recording.
    """

    def __init__(
        self,
        folder: RecordingFolder,
        max_bytes: int,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._clock = clock
        self.path = folder.path
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_waiting_bytes = max_waiting_bytes
        self._began_at = self._clock.now()
        self._entries = queue.SimpleQueue[Entry | None]()
        # Each counter has one writer: the event loop's thread, and the recording's.
        self._taken_bytes = self._written_bytes = 0
        self._truncated: str | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="recording")

    @classmethod
    async def begin(
        cls,
        settings: CoordinatorSettings,
        session_id: str,
        config: conversation_pb2.ConversationConfig,
        services: list[common_pb2.Ready],
        clock: Clock = SYSTEM_CLOCK,
    ) -> Self:
        """Make the files and begin.

        Raises:
            NotRecorded: the operator wants no recordings, or the files cannot be made.
        """
        if settings.recordings_dir is None:
            raise NotRecorded("this coordinator keeps no recordings")
        about = About(session_id, settings.host_name, plain(config), [plain(ready) for ready in services])
        try:
            async with asyncio.timeout(BEGIN_S):
                folder = await asyncio.to_thread(_make_folder, settings.recordings_dir, about, config)
        except (OSError, TimeoutError) as error:
            log.warning("a recording could not be begun", extra={"error": type(error).__name__})
            raise NotRecorded("this coordinator could not make the recording's files; its log says more") from error
        recording = cls(folder, settings.recording_max_bytes, clock=clock)
        recording.start()
        return recording

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def take(self, message: Request | Response) -> None:
        """A message was received or sent."""
        if self._is_closed or self._truncated is not None:
            return
        entry = Entry(self._clock.now() - self._began_at, message, message.ByteSize() + _MESSAGE_BYTES)
        if self._taken_bytes - self._written_bytes + entry.size_bytes > self._max_waiting_bytes:
            self._stop("the disk was too slow")
            return
        self._taken_bytes += entry.size_bytes
        self._entries.put(entry)

    def close(self) -> None:
        """The session is over; the rest is written meanwhile."""
        if not self._is_closed:
            self._is_closed = True
            self._entries.put(None)

    def join(self, timeout_s: float) -> bool:
        """Wait until everything is written; false when it took longer."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _stop(self, why: str) -> None:
        self._truncated = self._truncated or why
        log.warning("a recording was truncated", extra={"reason": why})

    def _run(self) -> None:
        try:
            self._write_all()
        except OSError as error:
            self._stop(f"the disk failed: {error.strerror}")
        except Exception:
            # A bug of ours costs the recording, not the session.
            log.exception("recording failed")
            self._stop("internal error")
        try:
            self._folder.close(self._clock.now() - self._began_at, self._truncated)
        except OSError as error:
            # What is there stays, as incomplete.
            log.warning("a recording could not be completed", extra={"error": type(error).__name__})

    def _write_all(self) -> None:
        """Write until the session is over, or recording stops."""
        while (entry := self._entries.get()) is not None:
            self._write(entry)
            if self._truncated is not None and self._entries.empty():
                return
            if self._entries.empty():
                self._folder.flush()
            if self._folder.size_bytes >= self._max_bytes:
                self._stop(f"it reached the limit of {self._max_bytes} bytes")
                return

    def _write(self, entry: Entry) -> None:
        if isinstance(entry.message, Request):
            self._folder.request(entry.offset_s, entry.message)
        else:
            self._folder.response(entry.offset_s, entry.message)
        self._written_bytes += entry.size_bytes


def _make_folder(recordings: Path, about: About, config: conversation_pb2.ConversationConfig) -> RecordingFolder:
    microphone = reply = None
    if config.HasField("recognition"):
        microphone = AudioFormat.from_proto(config.recognition.audio_format)
    if not config.text_replies_only:
        has_format = config.HasField("reply_audio_format")
        reply = AudioFormat.from_proto(config.reply_audio_format) if has_format else REPLY_FORMAT
    return RecordingFolder(recordings, about, microphone, reply)
