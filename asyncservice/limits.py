"""Every limit and default in force, in one list: what it limits, its value now, its default, and what changes it.

No number stands here. Each is read where it is enforced: a setting, a constant, a field of a policy, or the host's own
`host.json`. The endpoint `/api/limits`, the command `service limits` and a page of the documentation show this list.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from operator import attrgetter
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from asyncservice.operations import (
    agenda,
    answers,
    attempt,
    children,
    codec,
    creation,
    engine,
    hints,
    insertion,
    lifecycle,
    poison,
    rebuilding,
    recurrence,
    reservation,
    retention,
    rules,
    slots,
    store,
    switch,
    transition,
)
from asyncservice.operations.columns import COLUMNS
from asyncservice.operations.handling import Registration, Registry
from asyncservice.operations.retry import RetryPolicy
from asyncservice.organization import (
    bulk,
    cascades,
    customization,
    decisions,
    filecolumns,
    jobs,
    leftovers,
    tracking,
    transactions,
)
from asyncservice.organization.importing import problems, sources, splitter
from asyncservice.organization.query import checks, evaluation, fetchxmltext, model, odatamask, sqltext
from asyncservice.settings import Settings
from asyncservice.storage import queues, tables

#: An application setting that begins so overrides the value at its path in host.json.
_HOST_PREFIX: Final = "AzureFunctionsJobHost__"

type HostValues = Mapping[str, Any]
"""The values of host.json by their paths, such as `extensions.queues.batchSize`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where values in force are read."""

    settings: Settings
    #: host.json as it is in force, and as it is in the file.
    host: HostValues
    host_defaults: HostValues
    #: The partitions that the table has; None before it was opened.
    shards: int | None = None
    #: The handlers, whose types may have terms of their own.
    handlers: Registry | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """One limit, and what is known of it."""

    #: Names it for programs.
    name: str
    #: What it belongs to.
    group: str
    #: What it limits.
    what: str
    #: The value in force; None where there is none. Lengths of time are seconds.
    value: int | float | str | None
    default: int | float | str | None
    unit: str
    #: The environment variable that changes it; None for a number of the program.
    setting: str | None = None
    #: What Dataverse documents for the same, where it does.
    dataverse: str | None = None

    def as_plain(self) -> dict[str, object]:
        """Return it as JSON can write it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """A limit, and where its value is read."""

    name: str
    what: str
    read: Callable[[Source], Any]
    unit: str
    setting: str | None = None
    dataverse: str | None = None


def in_force(source: Source) -> list[Limit]:
    """Return every limit with its value in force and its default."""
    plain = Source(settings=_defaults(), host=source.host_defaults, host_defaults=source.host_defaults)
    limits = []
    for group, entries in _GROUPS.items():
        for entry in entries:
            value, default = _plain(entry.read(source)), _plain(entry.read(plain))
            limits.append(
                Limit(
                    name=entry.name,
                    group=group,
                    what=entry.what,
                    value=value,
                    default=default,
                    unit=entry.unit,
                    setting=entry.setting,
                    dataverse=entry.dataverse,
                )
            )
    return [*limits, *_of_types(source)]


def host_values(path: Path, environ: Mapping[str, str]) -> tuple[HostValues, HostValues]:
    """Return the values of a host.json as *environ* overrides them, and as they are in the file."""
    text = path.read_text(encoding="utf-8") if path.exists() else "{}"
    in_file = dict(_leaves(json.loads(text)))
    overrides = {
        name.removeprefix(_HOST_PREFIX).replace("__", ".").casefold(): value
        for name, value in environ.items()
        if name.startswith(_HOST_PREFIX)
    }
    return {name: overrides.get(name.casefold(), value) for name, value in in_file.items()}, in_file


def _leaves(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _setting(name: str, what: str, unit: str, *, dataverse: str | None = None, own: Any = None) -> _Entry:  # noqa: ANN401
    """Return the entry of a setting; *own* is what counts where it is not set."""
    return _Entry(
        name=name,
        what=what,
        unit=unit,
        setting=f"{Settings.model_config.get('env_prefix')}{name.upper()}",
        dataverse=dataverse,
        read=lambda source: own if getattr(source.settings, name) is None else getattr(source.settings, name),
    )


def _fixed(name: str, value: Any, what: str, unit: str, *, dataverse: str | None = None) -> _Entry:  # noqa: ANN401
    """Return the entry of a number of the program."""
    return _Entry(name=name, what=what, unit=unit, dataverse=dataverse, read=lambda _: value)


def _of_agenda(name: str, field: str, what: str, unit: str) -> _Entry:
    """Return the entry of a field of the agenda's policy, as the settings make it."""
    read = attrgetter(field)
    return _Entry(name=name, what=what, unit=unit, read=lambda source: read(source.settings.engine_options().agenda))


def _of_host(path: str, what: str, unit: str) -> _Entry:
    """Return the entry of a value of host.json."""
    return _Entry(
        name=f"host.{path}",
        what=what,
        unit=unit,
        setting=_HOST_PREFIX + path.replace(".", "__"),
        read=lambda source: source.host.get(path),
    )


def _default_of(kind: type, name: str) -> Any:  # noqa: ANN401 - whatever the field holds
    """Return the default of a field of a dataclass."""
    return next(each.default for each in fields(kind) if each.name == name)


_QUEUES: Final = "extensions.queues."
_GROUPS: Final[Mapping[str, Sequence[_Entry]]] = {
    "running": (
        _setting(
            "lease",
            "A claim holds this long without a heartbeat, unless the operation type says otherwise.",
            "seconds",
            own=_default_of(Registration, "lease"),
            dataverse="TimeoutLockedInterval; no default published",
        ),
        _fixed(
            "heartbeats_a_lease",
            attempt.BEATS_A_LEASE,
            "Times a lease is renewed in its length.",
            "heartbeats",
            dataverse="AsyncKeepAliveInterval; no default published",
        ),
        _setting(
            "slice",
            "A handler works this long before it is asked to yield, unless the operation type says otherwise.",
            "seconds",
            own=_default_of(Registration, "slice"),
            dataverse="120 for a message with its plug-ins",
        ),
        _setting("concurrency", "Operations that one worker process runs at the same time.", "operations"),
        _Entry(
            name="family_slots",
            what="So many of them are kept for each family.",
            unit="operations",
            read=lambda source: slots.own_slots(source.settings.concurrency),
        ),
        _fixed(
            "slot_patience",
            slots.PATIENCE,
            "What a process has taken and cannot begin within this time is left to other hosts.",
            "seconds",
        ),
        _fixed(
            "slot_pause",
            slots.LONGEST_PAUSE,
            "A process that has left work to others takes more when there is room, or after this long.",
            "seconds",
        ),
        _fixed(
            "deaths",
            lifecycle.MAX_DEATHS,
            "An operation whose process died this often in a row without progress is Failed.",
            "deaths",
        ),
        _fixed(
            "release", engine.RELEASE_TIME, "A host that leaves has this long to give back an operation.", "seconds"
        ),
        _fixed(
            "write_tries",
            1 + len(attempt.WRITE_PAUSES),
            "A worker's write that the storage does not answer is tried this often.",
            "tries",
        ),
        _setting(
            "max_depth",
            "Operations that cause each other may be this deep; the next one is Failed.",
            "operations",
            dataverse="16 online, 8 on-premises (WorkflowSettings.MaxDepth)",
        ),
        _fixed(
            "chain_quiet",
            creation.QUIET,
            "A chain that was quiet for this long counts its depth anew.",
            "seconds",
            dataverse="WorkflowSettings.MinInactiveSeconds; 600 by third parties",
        ),
        _setting("handler_modules", "Packages whose modules register handlers.", "packages"),
        _setting("schema_folder", "A folder with definitions of further tables.", "path"),
        _fixed(
            "schema_fresh", customization.FRESH, "How late a process may notice that tables were changed.", "seconds"
        ),
    ),
    "queries": (
        _fixed(
            "page", model.MAX_PAGE, "Rows of a page, and how many it holds when nobody says.", "rows", dataverse="5000"
        ),
        _fixed(
            "count", model.MAX_COUNT, "Rows that are counted; more are only known to be more.", "rows", dataverse="5000"
        ),
        _fixed(
            "aggregated", model.MAX_AGGREGATED, "Rows that an aggregate may be made of.", "rows", dataverse="50,000"
        ),
        _fixed(
            "simple_paging",
            evaluation.MAX_SIMPLE_PAGING,
            "Rows that can be reached by the number of a page alone, without a cookie.",
            "rows",
            dataverse="50,000",
        ),
        _fixed(
            "query_conditions",
            checks.MAX_CONDITIONS,
            "Conditions and links of a query together.",
            "conditions",
            dataverse="500",
        ),
        _fixed(
            "query_links", checks.MAX_LINKS, "Links of a query, those in filters included.", "links", dataverse="15"
        ),
        _fixed("query_depth", checks.MAX_DEPTH, "Filters, links and expansions inside each other.", "levels"),
        _fixed("fetchxml", fetchxmltext.MAX_LENGTH, "A query in FetchXML.", "characters"),
        _fixed("sql", sqltext.MAX_SQL_LENGTH, "A query in SQL.", "characters"),
        _fixed("sql_depth", sqltext.MAX_SQL_DEPTH, "Parentheses and signs inside each other in SQL.", "levels"),
        _fixed("tracked_rows", tracking.MAX_TRACKED, "A table whose changes are tracked.", "rows"),
        _fixed("delta_link", tracking.LOOKS_KEPT, "A link to changes is good for so long.", "seconds"),
        _fixed("query_option", odatamask.MAX_LENGTH, "An option of a URL, such as $filter.", "characters"),
    ),
    "files": (
        _fixed(
            "file",
            filecolumns.MAX_KILOBYTES,
            "The content of a file column that names no size of its own.",
            "kilobytes",
            dataverse="32,768",
        ),
        _fixed("file_part", filecolumns.PART, "A part of a file that is sent in parts.", "bytes", dataverse="4 MiB"),
        _fixed("file_session", filecolumns.SESSION, "An upload in parts must be through within this time.", "seconds"),
        _fixed(
            "file_leftovers",
            leftovers.QUIET,
            "Contents that no record names are removed when they have lain there for so long.",
            "seconds",
        ),
    ),
    "retries": (
        _fixed(
            "attempts",
            _default_of(RetryPolicy, "max_attempts"),
            "Attempts in all at an operation whose errors may be retried.",
            "attempts",
            dataverse="4 for a plug-in that asks for a retry",
        ),
        _fixed(
            "first_delay", _default_of(RetryPolicy, "first_delay"), "The pause before the second attempt.", "seconds"
        ),
        _fixed(
            "delay_factor", _default_of(RetryPolicy, "factor"), "Each pause is so many times the one before.", "times"
        ),
        _fixed("longest_delay", _default_of(RetryPolicy, "longest_delay"), "The longest pause of its own.", "seconds"),
        _fixed("retry_after", answers.LONGEST_WAIT, "A Retry-After that asks for more counts as this much.", "seconds"),
        _fixed("jitter", _default_of(RetryPolicy, "jitter"), "Pauses vary by this share either way.", "share"),
    ),
    "agenda": (
        _setting("sweep_schedule", "When the sweep looks for work that lost its hint or host.", "NCRONTAB"),
        _setting("hint_grace", "A Ready operation that no host took for this long gets a new hint.", "seconds"),
        _setting("look_again", "The sweep looks this much later again at what it sent a hint.", "seconds"),
        _setting(
            "children_net",
            "One that waits for its children is looked at this often, in case a word was lost.",
            "seconds",
        ),
        _of_agenda("agenda_slack", "slack", "An agenda row may be this much early.", "seconds"),
        _of_agenda(
            "hint_horizon",
            "horizon",
            "What is due within this time gets its hint at once, hidden until then.",
            "seconds",
        ),
        _fixed("sweep_rows", agenda.ROWS_A_SHARD, "Rows of a partition that one sweep looks at.", "rows"),
        _fixed(
            "sweep_partitions", agenda.SHARDS_AT_ONCE, "Partitions that a sweep looks at side by side.", "partitions"
        ),
        _fixed("clock_skew", rebuilding.CLOCK_SKEW, "Clocks of hosts may differ by this much in an audit.", "seconds"),
        _fixed("patience", switch.PATIENCE, "A host sees within this time that the service was stopped.", "seconds"),
    ),
    "retention": (
        _setting(
            "succeeded_persistence_days",
            "A Succeeded operation is kept this long.",
            "days",
            dataverse="30 (SucceededSystemJobPersistenceInDays)",
        ),
        _setting(
            "failed_persistence_days",
            "A Failed operation is kept this long.",
            "days",
            dataverse="60 (FailedSystemJobPersistenceInDays)",
        ),
        _setting(
            "canceled_persistence_days",
            "A Canceled operation is kept this long.",
            "days",
            dataverse="60 (CanceledSystemJobPersistenceInDays)",
        ),
        _setting("persistence_days_by_type", "Other days for single operation types.", "rules"),
        _setting("retention_schedule", "When completed operations past their time are removed.", "NCRONTAB"),
        _setting("autodelete_schedule", "When succeeded operations with asyncautodelete are removed.", "NCRONTAB"),
        _setting("autodelete_delay", "One with asyncautodelete is kept this long when it has succeeded.", "seconds"),
        _setting("retention_budget", "One removal takes this long at most; the next goes on.", "seconds"),
        _fixed("retention_batch", retention.BATCH, "Operations removed in one transaction.", "operations"),
        _fixed("fence", reservation.KEPT, "The place of a removed record with a token is kept this long.", "seconds"),
    ),
    "sizes": (
        _fixed("name", COLUMNS["name"].max_length, "name of an operation.", "characters", dataverse="256"),
        _fixed(
            "dependencytoken", COLUMNS["dependencytoken"].max_length, "dependencytoken.", "characters", dataverse="256"
        ),
        _fixed("data", COLUMNS["data"].max_length, "data of an operation.", "characters", dataverse="1,073,741,823"),
        _fixed(
            "message",
            lifecycle.MAX_MESSAGE,
            "message and friendlymessage; what is longer is cut.",
            "characters",
            dataverse="100,000 (friendlymessage)",
        ),
        _fixed("inline", codec.MAX_INLINE, "A text that is longer leaves its row and is kept in a blob.", "characters"),
        _fixed(
            "history",
            codec.MAX_HISTORY,
            "A history that is longer is archived to rows of its own.",
            "characters of JSON",
        ),
        _fixed("reason", transition.MAX_REASON, "What the history keeps of an error's text.", "characters"),
        _fixed("event_data", tables.MAX_TEXT, "The data of an event, as JSON.", "characters"),
        _fixed("queue_message", queues.MAX_MESSAGE_BYTES, "A message to the inbox.", "bytes of UTF-8"),
        _fixed("queue_hidden", queues.MAX_HIDDEN, "A queue message can be hidden this long.", "seconds"),
        _fixed("row", tables.MAX_ROW_BYTES, "A row of the table.", "bytes"),
        _fixed("recurrencepattern", recurrence.MAX_PATTERN, "recurrencepattern.", "characters", dataverse="256"),
        _fixed("recurrence_interval", recurrence.MAX_INTERVAL, "INTERVAL of a recurrence rule.", "intervals"),
        _fixed(
            "recurrence_horizon",
            rules.HORIZON,
            "A recurrence rule without a slot for this long, times its INTERVAL, has ended.",
            "seconds",
        ),
        _fixed("recurrence_count", recurrence.MAX_COUNT, "COUNT of a recurrence rule.", "runs"),
    ),
    "batches": (
        _Entry(
            name="shards",
            what="Partitions of the table; decided at the very first start.",
            unit="partitions",
            setting=f"{Settings.model_config.get('env_prefix')}SHARDS",
            read=lambda source: source.settings.shards if source.shards is None else source.shards,
        ),
        _fixed("transaction", tables.MAX_WRITES, "Rows of one transaction.", "rows"),
        _fixed("submissions", insertion.batch_size([]), "Most operations submitted in one transaction.", "operations"),
        _fixed("submissions_usual", insertion.USUAL_BATCH, "Those with one index row, written together.", "operations"),
        _fixed("unfinished_listed", jobs.MOST_UNFINISHED, "Unfinished jobs that a list finds by the agenda.", "jobs"),
        _fixed("children", children.MOST_AT_ONCE, "Most children started in one transaction.", "operations"),
        _fixed("tickets", hints.MAX_TICKETS, "Operations that one hint names.", "operations"),
        _fixed("ticket_copy", hints.MAX_COPY, "A record that is longer is not copied into its hint.", "bytes"),
        _fixed("ticket_copies", hints.MAX_COPIES, "Records copied into one hint, together.", "bytes"),
        _fixed("poison_listed", poison.MAX_LISTED, "Poison messages of one queue that are listed.", "messages"),
        _fixed("write_races", store.TRIES, "A write that lost a race is made again this often.", "tries"),
    ),
    "imports": (
        _fixed("import_line", splitter.MAX_LINE, "One row of an import file.", "characters"),
        _fixed("import_heading", sources.MAX_HEADING, "A column heading.", "characters", dataverse="160"),
        _fixed("import_log", problems.ROWS_TOGETHER, "Rows of the log written together.", "rows"),
        _fixed("import_transaction", bulk.MOST_BYTES, "Records written in one transaction.", "bytes"),
    ),
    "records": (
        _fixed(
            "record_requests", transactions.MOST_REQUESTS, "Requests of one transaction.", "requests", dataverse="1,000"
        ),
        _fixed(
            "record_cascade",
            cascades.MOST_TOUCHED,
            "Records that one transaction changes, cascades included.",
            "records",
        ),
        _fixed("record_tries", transactions.TRIES, "A transaction that lost a race is made again this often.", "tries"),
        _fixed(
            "record_patience",
            decisions.PATIENCE,
            "A transaction that is not decided by then may be aborted.",
            "seconds",
        ),
        _fixed(
            "record_decision_kept",
            decisions.KEPT,
            "What was decided of a transaction whose process died is remembered for so long.",
            "seconds",
        ),
    ),
    "Web API": (
        _setting("api_concurrency", "Requests that one worker process answers at the same time.", "requests"),
        _setting("api_caller_concurrency", "Of these, so many of one caller.", "requests", dataverse="52"),
        _setting(
            "api_caller_requests",
            "Requests of one caller within five minutes, in one process.",
            "requests",
            dataverse="6,000",
        ),
        _setting(
            "api_caller_time",
            "Time that requests of one caller take within five minutes, in one process.",
            "seconds",
            dataverse="1,200",
        ),
        _setting("api_max_body", "A request's body.", "bytes"),
        _setting("auth_tenant", "The tenant whose tokens are good.", "tenant"),
        _setting("auth_authority", "Where that tenant signs in.", "address"),
        _setting("auth_issuer", "The issuer of good tokens, where it is not the tenant's own.", "address"),
        _setting("auth_audience", "Whom tokens must be for.", "names"),
        _setting("auth_keys_url", "Where the issuer's signing keys are, where nothing else says it.", "address"),
        _setting("auth_leeway", "Clocks may differ by this much when tokens are checked.", "seconds"),
        _Entry(
            name="auth_local",
            what="Nobody is asked who calls; only where no other machine can.",
            unit="(a switch)",
            setting=f"{Settings.model_config.get('env_prefix')}AUTH_LOCAL",
            read=lambda source: "on" if source.settings.auth_local else "off",
        ),
        _setting("auth_local_names", "Names beside localhost that such a host answers to.", "names"),
    ),
    "host": (
        _of_host(_QUEUES + "batchSize", "Messages of a queue taken with one request.", "messages"),
        _of_host(_QUEUES + "newBatchThreshold", "The next batch is fetched when so many are left.", "messages"),
        _Entry(
            name="host.concurrency",
            what="Messages of one queue under way in one instance: batchSize and newBatchThreshold together.",
            unit="messages",
            read=lambda source: (
                int(source.host.get(_QUEUES + "batchSize", 0)) + int(source.host.get(_QUEUES + "newBatchThreshold", 0))
            ),
        ),
        _of_host(
            _QUEUES + "maxDequeueCount", "Deliveries after which a message goes to the poison queue.", "deliveries"
        ),
        _of_host(
            _QUEUES + "visibilityTimeout", "A message stays hidden this long after a failed delivery.", "hh:mm:ss"
        ),
        _of_host(_QUEUES + "maxPollingInterval", "The longest pause between two polls of an empty queue.", "hh:mm:ss"),
        _of_host("functionTimeout", "The longest an invocation may run.", "hh:mm:ss"),
    ),
}


def settings_listed() -> set[str]:
    """Return the fields of the settings that the list names; a test wants them all."""
    prefix = str(Settings.model_config.get("env_prefix"))
    names = {entry.setting for entries in _GROUPS.values() for entry in entries if entry.setting}
    return {name.removeprefix(prefix).lower() for name in names if name.startswith(prefix)}


def _of_types(source: Source) -> Iterator[Limit]:
    """Yield the terms of operation types that differ from the common ones."""
    if source.handlers is None:
        return
    common = {name: _default_of(Registration, name) for name in ("lease", "slice")}
    retries = {each.name: each.default for each in fields(RetryPolicy)}
    overridden = {"lease": source.settings.lease, "slice": source.settings.slice}
    for number in source.handlers.types():
        registration = source.handlers.get(number)
        if registration is None:
            continue
        own = {f"{name} of": (getattr(registration, name), overridden[name], common[name]) for name in common}
        own |= {
            f"retries: {name} of": (getattr(registration.retry, name), None, default)
            for name, default in retries.items()
        }
        for name, (declared, setting, default) in own.items():
            if declared != default:
                yield Limit(
                    name=f"{name} {int(number)}",
                    group="operation types",
                    what=f"{name} operation type {int(number)} ({registration.type.label}).",
                    value=_plain(declared if setting is None else setting),
                    default=_plain(declared),
                    unit="seconds" if isinstance(declared, timedelta) else "",
                )


def _defaults() -> Settings:
    """Return the settings as nobody has changed them."""
    return Settings.model_construct(**{name: each.get_default() for name, each in Settings.model_fields.items()})


def _plain(value: Any) -> int | float | str | None:  # noqa: ANN401 - whatever limits something
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds.is_integer() else seconds
    if isinstance(value, UUID):
        return str(value)
    if value is None or isinstance(value, int | float | str):
        return value
    raise TypeError(f"A limit is a number, a length of time or a text, not {value!r}.")
