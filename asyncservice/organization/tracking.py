"""What changed in a table since somebody looked: the difference between two looks, however far apart.

A look notes the id and the state of every row. What differs between two of them was written in between, what is in the
earlier one only was removed: no clock is asked, no writer leaves a mark, and nothing can fall between two looks, since
a row that changes behind the reader's back differs the next time. The price is the reader's: one request for a thousand
rows of the table. Looks are blobs that nobody changes; whoever takes one removes those that are too old.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID, uuid4

from asyncservice.organization.concurrency import together
from asyncservice.organization.errors import RequestRefused
from asyncservice.organization.ids import SHARDS
from asyncservice.organization.recordsource import RecordSource
from asyncservice.storage.account import Storage

#: The container of looks.
CONTAINER: Final = "changetracking"
#: How long a look is good for; whoever comes later reads the table anew.
LOOKS_KEPT: Final = timedelta(days=30)
#: Most rows of a table whose changes are tracked.
MAX_TRACKED: Final = 200_000

_TOKEN: Final = re.compile(r"(\d{8})-[0-9a-f]{32}")
_ID: Final = 16
_STATE: Final = 8
_ROW: Final = _ID + _STATE

type States = Mapping[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Look:
    """A table as it was: what names the look, and the state of each row by its id."""

    token: str
    states: States


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of a table between two looks, each in the order of ids."""

    #: Rows that were made or changed. They may be gone by now: the next difference tells.
    written: tuple[UUID, ...]
    removed: tuple[UUID, ...]


class Tracking:
    """Takes looks at tables, and finds earlier ones."""

    def __init__(self, storage: Storage) -> None:
        self._blobs = storage.blobs(CONTAINER)

    async def take(self, source: RecordSource, *, now: datetime, last: Look | None = None) -> Look:
        """Look at a table now. Where nothing changed since the *last* look, and that is not old, it is that one again.

        Raises RequestRefused for a table that is too big. A process that dies here leaves a look that nobody knows.
        """
        states = await _states(source)
        if last is not None and states == last.states and _day(last.token) + LOOKS_KEPT / 2 > now:
            return last
        look = Look(f"{now.astimezone(UTC):%Y%m%d}-{uuid4().hex}", states)
        content = b"".join(key + states[key] for key in sorted(states))
        await self._blobs.create()
        await self._blobs.write(_name(source, look.token), content)
        await self._remove_old(source, now=now)
        return look

    async def find(self, source: RecordSource, token: str, *, now: datetime) -> Look | None:
        """Return the look of that table with this token; None when there is none, or it is too old."""
        if not is_token(token) or _day(token) + LOOKS_KEPT <= now:
            return None
        await self._blobs.create()
        content = await self._blobs.read(_name(source, token))
        if content is None:
            return None
        rows = (content[start : start + _ROW] for start in range(0, len(content), _ROW))
        return Look(token, {row[:_ID]: row[_ID:] for row in rows})

    async def _remove_old(self, source: RecordSource, *, now: datetime) -> None:
        async for name in self._blobs.names(_name(source, "")):
            token = name.rpartition("/")[2]
            # A day more, so that nobody is reading it.
            if is_token(token) and _day(token) + LOOKS_KEPT + timedelta(days=1) <= now:
                await self._blobs.delete(name)


def is_token(text: str) -> bool:
    """Whether a text may be the token of a look."""
    found = _TOKEN.fullmatch(text)
    if found is None:
        return False
    try:
        datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def difference(before: Look, after: Look) -> Difference:
    """Return what was written and what was removed from one look to the other."""
    written = (key for key, state in after.states.items() if before.states.get(key) != state)
    removed = (key for key in before.states if key not in after.states)
    return Difference(
        tuple(UUID(bytes=key) for key in sorted(written)), tuple(UUID(bytes=key) for key in sorted(removed))
    )


async def _states(source: RecordSource) -> dict[bytes, bytes]:
    states: dict[bytes, bytes] = {}

    async def look(shard: str) -> None:
        async for record_id, state in source.states(shard):
            states[record_id.bytes] = blake2b(state.encode(), digest_size=_STATE).digest()
            if len(states) > MAX_TRACKED:
                raise RequestRefused(
                    f"The table '{source.entity.name}' has more than {MAX_TRACKED} rows, too many for change tracking; "
                    "ask for rows by modifiedon."
                )

    await together(look(shard) for shard in SHARDS)
    return states


def _name(source: RecordSource, token: str) -> str:
    return f"{source.entity.name}/{token}"


def _day(token: str) -> datetime:
    return datetime.strptime(token.partition("-")[0], "%Y%m%d").replace(tzinfo=UTC)
