"""A storage account that misbehaves: a proxy before the emulator that spoils some of the requests, from a seed.

Run as a process of its own, `python -m tests.e2e.faultyproxy SEED SHARE BLOB QUEUE TABLE`, it prints the ports on which
it serves the three services of the emulator on those ports, and then takes a command a line: `cut` ends every
connection and refuses new ones until `join`; `count` prints what it did as JSON. It ends when its input does, and in
any case after LIFETIME.

Requests are signed over path and headers, not over host and port, so that they pass as they are.
"""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Final

#: Seconds after which a forgotten proxy ends.
LIFETIME: Final = 3600
#: The longest that a request is held up, in seconds.
LONGEST_DELAY: Final = 3.0
_HEAD_LIMIT: Final = 256 * 1024


class Fault(StrEnum):
    """How a request is spoilt."""

    REFUSED = "answered with 500, 503 or 429 and not applied"
    CUT_BEFORE = "connection cut before it was applied"
    CUT_AFTER = "connection cut after it was applied"
    DENIED = "applied, but answered with 500 or 503"
    DOUBLED = "sent twice"
    DELAYED = "held up for up to three seconds"


#: How often each kind is chosen, relative to the others.
_WEIGHTS: Final[Mapping[Fault, int]] = {
    Fault.REFUSED: 5,
    Fault.CUT_BEFORE: 3,
    Fault.CUT_AFTER: 3,
    Fault.DENIED: 4,
    Fault.DOUBLED: 4,
    Fault.DELAYED: 3,
}


class FaultyProxy:
    """Passes requests on to the emulator's ports, and spoils a *share* of them (0 to 1) as the *seed* has it."""

    def __init__(self, seed: int, share: float) -> None:
        self._random, self._share = random.Random(seed), share
        self._open: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        #: How many requests came, and how many were spoilt in each way.
        self.requests = 0
        self.faults: Counter[Fault] = Counter()

    async def serve(self, port: int) -> int:
        """Listen before the emulator's *port*; return where."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._converse(reader, writer, port)
            self._open.discard(writer)
            writer.transport.abort()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=_HEAD_LIMIT)
        return int(server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """End every connection, and each new one at once, until `join`."""
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def join(self) -> None:
        """Serve again."""
        self._is_cut = False

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        if self._is_cut:
            return
        self._open.add(writer)
        emulator = _Emulator(port)
        try:
            while True:
                request = await _message(reader)
                self.requests += 1
                answer = await self._answer(request, emulator)
                if answer is None or self._is_cut:
                    return
                writer.write(answer)
                await writer.drain()
        finally:
            emulator.close()

    async def _answer(self, request: bytes, emulator: "_Emulator") -> bytes | None:
        """Return what the client is told, or None when it is told nothing and its connection ends."""
        fault = self._choose()
        if fault is not None:
            self.faults[fault] += 1
        match fault:
            case Fault.REFUSED:
                return _error(self._random.choice([500, 503, 429]))
            case Fault.CUT_BEFORE:
                return None
            case Fault.CUT_AFTER:
                await emulator.ask(request)
                return None
            case Fault.DENIED:
                await emulator.ask(request)
                return _error(self._random.choice([500, 503]))
            case Fault.DOUBLED:
                first = await emulator.ask(request)
                second = await emulator.ask(request)
                return self._random.choice([first, second])
            case Fault.DELAYED:
                await asyncio.sleep(self._random.uniform(0, LONGEST_DELAY))
                return None if self._is_cut else await emulator.ask(request)
            case None:
                return await emulator.ask(request)

    def _choose(self) -> Fault | None:
        if self._random.random() >= self._share:
            return None
        [fault] = self._random.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        return fault


class _Emulator:
    """A connection to one port of the emulator, made when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> bytes:
        """Return the answer to *request*. Raises OSError when the emulator does not give one."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=_HEAD_LIMIT)
        reader, writer = self._streams
        writer.write(request)
        is_head = request.startswith(b"HEAD ")
        answer = await _message(reader, has_body=not is_head)
        if b"\r\nconnection: close" in answer.split(b"\r\n\r\n", 1)[0].lower():
            self.close()
        return answer

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def _message(reader: asyncio.StreamReader, *, has_body: bool = True) -> bytes:
    """Read one request or answer, to its last byte. Raises IncompleteReadError when the other side hangs up."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines[1:])}
    if fields.get(b"expect", b"").lower() == b"100-continue":
        raise OSError("The proxy does not speak 100-continue.")
    if not has_body or lines[0].split(b" ")[1] in {b"204", b"304"}:
        return head
    if fields.get(b"transfer-encoding", b"").lower() == b"chunked":
        parts = [head]
        while True:
            size = await reader.readuntil(b"\r\n")
            parts += [size, await reader.readexactly(int(size.split(b";")[0], 16) + 2)]
            if parts[-1] == b"\r\n":
                return b"".join(parts)
    return head + await reader.readexactly(int(fields.get(b"content-length", b"0")))


_REASONS: Final[Mapping[int, tuple[str, str]]] = {
    500: ("Internal Server Error", "InternalError"),
    503: ("Service Unavailable", "ServerBusy"),
    429: ("Too Many Requests", "TooManyRequests"),
}


def _error(status: int) -> bytes:
    """Return an answer of the storage that says that it cannot, just now."""
    reason, code = _REASONS[status]
    body = json.dumps({"odata.error": {"code": code, "message": {"lang": "en-US", "value": reason}}}).encode()
    wait = "" if status == 500 else "Retry-After: 1\r\n"
    head = f"HTTP/1.1 {status} {reason}\r\nx-ms-error-code: {code}\r\n{wait}Content-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def _run(seed: int, share: float, ports: list[int]) -> None:
    proxy = FaultyProxy(seed, share)
    print(json.dumps([await proxy.serve(port) for port in ports]), flush=True)  # noqa: T201 - read by who started it
    commands: Mapping[str, Callable[[], object]] = {
        "cut": proxy.cut,
        "join": proxy.join,
        "count": lambda: {"requests": proxy.requests, "faults": proxy.faults},
    }
    with suppress(TimeoutError):
        async with asyncio.timeout(LIFETIME):
            while line := await _lines():
                print(json.dumps(commands[line.strip()]()), flush=True)  # noqa: T201 - as above
    os._exit(0)  # A thread still waits for input.


def _lines() -> Awaitable[str]:
    return asyncio.to_thread(sys.stdin.readline)


if __name__ == "__main__":
    given, spoilt, *emulator_ports = sys.argv[1:]
    asyncio.run(_run(int(given), float(spoilt), [int(each) for each in emulator_ports]))
