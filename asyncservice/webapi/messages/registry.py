"""Which functions and actions there are. A message registers itself:

    @message("RetrieveTotalRecordCount", Kind.FUNCTION,
             parameters={"EntityNames": tuple[str, ...]}, returns=RetrieveTotalRecordCountResponse)
    async def retrieve_total_record_count(call: Call) -> RetrieveTotalRecordCountResponse:
        names = call["EntityNames"]

Parameters and results are declared with the types of messages/types. The dispatcher checks what is given against them,
and the CSDL document describes them; nothing is written down twice.
"""  # noqa: D400 - the example belongs to the sentence

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from asyncservice.organization.schema.entities import Entity
from asyncservice.organization.values import Reference
from asyncservice.webapi.context import Api
from asyncservice.webapi.exchange import Request
from asyncservice.webapi.messages.types import ANY_ENTITY, Member, Type, member, type_of


class Kind(StrEnum):
    """Functions only tell (GET), actions do (POST). Values are CSDL's words."""

    FUNCTION = "Function"
    ACTION = "Action"

    @property
    def method(self) -> str:
        """The HTTP method that calls it."""
        return "GET" if self is Kind.FUNCTION else "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a message, its arguments read and checked."""

    api: Api
    request: Request
    message: "Message"
    #: By parameter, of the type declared; None for an optional one that was not given.
    arguments: Mapping[str, Any] = field(default_factory=dict)
    #: The entity whose set or row it is bound to.
    entity: Entity | None = None
    #: The row it is bound to. Whether there is such a row has not been looked up.
    target: Reference | None = None
    now: datetime

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - what type it is the declaration says
        return self.arguments[name]

    @property
    def bound_entity(self) -> Entity:
        """The entity, of a call that is bound to a set."""
        if self.entity is None:
            raise TypeError("The message is not bound.")
        return self.entity

    @property
    def bound_row(self) -> Reference:
        """The row, of a call that is bound to one."""
        if self.target is None:
            raise TypeError("The message is not bound to a row.")
        return self.target


type Answer = Callable[[Call], Awaitable[object]]
"""What carries a message out: returns a value of the declared type (of a row a Reference to it, which is read and
answered), None without one, or a Response of its own.

Raises ApiError, or an error that webapi/faults knows.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A function or an action."""

    name: str
    kind: Kind
    #: The logical name of the entity it is bound to, ANY_ENTITY for all of them, None when it is unbound.
    bound_to: str | None
    #: Whether it is bound to the set and not to a row.
    is_of_collection: bool
    parameters: tuple[Member, ...]
    returns: Type | None
    answer: Answer


class Messages:
    """Messages by name and binding. No two share both."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str | None, bool], Message] = {}

    def add(self, added: Message) -> None:
        """Register a message. Raises ValueError when there is one already."""
        key = (added.name, added.bound_to, added.is_of_collection)
        if key in self._messages:
            raise ValueError(f"Two messages are called {added.name} and bound to {added.bound_to}.")
        self._messages[key] = added

    def unbound(self, name: str) -> Message | None:
        """Return the unbound message of that name."""
        return self._messages.get((name, None, False))

    def bound(self, name: str, entity: str, *, to_collection: bool) -> Message | None:
        """Return the message of that name that is bound to the entity's set or rows, or to those of any entity."""
        for bound_to in (entity, ANY_ENTITY):
            found = self._messages.get((name, bound_to, to_collection))
            if found is not None:
                return found
        return None

    def __iter__(self) -> Iterator[Message]:
        return iter(self._messages.values())


#: The messages of the service; modules of this package add to it when they are imported.
registry: Final = Messages()


def message(
    name: str,
    kind: Kind,
    *,
    bound_to: str | None = None,
    collection: bool = False,
    parameters: Mapping[str, Any] | None = None,
    returns: Any = None,  # noqa: ANN401 - an annotation
    into: Messages = registry,
) -> Callable[[Answer], Answer]:
    """Register the decorated function as what carries out the message."""

    def register(answer: Answer) -> Answer:
        into.add(
            Message(
                name=name,
                kind=kind,
                bound_to=bound_to,
                is_of_collection=collection,
                parameters=tuple(member(each, annotation) for each, annotation in (parameters or {}).items()),
                returns=None if returns is None else type_of(returns),
                answer=answer,
            )
        )
        return answer

    return register
