"""Whether an operation costs the same however many there are: `python -m bench --scale`.

Each size has an emulator of its own, which keeps its data in memory.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from bench import bare, load
from bench.ground import a_ground
from bench.load import MANY, Load
from bench.progress import Steps
from bench.results import Memory, Results, Size, Throughput
from bench.stage import Stage, a_stage

SIZES: Final = (1_000, 10_000, 50_000, 200_000)
_WARM_UP: Final = Load(MANY, 500)
_MEBIBYTE: Final = 1024 * 1024


async def measure(sizes: Sequence[int], steps: Steps, results: Results) -> None:
    """Have so many operations done at each of the *sizes*, and ask the emulator alone afterwards."""
    for size in sizes:
        async with in_memory() as stage:
            steps.begin(f"{size:,} operations")
            await load.measure(stage, _WARM_UP)
            before = stage.hosts.memory()
            measured = Throughput.of(f"{size:,}", [await load.measure(stage, Load(MANY, size))])
            after = stage.hosts.memory()
            steps.begin(f"{size:,} operations: the emulator alone")
            results.growth.append(await sized(stage, size, measured, before, after, rows=size + _WARM_UP.operations))


async def sized(
    stage: Stage, size: int, measured: Throughput, before: int | None, after: int | None, *, rows: int
) -> Size:
    """Put together what was measured at one size, and measure the emulator alone."""
    return Size(
        size=size,
        measured=measured,
        memory=Memory(before=mebibytes(before), after=mebibytes(after)),
        emulator=mebibytes(stage.emulator_memory()),
        bare=await bare.measure(stage.connection, rows),
    )


@asynccontextmanager
async def in_memory() -> AsyncIterator[Stage]:
    """Run an emulator that keeps its data in memory, and one host on it."""
    async with a_ground(on_disk=False) as ground, a_stage(ground) as stage:
        yield stage


def mebibytes(size: int | None) -> float | None:
    """Return bytes as MiB."""
    return None if size is None else round(size / _MEBIBYTE, 1)
