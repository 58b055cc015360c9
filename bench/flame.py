"""A flame graph of a host at work, on request: `python -m bench --flame FILE`. py-spy samples the host from outside."""

import asyncio
import shutil
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

from bench import load
from bench.children import Child, ChildFailed
from bench.load import MANY, Load
from bench.stage import Stage

_LOAD: Final = Load(MANY, 10_000)
#: Samples a second.
_RATE: Final = 200
_WRITES_FOR: Final = timedelta(seconds=30)


def find_sampler() -> str:
    """Return py-spy's executable; raise ChildFailed when it is not installed."""
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise ChildFailed("py-spy", "is not installed: run `make install`, or leave out --flame", "")
    return found


async def draw(stage: Stage, file: Path, directory: Path) -> None:
    """Write the flame graph of the first host and its processes, while it does a load, to *file* (an absolute path)."""
    sampler = Child(
        "py-spy (it must be allowed to read the host's memory: as root, or with kernel.yama.ptrace_scope = 0)",
        [
            *(find_sampler(), "record", "--pid", str(stage.hosts.first.pid), "--subprocesses", "--nonblocking"),
            *("--rate", str(_RATE), "--duration", "unlimited", "--format", "flamegraph", "--output", str(file)),
        ],
        output=directory / "py-spy.log",
    )
    await sampler.start()
    try:
        await asyncio.sleep(1)
        sampler.must_run()
        await load.measure(stage, _LOAD)
        # It writes its file when it is interrupted, as by Ctrl-C.
        sampler.interrupt()
        await sampler.ends(_WRITES_FOR)
    finally:
        await sampler.stop()
