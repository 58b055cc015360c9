"""The tables at the end of a run."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType

from bench import prices
from bench.results import Memory, Results, Size, Spread, Throughput
from bench.sheets import Sheet

#: Requests that only some operation in two hundred makes have no column.
_SHOWN: Final = 0.005


def report(results: Results) -> RenderableType:
    """Return everything that was measured, for a terminal."""
    return Group(*(part if isinstance(part, str) else part.for_terminal() for part in parts(results)))


def markdown(results: Results) -> str:
    """Return everything that was measured, as Markdown."""
    return "\n\n".join(part if isinstance(part, str) else part.as_markdown() for part in parts(results))


def parts(results: Results) -> Iterator[str | Sheet]:
    """Yield tables, and sentences between them; none for what was not measured."""
    machine = results.machine
    yield (
        f"{machine['cores']} cores ({machine['processor']}), Python {machine['python']}, "
        f"Azurite {machine['versions']['azurite']} on the same machine; a {results.plan} run. "
        "Medians of all rounds; in parentheses the lowest and the highest."
    )
    if results.ours:
        yield _throughput(results)
    if any(results.ratios.values()):
        yield _ratios(results)
    yield from results.skipped
    if results.lone is not None or results.ours:
        yield _requests(results)
    if results.hosting:
        yield _hosting(results)
    if results.latency:
        yield _latency(results)
    if results.idle:
        yield _idle(results)
    if results.costs:
        yield _costs(results)
    if results.memory is not None:
        yield f"Memory of the host: {_memory(results.memory)} MiB before and after."
    if results.growth:
        yield from _sizes("operations submitted together", results.growth)
    if results.past:
        yield from _sizes("completed records present", results.past)


def _throughput(results: Results) -> Sheet:
    headings = ["n", "rounds", "a second", "lowest and highest", "requests", "+ polls", "host CPU ms", "Azurite CPU ms"]
    rows = [
        (
            each.name,
            f"{each.operations:,}",
            str(each.rounds),
            f"{each.per_second.middle:,.0f}",
            f"{each.per_second.low:,.0f} to {each.per_second.high:,.0f}",
            *_cost(each),
        )
        for each in (*results.ours, *results.peers)
    ]
    return Sheet("Small operations, from the first submission to the last completion", headings, rows)


def _ratios(results: Results) -> Sheet:
    peers = sorted({peer for ratios in results.ratios.values() for peer in ratios})
    rows = [
        (name, *(_spread(ratios[peer]) if peer in ratios else "" for peer in peers))
        for name, ratios in results.ratios.items()
        if ratios
    ]
    return Sheet("How many times the rate of a peer in the same round", [f"x {peer}" for peer in peers], rows)


def _spread(spread: Spread) -> str:
    return f"{spread.middle:.1f} ({spread.low:.1f} to {spread.high:.1f})"


def _cost(measured: Throughput) -> tuple[str, ...]:
    requests = (f"{measured.own:.2f}", f"{measured.polls:.2f}") if measured.own else ("", "")
    cpu = (f"{measured.cpu[name]:.2f}" if name in measured.cpu else "" for name in ("host", "azurite"))
    return (*requests, *cpu)


def _requests(results: Results) -> Sheet:
    measured = [each for each in (results.lone, *results.ours, *results.peers) if each is not None and each.own]
    kinds = sorted({kind for each in measured for kind, number in each.kinds.items() if number >= _SHOWN})
    rows = [
        (
            each.name,
            *(f"{each.kinds[kind]:.2f}" if each.kinds.get(kind, 0) >= _SHOWN else "" for kind in kinds),
            f"{each.own:.2f}",
            f"{each.polls:.2f}",
            f"{each.refused:.2f}",
        )
        for each in measured
    ]
    return Sheet("Requests an operation, as the storage saw them", [*kinds, "together", "polls", "refused"], rows)


def _hosting(results: Results) -> Sheet:
    rows = []
    for each in results.hosting:
        hosts = "1 host" if each.hosts == 1 else f"{each.hosts} hosts"
        workers = f", {each.workers} processes each" if each.workers > 1 else ""
        measured = each.measured
        total = sum(measured.shares)
        shares = " / ".join(f"{share * 100 / total:.0f} %" for share in measured.shares)
        rows.append(
            (
                f"{hosts}{workers}: {measured.name}",
                f"{measured.operations:,}",
                f"{measured.per_second.middle:,.0f}",
                f"{measured.per_second.low:,.0f} to {measured.per_second.high:,.0f}",
                f"{measured.own:.2f}",
                shares,
            )
        )
    headings = ["n", "a second", "lowest and highest", "requests", "shares of the processes"]
    return Sheet("The same load on more hosts", headings, rows)


def _latency(results: Results) -> Sheet:
    rows = [(each.name, str(each.operations), f"{each.p50:,.0f}", f"{each.p99:,.0f}") for each in results.latency]
    return Sheet("Latency", ["n", "p50 ms", "p99 ms"], rows)


def _idle(results: Results) -> Sheet:
    kinds = sorted({kind for each in results.idle for kind in each.kinds})
    rows = [
        (
            each.name,
            *(f"{each.kinds[kind]:,.0f}" if kind in each.kinds else "" for kind in kinds),
            f"{each.per_hour:,.0f}",
        )
        for each in results.idle
    ]
    watched = ", ".join(sorted({f"{each.seconds:g} s" for each in results.idle}))
    title = f"Requests of one host that does nothing for an hour (watched for {watched})"
    return Sheet(title, [*kinds, "together"], rows)


def _costs(results: Results) -> Sheet:
    rows = [(each.name, f"{each.requests:,.0f}", f"{each.dollars:,.4g}") for each in results.costs]
    return Sheet(f"What the storage charges for requests ({prices.BASIS})", ["requests", "US dollars"], rows)


def _memory(memory: Memory) -> str:
    return " and ".join("unknown" if size is None else f"{size:,.0f}" for size in (memory.before, memory.after))


def _sizes(what: str, sizes: Sequence[Size]) -> Iterator[Sheet]:
    headings = ["a second", "requests", "+ polls", "host CPU ms", "Azurite CPU ms", "host MiB", "Azurite MiB"]
    rows = [
        (
            f"{each.size:,}",
            f"{each.measured.per_second.middle:,.0f}",
            *_cost(each.measured),
            _memory(each.memory),
            "" if each.emulator is None else f"{each.emulator:,.0f}",
        )
        for each in sizes
    ]
    yield Sheet(f"Our service, by {what}", headings, rows)
    kinds = list(sizes[0].bare.milliseconds)
    bare = [
        (f"{each.size:,}", f"{each.bare.rows:,}", *(f"{each.bare.milliseconds[kind]:.2f}" for kind in kinds))
        for each in sizes
    ]
    yield Sheet(f"The emulator alone, in milliseconds a request, by {what}", ["rows", *kinds], bare)
