"""How the command line shows operations: tables, one operation in full, live progress."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Final, Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table
from rich.text import Text

from asyncservice.limits import Limit
from asyncservice.operations.audit import Finding, Tally
from asyncservice.operations.history import HistoryEntry
from asyncservice.operations.poison import PoisonMessage
from asyncservice.operations.record import AsyncOperation
from asyncservice.operations.states import StatusCode
from asyncservice.operations.switch import Stopped
from asyncservice.operations.waitreasons import Wait, friendly

#: A terminal that is this wide shows every column.
_WIDE: Final = 100
#: A sign and a colour for each status; the word always stands beside them.
_SIGNS: Final = {
    StatusCode.WAITING_FOR_RESOURCES: ("○", "cyan"),
    StatusCode.WAITING: ("◷", "yellow"),
    StatusCode.IN_PROGRESS: ("▶", "blue"),
    StatusCode.PAUSING: ("▶", "yellow"),
    StatusCode.CANCELING: ("▶", "yellow"),
    StatusCode.SUCCEEDED: ("✔", "green"),
    StatusCode.FAILED: ("✘", "red"),
    StatusCode.CANCELED: ("■", "magenta"),
}


def status_text(status: StatusCode) -> Text:
    """Return a status as people read it."""
    sign, colour = _SIGNS[status]
    return Text(f"{sign} {status.label}", style=colour)


def type_label(operation: AsyncOperation) -> str:
    """Return the operation's type as people read it."""
    return operation.type.label if operation.type else "(none)"


def operations_table(operations: Sequence[tuple[AsyncOperation, Wait | None]], *, today: date, width: int) -> Table:
    """Return a table with one line for each operation and what it waits for; times are UTC.

    Made for a terminal of *width* columns; ids are never cut. Below 100 columns a Ready operation is called so, and
    what it waits for and the rows it has done are left out.
    """
    is_wide = width >= _WIDE
    headings = ("asyncoperationid", "name", "status", "created", *(("rows",) if is_wide else ()))
    table = Table(title="System jobs", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for heading in headings:
        table.add_column(heading, no_wrap=True, min_width=36 if heading == "asyncoperationid" else None)
    room = max(8, width - (98 if is_wide else 68))
    for operation, wait in operations:
        label, status = operation.label, status_text(operation.statuscode)
        if operation.statuscode is StatusCode.WAITING_FOR_RESOURCES:
            status = Text("○ Ready", style=status.style)
        if is_wide and wait is not None:
            status.append(f" ({wait.reason.replace('_', ' ')})")
        cells = (
            str(operation.asyncoperationid),
            Text(label if len(label) <= room else label[: room - 1] + "…"),
            status,
            operation.createdon.strftime("%H:%M:%SZ" if operation.createdon.date() == today else "%Y-%m-%d"),
            "" if operation.successcount is None else f"{operation.successcount:,}",
        )
        table.add_row(*cells[: len(headings)])
    return table


def results_table(operations: Sequence[AsyncOperation]) -> Table:
    """Return a table of finished operations: what each did, and how long it took."""
    table = Table(title="What was done", title_justify="left")
    table.add_column("type", overflow="fold")
    table.add_column("status", no_wrap=True)
    for heading in ("rows", "failed", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("message", overflow="fold")
    for operation in operations:
        table.add_row(
            type_label(operation) if operation.type else operation.label,
            status_text(operation.statuscode),
            "" if operation.successcount is None else f"{operation.successcount:,}",
            "" if operation.failurecount is None else f"{operation.failurecount:,}",
            f"{operation.executiontimespan:.2f}",
            Text((operation.message if operation.errorcode else operation.friendlymessage) or ""),
        )
    return table


def show_operation(
    console: Console, operation: AsyncOperation, history: Iterable[HistoryEntry], *, wait: Wait | None
) -> None:
    """Print everything an operator may want to know of one operation; *wait* is what it waits for."""
    table = Table(show_header=False, box=None, title=operation.label, title_justify="left")
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    facts: dict[str, object] = {
        "asyncoperationid": operation.asyncoperationid,
        "operationtype": f"{operation.operationtype} ({type_label(operation)})",
        "statecode": f"{operation.statecode.value} ({operation.statecode.name.title()})",
        "statuscode": f"{operation.statuscode.value} ({operation.statuscode.label})",
        "createdon": _moment(operation.createdon),
        "startedon": _moment(operation.startedon),
        "completedon": _moment(operation.completedon),
        "postponeuntil": _moment(operation.postponeuntil),
        "executiontimespan": operation.executiontimespan,
        "retrycount": operation.retrycount,
        "waitreason": None if wait is None else wait.reason,
        "recurrencepattern": operation.recurrencepattern,
        "dependencytoken": operation.dependencytoken,
        "hostid": operation.hostid,
        "progress": progress_text(operation) or None,
        "errorcode": None if operation.errorcode is None else f"{operation.errorcode & 0xFFFFFFFF:#010x}",
        "friendlymessage": friendly(operation, wait),
        "message": operation.message,
        "data": operation.data,
    }
    for name, value in facts.items():
        if value not in {None, ""}:
            table.add_row(name, Text(str(value)))
    console.print(table)
    moves = Table(title="History", title_justify="left")
    for heading in ("when (UTC)", "action", "status", "attempt", "host", "reason"):
        moves.add_column(heading, overflow="fold", no_wrap=heading in {"when (UTC)", "action", "status"})
    for entry in history:
        moves.add_row(
            _moment(entry.on, seconds=False),
            entry.action,
            status_text(entry.status),
            str(entry.attempt or ""),
            entry.host or "",
            Text(_left_behind(entry)),
        )
    console.print(moves)


def _left_behind(entry: HistoryEntry) -> str:
    """Return why a move was made and what it left behind: the error's code, until when it waits."""
    code = None if entry.code is None else f"{entry.code & 0xFFFFFFFF:#010x}"
    until = None if entry.until is None else f"until {_moment(entry.until)}"
    return "; ".join(part for part in (entry.reason, code, until) if part)


def queues_table(lengths: Mapping[str, int]) -> Table:
    """Return a table of queues and how many messages each holds, hidden ones included."""
    table = Table(title="Queues", title_justify="left")
    table.add_column("queue")
    table.add_column("messages", justify="right")
    for name, length in lengths.items():
        table.add_row(name, f"{length:,}")
    return table


def poison_table(messages: Iterable[PoisonMessage]) -> Table:
    """Return a table of poison messages, with why each is probably there."""
    table = Table(title="Poison messages", title_justify="left")
    table.add_column("id", no_wrap=True, min_width=36)
    for heading in ("queue", "message", "reason"):
        table.add_column(heading, overflow="fold")
    for message in messages:
        table.add_row(message.id, message.queue, Text(message.text[:200]), message.reason)
    return table


def limits_table(limits: Iterable[Limit]) -> Table:
    """Return a table of limits with their values in force; what was changed is marked and shows its default."""
    table = Table(title="Limits in force", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("limit", "value", "what it limits", "changed by"):
        table.add_column(heading, overflow="fold")
    for limit in limits:
        value = "" if limit.value is None else f"{limit.value} {limit.unit}"
        changed = f" (default {limit.default})" if limit.value != limit.default else ""
        table.add_row(limit.name, Text(value + changed), Text(limit.what), limit.setting or "")
    return table


def service_text(stopped: Stopped) -> str:
    """Return a sentence that says what runs and what does not."""
    if not stopped.families:
        return "The service is started: every family runs."
    since = f" since {_moment(stopped.since)} UTC" if stopped.since else ""
    if stopped.is_everything:
        return f"The service is stopped{since}: nothing new is executed, what arrives is kept."
    names = ", ".join(sorted(family.value for family in stopped.families))
    return f"Stopped{since}: {names}. Every other family runs."


def progress_text(operation: AsyncOperation) -> str:
    """Return the operation's counters as people read them."""
    if operation.successcount is None and operation.failurecount is None:
        return ""
    done = f"{operation.successcount or 0:,}"
    if operation.totalcount:
        done += f" of {operation.totalcount:,}"
    return done + (f", {operation.failurecount:,} failed" if operation.failurecount else "")


def finding_as_plain(finding: Finding) -> dict[str, object]:
    """Return what an audit found as JSON can write it."""
    return {
        "asyncoperationid": None if finding.asyncoperationid is None else str(finding.asyncoperationid),
        "where": finding.where,
        "what": finding.what,
        "leftover": finding.is_leftover,
    }


def tally_text(tally: Tally) -> str:
    """Return in a sentence what an audit has looked at, and in another what it found."""
    looked = (
        f"{tally.operations:,} operations ({tally.unfinished:,} unfinished, {tally.moves:,} moves in their records), "
        f"{tally.other_rows:,} other rows and {tally.blobs:,} blobs were looked at."
    )
    if not tally.deviations and not tally.leftovers:
        return f"{looked} Nothing deviates."
    left = f"; {tally.leftovers:,} left over by submissions that died half-way" if tally.leftovers else ""
    return f"{looked} {tally.deviations or 'No'} deviation{'' if tally.deviations == 1 else 's'}{left}."


class AuditReport:
    """What an audit finds, as it finds it: lines for people with progress below, or one JSON object. A context manager.

    Nothing is kept, however much is found.
    """

    def __init__(self, console: Console, *, as_json: bool) -> None:
        self._console, self._as_json = console, as_json
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("partition"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[operations]:,} operations"),
            TimeElapsedColumn(),
            console=Console(stderr=True) if as_json else console,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None, operations=0)
        self._separator = ""

    def __enter__(self) -> Self:
        """Begin the report."""
        if self._as_json:
            self._write('{"findings": [')
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the progress away."""
        self._progress.stop()

    def saw(self, tally: Tally) -> None:
        """Show how far the audit has come."""
        self._progress.update(
            self._task, completed=tally.partitions, total=tally.of_partitions, operations=tally.operations
        )

    def found(self, finding: Finding) -> None:
        """Tell one finding."""
        if self._as_json:
            self._write(f"{self._separator}{json.dumps(finding_as_plain(finding), ensure_ascii=False)}")
            self._separator = ",\n"
            return
        who = finding.asyncoperationid or finding.where
        kind = "left over: " if finding.is_leftover else ""
        self._console.print(Text(f"{who}  {kind}{finding.what}"), soft_wrap=True)

    def done(self, tally: Tally) -> None:
        """End the report with what was looked at."""
        self._progress.stop()
        if self._as_json:
            self._write(f'], "tally": {json.dumps(asdict(tally))}}}\n')
        else:
            self._console.print(tally_text(tally))

    def _write(self, text: str) -> None:
        self._console.file.write(text)


class LiveProgress:
    """One bar for each operation that is watched. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", table_column=Column(ratio=2, no_wrap=True)),
            BarColumn(table_column=Column(ratio=1)),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeElapsedColumn(),
            console=console,
            expand=True,
        )
        self._tasks: dict[object, object] = {}

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing; the last state stays on the screen."""
        self._progress.stop()

    def saw(self, operation: AsyncOperation) -> None:
        """Show the operation as it now is."""
        key = operation.asyncoperationid
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(operation.label, total=None, status="")
        done = (operation.successcount or 0) + (operation.failurecount or 0)
        total = operation.totalcount or (max(done, 1) if operation.is_completed else None)
        sign, colour = _SIGNS[operation.statuscode]
        self._progress.update(
            self._tasks[key],  # type: ignore[arg-type]
            completed=total if operation.is_completed and operation.totalcount is None else done,
            total=total,
            status=f"[{colour}]{sign} {operation.statuscode.label}[/]",
        )


def _moment(moment: datetime | None, *, seconds: bool = True) -> str:
    if moment is None:
        return ""
    return moment.strftime("%Y-%m-%d %H:%M:%S") if seconds else moment.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
