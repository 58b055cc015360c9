"""The tables at the end of a run."""

from collections.abc import Iterator, Mapping
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table

from bench.results import Results, Throughput

#: Requests that only some operation in two hundred makes have no column.
_SHOWN: Final = 0.005


def report(results: Results) -> RenderableType:
    """Return everything that was measured, to be printed."""
    return Group(*_tables(results))


def _tables(results: Results) -> Iterator[RenderableType]:
    machine = results.machine
    yield (
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, "
        f"Azurite {machine['versions']['azurite']} on the same machine; a {results.plan} run."
    )
    yield _throughput(results)
    yield from results.skipped
    yield _requests(results)
    if results.latency:
        yield _latency(results)
    if results.idle is not None:
        yield _kinds(f"A minute of doing nothing: {results.idle.per_minute:g} requests", results.idle.kinds)
    if results.memory is not None and results.memory.before is not None:
        yield f"Memory of the host: {results.memory.before:g} MiB before, {results.memory.after:g} MiB after."


def _throughput(results: Results) -> Table:
    table = _table("Small operations, from the first submission to the last completion")
    for heading in (
        "n",
        "rounds",
        "per\nsecond",
        *(f"x {peer.name}".replace(" on ", "\non ") for peer in results.peers),
    ):
        table.add_column(heading, justify="right")
    for heading in ("requests", "+ polls", "host\nCPU ms", "Azurite\nCPU ms"):
        table.add_column(heading, justify="right")
    for way in results.ours:
        ratios = (f"{ratio:.1f}" for ratio in results.ratios.get(way.name, {}).values())
        table.add_row(way.name, *_rate(way), *ratios, *_cost(way))
    table.add_section()
    for peer in results.peers:
        table.add_row(peer.name, *_rate(peer), *("" for _ in results.peers), *_cost(peer))
    return table


def _rate(measured: Throughput) -> tuple[str, str, str]:
    return str(measured.operations), str(measured.rounds), f"{measured.per_second:,.1f}"


def _cost(measured: Throughput) -> tuple[str, ...]:
    requests = (f"{measured.own:.2f}", f"{measured.polls:.2f}") if measured.own else ("", "")
    cpu = (f"{measured.cpu[name]:.1f}" if name in measured.cpu else "" for name in ("host", "azurite"))
    return (*requests, *cpu)


def _requests(results: Results) -> Table:
    measured = [each for each in (results.lone, *results.ours, *results.peers) if each is not None and each.own]
    kinds = sorted({kind for each in measured for kind, number in each.kinds.items() if number >= _SHOWN})
    table = _table("Requests an operation, as the storage saw them")
    for heading in (*kinds, "together", "polls", "refused"):
        table.add_column(heading.replace(" ", "\n"), justify="right")
    for each in measured:
        counts = (f"{each.kinds[kind]:.2f}" if kind in each.kinds else "" for kind in kinds)
        table.add_row(each.name, *counts, f"{each.own:.2f}", f"{each.polls:.2f}", f"{each.refused:.2f}")
    return table


def _latency(results: Results) -> Table:
    table = _table("One operation at a time, each to a queue that was idle")
    for heading in ("n", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for each in results.latency:
        table.add_row(each.name, str(each.operations), f"{each.p50:,.0f}", f"{each.p99:,.0f}")
    return table


def _kinds(title: str, kinds: Mapping[str, float]) -> Table:
    table = _table(title)
    table.add_column("requests", justify="right")
    for kind, number in kinds.items():
        table.add_row(kind, f"{number:g}")
    return table


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    return table
