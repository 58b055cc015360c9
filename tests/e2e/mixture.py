"""What the great test submits: operations of every way to go, drawn from a seed, and what each must come to."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.states import StatusCode
from tests.e2e.handlers.mixed import EVENT, PARENT, POSTPONING, SIMPLE, STEPS


class Way(StrEnum):
    """How an operation is submitted."""

    MANY = "submit_many"
    CLIENT = "submit"
    PLAIN = "inbox"
    BASE64 = "inbox, base64"


class Deed(StrEnum):
    """What is done to an operation from outside."""

    NOTHING = "nothing"
    CANCEL = "cancelled at some moment"
    PAUSE = "paused while it runs, and resumed"
    EVENT = "told that the event has happened"
    END = "cancelled in the end"


#: Operations that each operation that starts others starts, and members of each line of a token.
CHILDREN: Final = 9
LINE: Final = 10
#: Operations of each kind, of every thousand, children among them; the rest does one piece of work, at once.
SHARES: Final[Mapping[str, int]] = {
    "fails": 40,
    "retried": 60,
    "postpones": 60,
    "postponed": 60,
    "token": 100,
    "parent": 100,
    "event": 50,
    "steps": 60,
    "cancelled": 20,
    "paused": 10,
    "recurring": 4,
}


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One operation that is to be: the message that makes it, and what it must come to."""

    name: str
    kind: str
    type: OperationType
    way: Way
    data: Mapping[str, Any]
    #: The id that it is submitted with; None leaves it to the service.
    id: UUID | None
    #: Pieces of work that it must have done when it has succeeded.
    pieces: frozenset[str]
    deed: Deed = Deed.NOTHING
    #: Whether it is submitted a second time, with the same id.
    twice: bool = False
    #: Seconds after its submission before which it must not run.
    postponed: float = 0.0
    members: Mapping[str, Any] = field(default_factory=dict)
    ends: frozenset[StatusCode] = frozenset({StatusCode.SUCCEEDED})
    children: int = 0

    @property
    def message(self) -> dict[str, Any]:
        """The members of the message contract."""
        message = {"operationtype": int(self.type), "name": self.name, "data": dict(self.data), **self.members}
        return message if self.id is None else message | {"asyncoperationid": str(self.id)}


def draw(seed: int, operations: int) -> Sequence[Intent]:
    """Return so many operations (children counted), the same for the same seed, in the order of their submission."""
    drawer = _Drawer(random.Random(seed))
    counts = {kind: operations * share // 1000 for kind, share in SHARES.items()}
    intents = list[Intent]()
    for number in range(counts["fails"]):
        ends = frozenset({StatusCode.FAILED})
        intents.append(drawer.one("fails", number, SIMPLE, {"fails": True}, pieces={"run-0"}, ends=ends))
    for number in range(counts["retried"]):
        intents.append(drawer.one("retried", number, SIMPLE, {"retries": 1 + number % 2}, pieces={"run-0"}))
    for number in range(counts["postpones"]):
        data = {"later": drawer.rng.uniform(0.5, 4)}
        intents.append(drawer.one("postpones", number, POSTPONING, data, pieces={"now", "later"}))
    for number in range(counts["postponed"]):
        wait = drawer.rng.uniform(1, 15)
        intents.append(drawer.one("postponed", number, SIMPLE, {}, pieces={"run-0"}, postponed=wait))
    for number in range(counts["token"]):
        token = {"dependencytoken": f"line {number // LINE}"}
        intents.append(drawer.one("token", number, SIMPLE, {}, pieces={"run-0"}, way=Way.CLIENT, members=token))
    for number in range(counts["parent"] // (CHILDREN + 1)):
        data = {"children": CHILDREN}
        intents.append(drawer.one("parent", number, PARENT, data, pieces={"joined"}, children=CHILDREN))
    for number in range(counts["event"]):
        pieces = {"asked", f"told-{number}"}
        intents.append(drawer.one("event", number, EVENT, {}, pieces=pieces, way=Way.CLIENT, deed=Deed.EVENT))
    for number in range(counts["steps"]):
        steps = drawer.rng.randint(3, 8)
        data = {"steps": steps, "slice": drawer.rng.randint(1, 4)}
        intents.append(drawer.one("steps", number, STEPS, data, pieces={f"step-{step}" for step in range(steps)}))
    for number in range(counts["cancelled"]):
        ends = frozenset({StatusCode.CANCELED, StatusCode.SUCCEEDED})
        intents.append(drawer.long("cancelled", number, Deed.CANCEL, ends=ends))
    for number in range(counts["paused"]):
        intents.append(drawer.long("paused", number, Deed.PAUSE))
    for number in range(counts["recurring"]):
        intents.append(drawer.recurring(number))
    rest = operations - len(intents) - sum(intent.children for intent in intents)
    intents += [drawer.one("simple", number, SIMPLE, {}, pieces={"run-0"}) for number in range(rest)]
    drawer.rng.shuffle(intents)
    return intents


class _Drawer:
    """Makes intents; what does not matter to a kind is left to chance."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def one(
        self,
        kind: str,
        number: int,
        type: OperationType,  # noqa: A002 - the domain's word
        data: Mapping[str, Any],
        *,
        pieces: set[str],
        way: Way | None = None,
        **more: Any,
    ) -> Intent:
        way = way or self.rng.choices(list(Way), [10, 3, 3, 3])[0]
        has_id = way is not Way.MANY or self.rng.random() < 0.5
        return Intent(
            name=f"{kind}-{number}",
            kind=kind,
            type=type,
            way=way,
            # From nothing to a tenth of a second for each piece of work.
            data={"takes": round(self.rng.uniform(0, 0.1), 3), **data},
            id=UUID(int=self.rng.getrandbits(128), version=4) if has_id else None,
            pieces=frozenset(pieces),
            twice=has_id and self.rng.random() < 0.05,
            **more,
        )

    def long(self, kind: str, number: int, deed: Deed, **more: Any) -> Intent:
        """Return one that runs for some seconds, so that somebody can meet it while it does."""
        data = {"steps": 12, "takes": 0.25}
        pieces = {f"step-{step}" for step in range(12)}
        return self.one(kind, number, STEPS, data, pieces=pieces, way=Way.CLIENT, deed=deed, **more)

    def recurring(self, number: int) -> Intent:
        members = {"recurrencepattern": f"FREQ=SECONDLY;INTERVAL={3 + number % 5}"}
        ends = frozenset({StatusCode.CANCELED})
        return self.one(
            "recurring", number, SIMPLE, {}, pieces=set(), way=Way.CLIENT, deed=Deed.END, members=members, ends=ends
        )
