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
    #: Seconds of CPU, by process.
    cpu: Mapping[str, float]

    @classmethod
    def of(cls, span: Span, *, operations: int, seconds: float, working: frozenset[str]) -> Self:
        """Put a round together."""
        return cls(operations=operations, seconds=seconds, requests=Requests.of(span.requests, working), cpu=span.cpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """Rounds of one way to have operations done; every number is the median of the rounds."""

    name: str
    operations: int
    rounds: int
    per_second: float
    #: The rate of every round, in order.
    each_round: Sequence[float]
    #: Requests an operation: those made for operations, and polls of the queues they pass through.
    own: float
    polls: float
    kinds: Mapping[str, float]
    #: Requests that were answered with an error (a lost race, a look-up of what is not there yet), an operation.
    refused: float
    #: Milliseconds of CPU an operation, by process.
    cpu: Mapping[str, float]

    @classmethod
    def of(cls, name: str, rounds: Sequence[Round]) -> Self:
        """Sum rounds up."""

        def middle(values: Sequence[float]) -> float:
            return round(median(values), 4)

        kinds = sorted({kind for each in rounds for kind in each.requests.own})
        processes = sorted({process for each in rounds for process in each.cpu})
        return cls(
            name=name,
            operations=rounds[0].operations,
            rounds=len(rounds),
            per_second=middle([each.operations / each.seconds for each in rounds]),
            each_round=[round(each.operations / each.seconds, 1) for each in rounds],
            own=middle([each.requests.own.total() / each.operations for each in rounds]),
            polls=middle([each.requests.polls / each.operations for each in rounds]),
            kinds={kind: middle([each.requests.own[kind] / each.operations for each in rounds]) for kind in kinds},
            refused=middle([each.requests.refused / each.operations for each in rounds]),
            cpu={
                process: middle([each.cpu.get(process, 0.0) * 1000 / each.operations for each in rounds])
                for process in processes
            },
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
    """Requests a minute of a service that has nothing to do."""

    seconds: float
    per_minute: float
    kinds: Mapping[str, float]
    #: Seconds of CPU a minute, by process.
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory of the host, in MiB; None where the system does not tell."""

    before: float | None
    after: float | None


@dataclass(slots=True, kw_only=True)
class Results:
    """One run."""

    taken_on: str
    plan: str
    machine: Mapping[str, Any]
    lone: Throughput | None = None
    latency: list[Latency] = field(default_factory=list)
    idle: Idle | None = None
    ours: list[Throughput] = field(default_factory=list)
    peers: list[Throughput] = field(default_factory=list)
    #: Peers that were not measured, and why.
    skipped: list[str] = field(default_factory=list)
    memory: Memory | None = None
    #: Our throughput over a peer's, by our way and the peer's name.
    ratios: dict[str, dict[str, float]] = field(default_factory=dict)

    def compare(self) -> None:
        """Work out the ratios."""
        self.ratios = {
            way.name: {peer.name: round(way.per_second / peer.per_second, 2) for peer in self.peers}
            for way in self.ours
        }

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")
