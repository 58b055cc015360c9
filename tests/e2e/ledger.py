"""The ledger of effects: a file outside of the storage, to which handlers add a line for every effect they make.

A line is one write at the end of the file: it is whole or not there, and it outlives the process that wrote it. It
takes no part in the faults of the storage, so it says what was done whether or not the service could record it.
"""

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import UUID

#: The environment variable that tells hosts where the ledger is.
SETTING: Final = "E2E_LEDGER"


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that a handler did for an operation."""

    #: Which of the operation's pieces of work it was.
    piece: str
    attempt: int
    on: datetime


def record(operation_id: UUID, attempt: int, piece: str, on: datetime) -> None:
    """Add a line to the ledger that the environment names."""
    line = f"{operation_id} {attempt} {piece} {on.timestamp():.6f}\n".encode()
    file = os.open(os.environ[SETTING], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        written = os.write(file, line)
    finally:
        os.close(file)
    if written != len(line):
        raise OSError(f"The ledger took {written} of {len(line)} bytes.")


def read(path: Path) -> Mapping[UUID, Sequence[Effect]]:
    """Return the effects of each operation, in the order in which they were made."""
    effects: dict[UUID, list[Effect]] = defaultdict(list)
    for line in path.read_text().splitlines():
        operation_id, attempt, piece, on = line.split(" ")
        effects[UUID(operation_id)].append(Effect(piece, int(attempt), datetime.fromtimestamp(float(on), UTC)))
    return effects


def lines(path: Path) -> int:
    """Return how many effects have been made so far."""
    return path.read_bytes().count(b"\n") if path.exists() else 0
