"""Transactions over few records by several processes that die, stand still and lose answers, in orders drawn by seeds.

What must hold is read from the tables alone, row by row as the storage keeps them: after recovery no row carries a
transaction, alternate keys are those of the records that are there, one for each, versions have only grown, and no
transaction is there in part.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import pytest

from asyncservice.organization import keys
from asyncservice.organization.decisions import KEPT, PATIENCE
from asyncservice.organization.decisions import TABLE as DECISIONS
from asyncservice.organization.errors import OrganizationError
from asyncservice.organization.organization import Organization
from asyncservice.organization.pending import CHANGING
from asyncservice.organization.requests import Associate, Create, Delete, Disassociate, Request, Update, Upsert
from asyncservice.organization.rows import from_row, id_of
from asyncservice.organization.schema.catalog import Catalog
from asyncservice.organization.values import Reference
from asyncservice.storage.errors import StorageUnavailable
from asyncservice.storage.memory import MemoryStorage
from tests.faults import Died, FaultyStorage
from tests.organization.projects import USER, a_catalog
from tests.support import NOON

PROJECT, PERSON, STEP, PAIR = "new_project", "new_person", "new_step", "new_person_project"
KINDS: Final = (PROJECT, PERSON, STEP, PAIR)
CATALOG: Final[Catalog] = a_catalog()
PROJECTS: Final = [UUID(int=0x1000 + number) for number in range(4)]
PEOPLE: Final = [UUID(int=0x2000 + number) for number in range(3)]
STEPS: Final = [UUID(int=0x3000 + number) for number in range(3)]
CODES: Final = ("A", "B", "C", None)
#: Transactions that one seed makes: so many processes, each so many one after the other.
PROCESSES, EACH = 4, 8


class Watched(FaultyStorage):
    """An account that is looked at after every single write."""

    def __init__(self, account: MemoryStorage, see: Callable[[], None]) -> None:
        super().__init__(account)
        self._see = see

    async def call(self, what: str, apply: Callable[[], Awaitable[Any]]) -> Any:
        self.calls.append(what)
        answer = await apply()
        self._see()
        return answer


class Troubled(Watched):
    """An account as one process sees it, for whom every call may go wrong."""

    def __init__(self, account: MemoryStorage, see: Callable[[], None], random: Random) -> None:
        super().__init__(account, see)
        self._random, self._is_dead = random, False
        self.troubles: Counter[str] = Counter()

    async def call(self, what: str, apply: Callable[[], Awaitable[Any]]) -> Any:
        if self._is_dead:
            raise Died(what)
        for _ in range(self._random.choice((0, 0, 1, 3, 20))):
            # Others get ahead.
            await asyncio.sleep(0)
        trouble = self._random.choices(
            ("none", "dies before", "dies after", "fails", "answer lost"), (400, 3, 3, 4, 8)
        )[0]
        self.troubles[trouble] += 1
        answer = None
        if trouble in {"none", "dies after", "answer lost"}:
            answer = await super().call(what, apply)
        if trouble.startswith("dies"):
            self._is_dead = True
            raise Died(what)
        if trouble in {"fails", "answer lost"}:
            raise StorageUnavailable(what)
        return answer


class World:
    """The account, the processes on it, and what they were told."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.account = MemoryStorage()
        self.now: datetime = NOON
        self.told: Counter[str] = Counter()
        self.troubles: Counter[str] = Counter()
        #: The version of each record, and the record, as the storage keeps them.
        self.versions: dict[tuple[str, str], tuple[int, Any]] = {}
        #: Marks of transactions that were told to be done, and all that were tried.
        self.done: set[int] = set()
        self._marks = iter(range(1, 10_000))

    def organization(self, storage: Any = None) -> Organization:
        organization = Organization(storage or Watched(self.account, self.see_versions), catalog=CATALOG)
        # Nobody sleeps here; a pause is that the others get ahead.
        organization._transactions._pause, organization._transactions._rng = self.pause, self.random
        return organization

    async def pause(self, seconds: float) -> None:
        for _ in range(1 + int(seconds * 100)):
            await asyncio.sleep(0)

    def requests(self, mark: int) -> list[Request]:
        """Draw a transaction. Its mark is written into two records that nobody deletes, so it is seen whole or not."""
        draw = self.random
        chosen: list[Request] = [self._request() for _ in range(draw.randint(1, 3))]
        marks = [Update(entity=PERSON, id=each, values={"new_name": f"mark {mark}"}) for each in PEOPLE[:2]]
        draw.shuffle(marks)
        return [*chosen, *marks]

    def _request(self) -> Request:
        draw = self.random
        project, step, person = draw.choice(PROJECTS), draw.choice(STEPS), draw.choice(PEOPLE)
        code = {"new_code": draw.choice(CODES), "new_year": draw.choice((2026, None))}
        match draw.randrange(8):
            case 0:
                return Create(entity=PROJECT, id=project, values={"new_name": "made", **code})
            case 1 | 2:
                return Upsert(entity=PROJECT, id=project, values={"new_name": draw.choice("xy"), **code})
            case 3:
                return Upsert(entity=PROJECT, key={"new_code": draw.choice("ABC")}, values={"new_name": "by key"})
            case 4:
                return Delete(entity=PROJECT, id=project)
            case 5:
                values = {"new_name": "step", "new_projectid": Reference(PROJECT, project)}
                return Upsert(entity=STEP, id=step, values=values)
            case 6:
                return Associate(relationship=PAIR, entity1_id=person, entity2_id=project)
            case _:
                return Disassociate(relationship=PAIR, entity1_id=person, entity2_id=project)

    async def work(self) -> None:
        """Be one process after the other: when one dies, the next begins."""
        storage = Troubled(self.account, self.see_versions, self.random)
        for _ in range(EACH):
            mark = next(self._marks)
            requests = self.requests(mark)
            try:
                await self.organization(storage).transact(requests, now=self.now, by=USER)
            except OrganizationError as error:
                self.told[type(error).__name__] += 1
            except StorageUnavailable:
                self.told["unknown"] += 1
            except Died:
                self.told["died"] += 1
                self.troubles += storage.troubles
                storage = Troubled(self.account, self.see_versions, self.random)
            else:
                self.told["done"] += 1
                self.done.add(mark)
            self.now += timedelta(seconds=self.random.choice((0, 1, 15, 30)))
        self.troubles += storage.troubles

    async def recover_now_and_then(self) -> None:
        """Be the sweep of a host whose clock is as good as any."""
        while True:
            for _ in range(self.random.randint(1, 200)):
                await asyncio.sleep(0)
            await self.organization().recover(now=self.now)

    def rows(self, kind: str) -> list[Any]:
        return self.account.table(CATALOG.entity(kind).table_name).all_rows()

    def see_versions(self) -> None:
        """Hold every record's version against what it was: it grows whenever the record is another."""
        found: dict[tuple[str, str], tuple[int, Any]] = {}
        for kind in (PROJECT, PERSON, STEP):
            for row in self.rows(kind):
                if row.key.startswith("r-") and isinstance(version := row.values.get("versionnumber"), int):
                    present = {name: value for name, value in row.values.items() if not name.startswith("tx__")}
                    found[kind, row.key] = version, present
                    before = self.versions.get((kind, row.key), (version, present))
                    assert (version, present) == before or version > before[0], f"{before} became {row}"
        self.versions = found

    def check(self) -> None:
        """Check the tables when nothing is under way any more."""
        for kind in KINDS:
            entity, rows = CATALOG.entity(kind), self.rows(kind)
            assert [row.key for row in rows if CHANGING in row.values] == []
            records = {id_of(row): from_row(entity, row.values) for row in rows if row.key.startswith("r-")}
            for record_id, values in records.items():
                assert values[entity.primary_id] == record_id
            wanted = Counter(
                (place.partition, place.row_key, record_id)
                for record_id, values in records.items()
                for place in keys.places_of(entity, values)
            )
            there = Counter((row.partition, row.key, keys.record_of(row)) for row in rows if row.key.startswith("k-"))
            assert there == wanted, "each record has its keys, and no key is without its record"
        assert self.account.table(DECISIONS).all_rows() == []


def marks(world: World) -> set[int]:
    found = {id_of(row): from_row(CATALOG.entity(PERSON), row.values) for row in world.rows(PERSON)}
    return {int(str(found[each]["new_name"]).removeprefix("mark ")) for each in PEOPLE[:2]}


async def lived_through(seed: int) -> World:
    world = World(seed)
    await world.organization().transact(
        [Create(entity=PERSON, id=each, values={"new_name": "mark 0"}) for each in PEOPLE], now=NOON, by=USER
    )
    sweep = asyncio.create_task(world.recover_now_and_then())
    workers = [asyncio.create_task(world.work()) for _ in range(PROCESSES)]
    await asyncio.gather(*workers)
    sweep.cancel()
    await asyncio.gather(sweep, return_exceptions=True)
    return world


@pytest.mark.parametrize("seed", range(12))
async def test_after_recovery_the_tables_hold_whole_transactions_only(seed: int) -> None:
    world = await lived_through(seed)
    await world.organization().recover(now=world.now + PATIENCE + timedelta(seconds=1))
    await world.organization().recover(now=world.now + KEPT + timedelta(seconds=1))

    world.check()
    assert len(marks(world)) == 1, "both records bear the mark of the same transaction"
    assert world.done, world.told
    assert world.troubles["none"] < world.troubles.total(), "something went wrong"
