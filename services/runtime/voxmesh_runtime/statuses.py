"""A refusal as google.rpc.Status, short enough for every peer: a longer one is replaced by one without details.

A status travels in the trailers of HTTP/2, as text and once more whole, in base64, with its details.
Peers take 8 KiB of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from voxmesh_runtime.quoting import encodable

MAX_STATUS_BYTES = 6 * 1024
"""Longest status as it travels; the rest of 8 KiB is for what servers and proxies add."""

_HEADER_BYTES = 32
"""What HTTP/2 counts for a header beside its name and its value."""
_PLAIN = set(range(0x20, 0x7F)) - {ord("%")}
"""Bytes that travel as they are in grpc-message; others take three."""
_STEPS = ((1000, 20), (500, 20), (300, 20), (200, 20), (100, 20), (100, 10), (50, 1))
"""Longest text and longest list, tried one after another until the status fits."""
_RETRY = "google.rpc.RetryInfo"
_KINDS = {
    f"{error_details_pb2.DESCRIPTOR.package}.{name}": getattr(error_details_pb2, name)
    for name in error_details_pb2.DESCRIPTOR.message_types_by_name
}


def status_of(code: grpc.StatusCode, message: str, details: Iterable[Message]) -> status_pb2.Status:
    """The status of a refusal; texts and lists in it are cut as far as it takes to fit `MAX_STATUS_BYTES`."""
    wanted = [_unpacked(detail) for detail in details]
    whole = _packed(code, encodable(message), wanted)
    if encoded_bytes(whole) <= MAX_STATUS_BYTES:
        return whole
    for characters, items in _STEPS:
        short = [_shortened(detail, characters, items) for detail in wanted[:items]]
        status = _packed(code, _cut(encodable(message), characters), short)
        if encoded_bytes(status) <= MAX_STATUS_BYTES:
            return status
    return _packed(code, _cut(encodable(message), _STEPS[-1][0]), ())


def encoded_bytes(status: status_pb2.Status) -> int:
    """Bytes of the trailers that carry a status."""
    text = status.message.encode()
    message = sum(1 if byte in _PLAIN else 3 for byte in text)
    details = -(-status.ByteSize() * 4 // 3)
    names = sum(len(name) + _HEADER_BYTES for name in ("grpc-status", "grpc-message", "grpc-status-details-bin"))
    return names + len(str(status.code)) + message + details


def details_of(error: grpc.RpcError) -> Sequence[any_pb2.Any]:
    """The google.rpc details that came with a failed call; none where they contradict its status."""
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)  # pyright: ignore[reportArgumentType, reportAssignmentType] # an RpcError of a call has what it reads
    except ValueError:
        return ()
    return status.details if status is not None else ()


def asks_to_retry(details: Iterable[any_pb2.Any]) -> bool:
    """True with RetryInfo; RESOURCE_EXHAUSTED without it is grpc's own word for a message that is too large."""
    return any(detail.TypeName() == _RETRY for detail in details)


def _packed(code: grpc.StatusCode, message: str, details: Iterable[Message]) -> status_pb2.Status:
    number: int = code.value[0]
    status = status_pb2.Status(code=number, message=message)
    for detail in details:
        if isinstance(detail, any_pb2.Any):
            status.details.add().CopyFrom(detail)
        else:
            status.details.add().Pack(detail)
    return status


def _unpacked(detail: Message) -> Message:
    """What another service packed, so that its texts can be cut; as it is where its kind is not known here."""
    if not isinstance(detail, any_pb2.Any) or detail.TypeName() not in _KINDS:
        return detail
    message: Message = _KINDS[detail.TypeName()]()
    try:
        detail.Unpack(message)
    except DecodeError:
        return detail
    return message


def _shortened(detail: Message, characters: int, items: int) -> Message:
    short = type(detail)()
    short.CopyFrom(detail)
    _shorten(short, characters, items)
    return short


def _shorten(message: Message, characters: int, items: int) -> None:
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _shorten_map(value, characters, items)
        elif field.is_repeated:
            del value[items:]
            for index, item in enumerate(value):
                if isinstance(item, Message):
                    _shorten(item, characters, items)
                elif isinstance(item, str):
                    value[index] = _cut(item, characters)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            _shorten(value, characters, items)
        elif field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, _cut(value, characters))


def _shorten_map(entries: Any, characters: int, items: int) -> None:  # any map of strings
    for index, key in enumerate(sorted(entries)):
        if index >= items:
            del entries[key]
        else:
            entries[key] = _cut(entries[key], characters)


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"
