"""Messages between the host and its worker processes, as bytes, and the connection that carries them.

A message is made of plain values (None, numbers, text, bytes, lists, maps) and of what `asyncservice.devhost.messages`
knows: TypedData and records of fields. It travels as JSON with the bytes beside it: nothing that arrives is executed.
"""

import asyncio
import json
import struct
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, Final, Self

from asyncservice.devhost.messages import TypedData

type Message = Mapping[str, Any]

#: The number of parts; then the length of each; then the parts, of which the first is JSON.
_NUMBER: Final = struct.Struct(">I")


def pack(message: Message) -> bytes:
    """Return a message as bytes."""
    parts: list[bytes] = [b""]
    parts[0] = json.dumps(_plain(message, parts), separators=(",", ":")).encode()
    return b"".join((_NUMBER.pack(len(parts)), *(_NUMBER.pack(len(part)) for part in parts), *parts))


async def unpack(reader: asyncio.StreamReader) -> Message:
    """Read one message. Raises IncompleteReadError when the connection ends first."""
    count = await _number(reader)
    lengths = [await _number(reader) for _ in range(count)]
    parts = [await reader.readexactly(length) for length in lengths]
    message: Message = _value(json.loads(parts[0]), parts)
    return message


async def _number(reader: asyncio.StreamReader) -> int:
    number: int = _NUMBER.unpack(await reader.readexactly(_NUMBER.size))[0]
    return number


def _plain(value: Any, parts: list[bytes]) -> Any:  # noqa: ANN401 - whatever a message holds
    """Return what JSON can say; every object names what it stands for, so none can be taken for another."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes() | bytearray() | memoryview():
            parts.append(bytes(value))
            return {"bytes": len(parts) - 1}
        case TypedData():
            return {"data": [value.kind, _plain(value.value, parts)]}
        case SimpleNamespace():
            return {"record": {name: _plain(each, parts) for name, each in vars(value).items()}}
        case Mapping():
            return {"map": {str(name): _plain(each, parts) for name, each in value.items()}}
        case Sequence():
            return [_plain(each, parts) for each in value]
    raise TypeError(f"A message between processes cannot hold {type(value).__name__}.")


def _value(plain: Any, parts: Sequence[bytes]) -> Any:  # noqa: ANN401 - as above
    if isinstance(plain, list):
        return [_value(each, parts) for each in plain]
    if not isinstance(plain, dict):
        return plain
    [(form, content)] = plain.items()
    match form:
        case "bytes":
            return parts[content]
        case "data":
            kind, value = content
            return TypedData() if kind is None else TypedData(**{kind: _value(value, parts)})
        case "record":
            return SimpleNamespace(**{name: _value(each, parts) for name, each in content.items()})
        case "map":
            return {name: _value(each, parts) for name, each in content.items()}
    raise ValueError(f"A message between processes has a {form!r}, which is not known.")


class Connection:
    """One end of the connection between the host and a worker process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, end: Any) -> Self:  # noqa: ANN401 - a socket, which asyncio takes over
        """Return the connection over one end of a pair of sockets."""
        return cls(*await asyncio.open_connection(sock=end))

    def post(self, message: Message) -> None:
        """Send without waiting; what the other end has not taken yet is kept. Lost when the other end is gone."""
        if not self._writer.is_closing():
            self._writer.write(pack(message))

    async def send(self, message: Message) -> None:
        """Send, and wait while the other end is far behind. Lost when the other end is gone: reading tells of that."""
        self.post(message)
        try:
            await self._writer.drain()
        except ConnectionError:
            return

    async def receive(self) -> Message | None:
        """Return the next message, or None when the other end is gone."""
        try:
            return await unpack(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    def close(self) -> None:
        """Hang up."""
        self._writer.close()
