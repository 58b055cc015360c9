"""The blobs of one transaction: written before its rows, and those that its rows let go of removed after them."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID, uuid4

from asyncservice.organization.files import File, Named, kept_in_blobs, named_blobs
from asyncservice.organization.leftovers import Leftovers
from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.workspace import Held
from asyncservice.storage.account import Storage
from asyncservice.storage.errors import StorageUnavailable

log = logging.getLogger(__name__)


class Contents:
    """What a transaction writes into blobs, over all its tries. Costs nothing where it has no such columns."""

    def __init__(self, storage: Storage, leftovers: Leftovers) -> None:
        self._storage, self._leftovers = storage, leftovers
        self._token = uuid4().hex
        self._files: dict[Named, File] = {}
        self._written: set[File] = set()
        #: Keys of notes that are not struck out.
        self._noted: dict[Named, str] = {}

    def begin(self) -> None:
        """Begin a try: what another one would have written counts no more."""
        self._files = {}

    def kept(self, entity: Entity, record_id: UUID, values: Mapping[str, object]) -> Mapping[str, object]:
        """Return the values with names in place of contents. Raises ValueRefused."""
        kept, files = kept_in_blobs(entity, record_id, values, self._token)
        # The later one of two for the same column is what the row is going to name.
        self._files |= {file.named: file for file in files}
        return kept

    async def write(self, changed: Iterable[Held], *, now: datetime) -> "Change":
        """Note what comes and what goes, and write what comes. Return what is to be done when the rows are written."""
        before, after = set[Named](), set[Named]()
        for held in changed:
            if held.is_touched:
                before |= set(named_blobs(held.entity, held.id, held.before or {}))
                after |= set(named_blobs(held.entity, held.id, held.after or {}))
        let_go = (before | self._files.keys()) - after
        concerned = [each for each in (*self._files, *(before - after)) if each not in self._noted]
        keys = await self._leftovers.note(concerned, now=now) if concerned else ()
        self._noted |= dict(zip(concerned, keys, strict=True))
        for file in self._files.values():
            if file not in self._written:
                await self._storage.blobs(file.named.container).write(file.named.blobs, file.content)
                self._written.add(file)
        return Change(self._leftovers, self._noted, self._files.keys() | (before - after), let_go)


class Change:
    """What is to be done about the blobs of a transaction that has been committed."""

    def __init__(
        self, leftovers: Leftovers, noted: dict[Named, str], concerned: Iterable[Named], let_go: Iterable[Named]
    ) -> None:
        self._leftovers, self._noted = leftovers, noted
        self._concerned, self._let_go = list(concerned), list(let_go)

    async def finish(self) -> None:
        """Remove what no row names any more, and strike out the notes."""
        if not self._concerned:
            return
        try:
            await self._leftovers.remove(self._let_go)
            await self._leftovers.strike([self._noted.pop(each) for each in self._concerned])
        except StorageUnavailable:
            # The transaction counts. What its notes name is looked at when they are old.
            log.warning("Blobs that no row names any more could not be removed yet.", exc_info=True)
