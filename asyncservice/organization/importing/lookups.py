"""Finds the records that texts name: by id, by primary name, or by any column the import map says."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Final
from uuid import UUID

from asyncservice.organization.concurrency import together
from asyncservice.organization.importing.maps import LookupKey
from asyncservice.organization.organization import Organization
from asyncservice.organization.records import Condition, Record
from asyncservice.organization.values import Reference

type Found = tuple[Reference, ...]
"""None, one, or more than one; more than one is as bad as none."""

#: Each look-up asks sixteen partitions, so few at once are many requests.
_AT_ONCE: Final = 4


class Lookups:
    """Answers look-ups and remembers the last *capacity* answers."""

    def __init__(self, organization: Organization, *, capacity: int = 10_000) -> None:
        self._organization = organization
        self._capacity = capacity
        self._answers: OrderedDict[tuple[tuple[LookupKey, ...], str], Found] = OrderedDict()

    async def find(self, keys: tuple[LookupKey, ...], texts: Iterable[str]) -> Mapping[str, Found]:
        """Return what each text names, each asked once."""
        found: dict[str, Found] = {}
        unknown: list[str] = []
        for text in dict.fromkeys(texts):
            known = self._answers.get((keys, text))
            if known is None:
                unknown.append(text)
            else:
                self._answers.move_to_end((keys, text))
                found[text] = known
        answers = await together((self._ask(keys, text) for text in unknown), at_once=_AT_ONCE)
        for text, answer in zip(unknown, answers, strict=True):
            found[text] = self._answers[keys, text] = answer
        while len(self._answers) > self._capacity:
            self._answers.popitem(last=False)
        return found

    async def _ask(self, keys: tuple[LookupKey, ...], text: str) -> Found:
        found: dict[UUID, Reference] = {}
        for key in keys:
            for record in await self._records(key, text):
                found[record.id] = Reference(key.entity, record.id)
        return tuple(found.values())

    async def _records(self, key: LookupKey, text: str) -> list[Record]:
        records = self._organization.records(key.entity)
        record_id = _as_id(text)
        if record_id is not None:
            record = await records.find(record_id)
            return [] if record is None else [record]
        longest = records.entity.attribute(key.attribute).max_length
        if longest is not None and len(text) > longest:
            # No record can be called so, and the storage refuses questions of any length.
            return []
        if key.attribute == records.entity.primary_name:
            return await records.named(text)
        return await records.few(Condition(key.attribute, "eq", text), at_most=2)


def _as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
