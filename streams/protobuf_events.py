"""Reads Protobuf messages by a descriptor set, as the serializers of a schema registry write them.

`streams/schema_readers.py` imports this module only where a Protobuf schema is configured. Before
the message stands a path of indexes that says which message of the schema's file it is. Nothing is
generated: the classes are made from descriptors when the configuration is put together. Source:
Confluent Schema Registry documentation, "Wire format": variable-length integers in zigzag encoding,
first their number, then the path; a lone zero stands for the path [0].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from streams.contract_schemas import protobuf_file
from streams.event_types import RefusalError, RejectReason

PATH_LENGTH_MAX = 16
_VARINT_BYTES_MAX = 5
_TIMESTAMP = "google.protobuf.Timestamp"


def protobuf_reader(content: bytes, message: str) -> Callable[[bytes], dict[str, Any]]:
    """Reads a path and a message; empty content means the contract's own file.

    The path leads into the file of `message`, else into the set's last file, which is the one that
    `protoc` was called for. Raises `ValueError` for a descriptor set that is none.
    """
    pool, last = _pool(content)
    try:
        file = pool.FindMessageTypeByName(message).file if message else pool.FindFileByName(last)
    except KeyError as error:
        raise ValueError(f"there is no {error} in the descriptor set") from error
    tops = list(file.message_types_by_name.values())
    classes: dict[tuple[int, ...], Any] = {}

    def read(body: bytes) -> dict[str, Any]:
        path, start = _path(body)
        message_class = classes.get(path)
        if message_class is None:
            descriptor = _at(tops, path)
            if message and descriptor.full_name != message:
                sentence = f"the message is {descriptor.full_name}, not {message}"
                raise RefusalError(RejectReason.UNSUPPORTED_FORMAT, sentence)
            message_class = classes[path] = message_factory.GetMessageClass(descriptor)
        try:
            found = message_class.FromString(body[start:])
        except DecodeError as error:
            raise RefusalError(RejectReason.MALFORMED, f"not of the schema: {error}") from None
        return _fields(found)

    return read


def _pool(content: bytes) -> tuple[Any, str]:
    """A pool of its own with the set's files, and the name of the last one."""
    files = descriptor_pb2.FileDescriptorSet()
    try:
        if content:
            files.ParseFromString(content)
        else:
            files.file.append(protobuf_file())
    except DecodeError as error:
        raise ValueError(f"not a descriptor set: {error}") from error
    if not files.file:
        raise ValueError("the descriptor set is empty")
    pool = descriptor_pool.DescriptorPool()
    try:
        for file in files.file:
            pool.Add(file)
        for file in files.file:
            pool.FindFileByName(file.name)
    except (TypeError, KeyError) as error:
        raise ValueError(f"the descriptor set is incomplete: {error}") from error
    return pool, files.file[-1].name


def _path(body: bytes) -> tuple[tuple[int, ...], int]:
    """The path of message indexes, and where the message begins."""
    length, start = _zigzag(body, 0)
    if length == 0:
        return (0,), start
    if not 0 < length <= PATH_LENGTH_MAX:
        raise RefusalError(RejectReason.MALFORMED, f"{length} message indexes")
    path = []
    for _ in range(length):
        index, start = _zigzag(body, start)
        path.append(index)
    return tuple(path), start


def _zigzag(body: bytes, start: int) -> tuple[int, int]:
    found = 0
    for count, byte in enumerate(body[start : start + _VARINT_BYTES_MAX]):
        found |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return (found >> 1) ^ -(found & 1), start + count + 1
    raise RefusalError(RejectReason.MALFORMED, "a message index that does not end")


def _at(tops: list[Any], path: tuple[int, ...]) -> Any:
    """The message type at this path; there are no more paths than types, so a cache is bounded."""
    types = tops
    for place, index in enumerate(path):
        if not 0 <= index < len(types):
            raise RefusalError(RejectReason.UNSUPPORTED_FORMAT, f"no message at {list(path)}")
        if place == len(path) - 1:
            return types[index]
        types = list(types[index].nested_types)
    raise AssertionError("a path has at least one index")


def _fields(message: Any) -> dict[str, Any]:
    """The fields that are set, by the names of the .proto file.

    An enumeration is its value's name in lower case without the type's prefix, a timestamp is
    RFC 3339. Nesting is as deep as the library's parser lets it be, 100 levels.
    """
    fields: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            of_value = field.message_type.fields_by_name["value"]
            fields[field.name] = {
                str(key): _value(of_value, value[key]) for key in list(value)[:64]
            }
        elif field.is_repeated:
            fields[field.name] = [_value(field, one) for one in value]
        else:
            fields[field.name] = _value(field, value)
    return fields


def _value(field: Any, value: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        prefix = f"{field.enum_type.name}_".upper()
        return value if known is None else known.name.removeprefix(prefix).lower()
    if field.message_type is None:
        return value
    if field.message_type.full_name == _TIMESTAMP:
        return value.seconds * 10**9 + value.nanos
    return _fields(value)
