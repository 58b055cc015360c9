"""What the worker says of the app: its functions, each with one trigger."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncservice.devhost.errors import ConfigurationInvalid, WorkerFailed
from asyncservice.devhost.settings import resolve_binding


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """One function as the worker describes it."""

    id: str
    name: str
    #: Each a JSON object, with its placeholders.
    bindings: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueTrigger:
    """Runs a function for every message of a queue."""

    queue: str
    #: Name of the setting that says which account; empty stands for AzureWebJobsStorage.
    connection: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TimerTrigger:
    """Runs a function on a schedule."""

    schedule: str
    run_on_startup: bool
    #: None leaves it to the schedule: monitored unless it recurs more often than once a minute.
    use_monitor: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpTrigger:
    """Runs a function for every request to a route."""

    #: The template without the prefix of host.json.
    route: str
    #: Upper-case; empty allows every method.
    methods: frozenset[str]


type Trigger = QueueTrigger | TimerTrigger | HttpTrigger


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """One function of the app."""

    #: What the worker calls it.
    id: str
    name: str
    #: The parameter that receives the trigger's data.
    parameter: str
    trigger: Trigger


def read_functions(descriptions: Iterable[Description], settings: Mapping[str, str]) -> tuple[Function, ...]:
    """Make Functions of what the worker describes; raise ConfigurationInvalid or WorkerFailed."""
    return tuple(_read(each, settings) for each in descriptions)


def _read(description: Description, settings: Mapping[str, str]) -> Function:
    try:
        bindings = [resolve_binding(json.loads(raw), settings) for raw in description.bindings]
        return read_function(description.id, description.name, bindings)
    except (KeyError, json.JSONDecodeError) as error:
        name = description.name
        raise WorkerFailed(f"The worker describes the function {name} in a way that is not known.") from error


def read_function(function_id: str, name: str, bindings: Sequence[Mapping[str, Any]]) -> Function:
    """Make a Function of its bindings, whose placeholders are resolved; raise ConfigurationInvalid."""
    triggers = [binding for binding in bindings if str(binding.get("type", "")).lower().endswith("trigger")]
    if len(triggers) != 1:
        raise ConfigurationInvalid(f"Function {name} has {len(triggers)} triggers; it must have one.")
    for binding in bindings:
        if binding is not triggers[0] and str(binding.get("type")).lower() != "http":
            raise ConfigurationInvalid(
                f"Function {name} has a {binding.get('type')} binding; the local host knows triggers and HTTP only."
            )
    trigger = triggers[0]
    read = _READERS.get(str(trigger["type"]).lower())
    if read is None:
        raise ConfigurationInvalid(
            f"Function {name} has a {trigger['type']}; the local host knows queue, timer and HTTP triggers."
        )
    return Function(id=function_id, name=name, parameter=str(trigger["name"]), trigger=read(trigger, name))


def _queue_trigger(binding: Mapping[str, Any], _name: str) -> QueueTrigger:
    return QueueTrigger(queue=str(binding["queueName"]).lower(), connection=str(binding.get("connection") or ""))


def _timer_trigger(binding: Mapping[str, Any], _name: str) -> TimerTrigger:
    return TimerTrigger(
        schedule=str(binding["schedule"]),
        run_on_startup=bool(binding.get("runOnStartup")),
        use_monitor=binding.get("useMonitor"),
    )


def _http_trigger(binding: Mapping[str, Any], name: str) -> HttpTrigger:
    methods = binding.get("methods") or ()
    route = binding.get("route")
    return HttpTrigger(
        route=name if route is None else str(route).strip("/"),
        methods=frozenset(str(method).upper() for method in methods),
    )


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Trigger]]] = {
    "queuetrigger": _queue_trigger,
    "timertrigger": _timer_trigger,
    "httptrigger": _http_trigger,
}
