"""Reads host.json: what the app's owner says about queues, timers, HTTP, time limits and logging.

Only what the local host acts on is read; everything else in the file is the real host's business and left alone. As
with the real host, an environment variable `AzureFunctionsJobHost__extensions__queues__batchSize` overrides the value
at that path of the file.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

from asyncservice.devhost.durations import parse_time_span
from asyncservice.devhost.errors import ConfigurationInvalid

_OVERRIDE_PREFIX: Final = "AzureFunctionsJobHost__"
_MAX_BATCH: Final = 32
_SHORTEST_POLL: Final = timedelta(milliseconds=100)
_SHORTEST_LEASE, _LONGEST_LEASE = timedelta(seconds=15), timedelta(seconds=60)
_LEVELS: Final[Mapping[str, int]] = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 1,
}


class MessageEncoding(StrEnum):
    """How the text of a queue message becomes the body that a function sees."""

    BASE64 = "base64"
    """The text is Base64 of the body; what is not goes to the poison queue."""
    NONE = "none"
    """The text is the body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueOptions:
    """`extensions.queues`."""

    #: Messages taken with one request, at most 32.
    batch_size: int = 16
    #: The next batch is fetched as soon as no more than this many messages are being worked on.
    new_batch_threshold: int = 8
    #: A message that failed this often goes to the poison queue.
    max_dequeue_count: int = 5
    #: How long a message stays hidden after its function failed.
    visibility_timeout: timedelta = timedelta(0)
    #: The longest wait between two polls of an empty queue. The host's own default is a minute, and two seconds in the
    #: development environment, which this host is.
    max_polling_interval: timedelta = timedelta(seconds=2)
    message_encoding: MessageEncoding = MessageEncoding.BASE64

    def __post_init__(self) -> None:
        if not 1 <= self.batch_size <= _MAX_BATCH:
            raise ConfigurationInvalid(
                f"host.json: queues.batchSize is {self.batch_size}; it must be 1 to {_MAX_BATCH}."
            )
        if self.new_batch_threshold < 0:
            raise ConfigurationInvalid("host.json: queues.newBatchThreshold must not be negative.")
        if self.max_dequeue_count < 1:
            raise ConfigurationInvalid("host.json: queues.maxDequeueCount must be 1 or more.")
        if self.visibility_timeout < timedelta(0):
            raise ConfigurationInvalid("host.json: queues.visibilityTimeout must not be negative.")
        if self.max_polling_interval < _SHORTEST_POLL:
            raise ConfigurationInvalid("host.json: queues.maxPollingInterval must be 100 ms or more.")


@dataclass(frozen=True, kw_only=True, slots=True)
class SingletonOptions:
    """`singleton`: the blob leases that let one host at a time run a timer."""

    #: How long a listener's lease lasts unless it is renewed. Blob Storage allows 15 to 60 seconds.
    listener_lock_period: timedelta = timedelta(seconds=60)
    #: How often a host without the lease asks for it.
    listener_lock_recovery_polling_interval: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        if not _SHORTEST_LEASE <= self.listener_lock_period <= _LONGEST_LEASE:
            raise ConfigurationInvalid("host.json: singleton.listenerLockPeriod must be 15 to 60 seconds.")
        if self.listener_lock_recovery_polling_interval <= timedelta(0):
            raise ConfigurationInvalid("host.json: singleton.listenerLockRecoveryPollingInterval must be positive.")


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpOptions:
    """`extensions.http`."""

    #: Stands before every route; the host's default is `api`.
    route_prefix: str = "api"


@dataclass(frozen=True, kw_only=True, slots=True)
class HostJson:
    """The parts of host.json that the local host follows."""

    queues: QueueOptions = QueueOptions()
    singleton: SingletonOptions = SingletonOptions()
    http: HttpOptions = HttpOptions()
    #: The longest a function may run; None is no limit. The host's default outside the Consumption plan is 30 minutes.
    function_timeout: timedelta | None = timedelta(minutes=30)
    #: Log levels by category; `default` stands for all that are not named.
    log_levels: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, environment: Mapping[str, str]) -> Self:
        """Return what the file at *path* says, overridden by *environment*; raise ConfigurationInvalid."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise ConfigurationInvalid(f"There is no {path.name} in {path.parent}: is this a function app?") from None
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigurationInvalid(f"{path.name} is not JSON: {error}") from error
        if not isinstance(document, dict):
            raise ConfigurationInvalid(f"{path.name} must hold a JSON object.")
        return cls.parse(_overridden(document, environment))

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Self:
        """Return what *document* says; raise ConfigurationInvalid."""
        if document.get("version") != "2.0":
            raise ConfigurationInvalid('host.json must say "version": "2.0".')
        extensions = _section(document, "extensions")
        levels = _section(_section(document, "logging"), "logLevel")
        return cls(
            queues=_queue_options(_section(extensions, "queues")),
            singleton=_singleton_options(_section(document, "singleton")),
            http=HttpOptions(route_prefix=str(_section(extensions, "http").get("routePrefix", "api")).strip("/")),
            function_timeout=_function_timeout(document.get("functionTimeout")),
            log_levels={category: _level(category, level) for category, level in levels.items()},
        )


def _queue_options(section: Mapping[str, Any]) -> QueueOptions:
    defaults = QueueOptions()
    batch_size = _number(section, "batchSize", defaults.batch_size)
    encoding = str(section.get("messageEncoding", defaults.message_encoding)).lower()
    if encoding not in list(MessageEncoding):
        raise ConfigurationInvalid(f"host.json: queues.messageEncoding is {encoding!r}; it must be base64 or none.")
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=_number(section, "newBatchThreshold", batch_size // 2),
        max_dequeue_count=_number(section, "maxDequeueCount", defaults.max_dequeue_count),
        visibility_timeout=_span(section, "visibilityTimeout", defaults.visibility_timeout),
        max_polling_interval=_span(section, "maxPollingInterval", defaults.max_polling_interval),
        message_encoding=MessageEncoding(encoding),
    )


def _singleton_options(section: Mapping[str, Any]) -> SingletonOptions:
    defaults = SingletonOptions()
    return SingletonOptions(
        listener_lock_period=_span(section, "listenerLockPeriod", defaults.listener_lock_period),
        listener_lock_recovery_polling_interval=_span(
            section, "listenerLockRecoveryPollingInterval", defaults.listener_lock_recovery_polling_interval
        ),
    )


def _function_timeout(value: object) -> timedelta | None:
    if value is None:
        return HostJson().function_timeout
    # A timeout of -1 means that functions may run without end.
    if str(value).strip() in {"-1", "-00:00:00.0010000"}:
        return None
    span = _span({"functionTimeout": value}, "functionTimeout", timedelta(0))
    if span <= timedelta(0):
        raise ConfigurationInvalid("host.json: functionTimeout must be positive, or -1 for no limit.")
    return span


def _level(category: str, level: object) -> int:
    try:
        return _LEVELS[str(level).lower()]
    except KeyError:
        raise ConfigurationInvalid(f"host.json: the log level {level!r} of {category} is unknown.") from None


def _section(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = parent.get(name, {})
    if not isinstance(section, dict):
        raise ConfigurationInvalid(f"host.json: {name} must be an object.")
    return section


def _number(section: Mapping[str, Any], name: str, default: int) -> int:
    try:
        return int(section.get(name, default))
    except (TypeError, ValueError):
        raise ConfigurationInvalid(f"host.json: {name} must be a number, not {section[name]!r}.") from None


def _span(section: Mapping[str, Any], name: str, default: timedelta) -> timedelta:
    if name not in section:
        return default
    try:
        return parse_time_span(str(section[name]))
    except ValueError as error:
        raise ConfigurationInvalid(f"host.json: {name}: {error}.") from error


def _overridden(document: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    for name, value in environment.items():
        if name.startswith(_OVERRIDE_PREFIX):
            *parents, last = name.removeprefix(_OVERRIDE_PREFIX).split("__")
            section = document
            for parent in parents:
                section = section.setdefault(parent, {})
                if not isinstance(section, dict):
                    raise ConfigurationInvalid(f"The setting {name} overrides a part of host.json that is no object.")
            section[last] = value
    return document
