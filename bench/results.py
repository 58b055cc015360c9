"""What was measured, as values that JSON can hold."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

from bench.meter import Span
from bench.wire import Requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A number of operations, from the first submission to the last completion."""

    operations: int
    seconds: float
    requests: Requests
    #: Seconds of CPU, by group of processes.
    cpu: Mapping[str, float]
    #: Operations by the host that ran them.
    shares: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        span: Span,
        *,
        operations: int,
        seconds: float,
        working: frozenset[str],
        shares: Mapping[str, int] | None = None,
    ) -> Self:
        """Put a round together."""
        requests = Requests.of(span.requests, working)
        return cls(operations=operations, seconds=seconds, requests=requests, cpu=span.cpu, shares=shares or {})

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.operations / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The median of several rounds, with the lowest and the highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Sum values up."""
        return cls(middle=round(median(values), 2), low=round(min(values), 2), high=round(max(values), 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Rounds of one way to have operations done; every number is the median of the rounds."""

    name: str
    operations: int
    #: How long each operation sleeps.
    milliseconds: int
    rounds: int
    per_second: Spread
    #: The rate of every round, in order.
    each_round: Sequence[float]
    #: Requests an operation: those made for operations, and polls of the queues they pass through.
    own: float
    polls: float
    kinds: Mapping[str, float]
    #: Requests that were answered with an error (a lost race, a look-up of what is not there yet), an operation.
    refused: float
    #: Milliseconds of CPU an operation, by group of processes.
    cpu: Mapping[str, float]
    #: Operations of the last round by the host that ran them, the busiest first.
    shares: Sequence[int]

    @classmethod
    def of(cls, name: str, rounds: Sequence[Round], *, milliseconds: int = 0) -> Self:
        """Sum rounds up."""

        def middle(values: Sequence[float]) -> float:
            return round(median(values), 4)

        kinds = sorted({kind for each in rounds for kind in each.requests.own})
        groups = sorted({group for each in rounds for group in each.cpu})
        return cls(
            name=name,
            operations=rounds[0].operations,
            milliseconds=milliseconds,
            rounds=len(rounds),
            per_second=Spread.of([each.rate for each in rounds]),
            each_round=[round(each.rate, 1) for each in rounds],
            own=middle([each.requests.own.total() / each.operations for each in rounds]),
            polls=middle([each.requests.polls / each.operations for each in rounds]),
            kinds={kind: middle([each.requests.own[kind] / each.operations for each in rounds]) for kind in kinds},
            refused=middle([each.requests.refused / each.operations for each in rounds]),
            cpu={
                group: middle([each.cpu.get(group, 0.0) * 1000 / each.operations for each in rounds])
                for group in groups
            },
            shares=sorted(rounds[-1].shares.values(), reverse=True),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds between two moments of an operation."""

    name: str
    operations: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Requests of one host that has nothing to do."""

    name: str
    seconds: float
    per_hour: float
    kinds: Mapping[str, float]
    #: Seconds of CPU an hour, by group of processes.
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory of the host, in MiB; None where the system does not tell."""

    before: float | None
    after: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosting:
    """The same load on so many hosts, each with so many worker processes."""

    hosts: int
    workers: int
    measured: Throughput


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What the storage charges."""

    name: str
    requests: float
    #: US dollars.
    dollars: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """Milliseconds that the emulator takes for single requests on a table of that many rows; medians."""

    rows: int
    milliseconds: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One size of a growing table: our service on it, and the emulator alone."""

    #: Operations that were submitted together, or completed records that were there before.
    size: int
    measured: Throughput
    #: The host's resident memory in MiB, before and after; the emulator's after.
    memory: Memory
    emulator: float | None
    bare: Bare


@dataclass(slots=True, kw_only=True)
class Results:
    """One run."""

    taken_on: str
    plan: str
    machine: Mapping[str, Any]
    lone: Throughput | None = None
    latency: list[Latency] = field(default_factory=list)
    idle: list[Idle] = field(default_factory=list)
    ours: list[Throughput] = field(default_factory=list)
    peers: list[Throughput] = field(default_factory=list)
    #: What was not measured, and why.
    skipped: list[str] = field(default_factory=list)
    memory: Memory | None = None
    #: Our rate over a peer's in the same round, by our way and the peer's name.
    ratios: dict[str, dict[str, Spread]] = field(default_factory=dict)
    hosting: list[Hosting] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    #: `--scale`: by the number of operations.
    growth: list[Size] = field(default_factory=list)
    #: `--history`: by the number of completed records that were there.
    past: list[Size] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")


def paired(ours: Sequence[Round], theirs: Sequence[Round]) -> Spread:
    """Return our rate over theirs, round by round, so that what slows the machine down meets both."""
    return Spread.of([mine.rate / other.rate for mine, other in zip(ours, theirs, strict=False)])
