"""Compares two runs: `python -m bench.compare OLD.json NEW.json`; exits 1 when something got worse.

Requests hardly vary and must not grow. Times vary with the machine and what else it does: of our rates, those are
judged that have a peer's beside them in both runs, and the ratio is what is judged.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.sheets import Sheet


class Kind(StrEnum):
    """What a number is."""

    RATE = "rate"
    """More is better; varies."""

    TIME = "time"
    """Less is better; varies. Memory, too."""

    REQUESTS = "requests"
    """Less is better; exact but for chance in how operations meet."""

    SHOWN = "shown"
    """Not judged."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a run."""

    kind: Kind
    value: float


@dataclass(frozen=True, slots=True)
class Change:
    """One number in both runs."""

    name: str
    kind: Kind
    old: float
    new: float

    @property
    def ratio(self) -> float | None:
        """The new over the old; None where the old is nothing."""
        return self.new / self.old if self.old else None

    def is_worse(self, tolerances: Mapping[Kind, float]) -> bool:
        """Whether it got worse by more than is tolerated."""
        allowed = tolerances.get(self.kind)
        if allowed is None:
            return False
        if self.kind is Kind.RATE:
            return self.new < self.old / (1 + allowed)
        return self.new > self.old * (1 + allowed)


def numbers(run: Mapping[str, Any]) -> Iterator[tuple[str, Number]]:
    """Yield what can be compared, by a name that two runs share."""
    if run["lone"]:
        yield "alone: requests", Number(Kind.REQUESTS, run["lone"]["own"])
    for way in run["ours"]:
        yield f"{way['name']}: a second", Number(Kind.SHOWN, way["per_second"]["middle"])
        yield f"{way['name']}: requests", Number(Kind.REQUESTS, way["own"])
    for way, ratios in run["ratios"].items():
        for peer, ratio in ratios.items():
            yield f"{way}: x {peer}", Number(Kind.RATE, ratio["middle"])
    for latency in run["latency"]:
        # The second part names the rate, which differs from run to run.
        name = "loaded" if " a second" in latency["name"] else latency["name"].partition(", ")[2]
        moment = latency["name"].partition(", ")[0]
        yield f"{moment}, {name}: p50 ms", Number(Kind.TIME, latency["p50"])
        yield f"{moment}, {name}: p99 ms", Number(Kind.SHOWN, latency["p99"])
    for idle in run["idle"]:
        yield f"an idle hour, {idle['name']}: requests", Number(Kind.REQUESTS, idle["per_hour"])
    for each in run["hosting"]:
        name = f"{each['hosts']} x {each['workers']}: {each['measured']['name']}"
        yield f"{name}: a second", Number(Kind.SHOWN, each["measured"]["per_second"]["middle"])
        yield f"{name}: requests", Number(Kind.REQUESTS, each["measured"]["own"])
    if run["memory"] and run["memory"]["after"] is not None:
        yield "memory of the host, MiB", Number(Kind.TIME, run["memory"]["after"])
    for cost in run["costs"]:
        yield f"{cost['name']}: US dollars", Number(Kind.REQUESTS, cost["dollars"])
    for part in ("growth", "past"):
        for size in run[part]:
            yield f"{part} {size['size']:,}: a second", Number(Kind.SHOWN, size["measured"]["per_second"]["middle"])
            yield f"{part} {size['size']:,}: requests", Number(Kind.REQUESTS, size["measured"]["own"])


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Sequence[Change]:
    """Return every number that both runs have."""
    known = dict(numbers(old))
    return [
        Change(name, number.kind, known[name].value, number.value) for name, number in numbers(new) if name in known
    ]


def compare(old: Path, new: Path, tolerances: Mapping[Kind, float], console: Console) -> int:
    """Print what changed; return 1 when something got worse by more than is tolerated."""
    found = changes(json.loads(old.read_text()), json.loads(new.read_text()))
    worse = [each for each in found if each.is_worse(tolerances)]
    rows = [
        (
            each.name,
            f"{each.old:,.4g}",
            f"{each.new:,.4g}",
            "" if each.ratio is None else f"{each.ratio:.2f}",
            "worse" if each in worse else "",
        )
        for each in found
    ]
    console.print(Sheet(f"{old.name} and {new.name}", ["old", "new", "new / old", ""], rows).for_terminal())
    console.print(f"{len(worse)} of {len(found)} numbers got worse." if found else "The runs have no number in common.")
    return 1 if worse or not found else 0


def main() -> int:
    """Read the command line, compare, return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description="Compare two runs of the benchmark.")
    parser.add_argument("old", type=Path, help="the JSON of the run that is compared with")
    parser.add_argument("new", type=Path, help="the JSON of the run that is judged")
    parser.add_argument(
        "--tolerance", type=float, default=0.25, help="how much worse a rate or a time may be (default: 0.25)"
    )
    parser.add_argument(
        "--requests-tolerance", type=float, default=0.1, help="how many more requests may be made (default: 0.1)"
    )
    given = parser.parse_args()
    tolerances = {
        Kind.RATE: given.tolerance,
        Kind.TIME: given.tolerance,
        Kind.REQUESTS: given.requests_tolerance,
    }
    return compare(given.old, given.new, tolerances, Console(width=None if sys.stdout.isatty() else 150))


if __name__ == "__main__":
    sys.exit(main())
