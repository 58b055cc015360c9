"""What the system says about processes: memory and CPU, from /proc or `ps`; no package is needed for it."""

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

_UNKNOWN_PLACES: Final = 2  # "pid (name) " stand before the fields that are counted from 3


def family(pid: int) -> Sequence[int]:
    """Return a process and all those below it: a host may have several."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = [pid]
    for each in found:  # It grows as it is read.
        found += children.get(each, [])
    return found


def memory(pids: Iterable[int]) -> int | None:
    """Return the resident memory of processes together, in bytes, or None when none of it can be read."""
    return _together(_memory(pid) for pid in pids)


def cpu(pids: Iterable[int]) -> float | None:
    """Return the seconds of CPU that processes have used, or None where there is no /proc."""
    return _together(_cpu(pid) for pid in pids)


def _together[T: (int, float)](values: Iterable[T | None]) -> T | None:
    known = [value for value in values if value is not None]
    return sum(known[1:], start=known[0]) if known else None


def _parents() -> Iterable[tuple[int, int]]:
    """Yield the id of each process with its parent's."""
    if Path("/proc/self/stat").exists():
        for place in Path("/proc").iterdir():
            if place.name.isdecimal() and (fields := _stat(int(place.name))) is not None:
                yield int(place.name), int(fields[4 - 1 - _UNKNOWN_PLACES])
        return
    answer = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
    for line in answer.stdout.splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)


def _stat(pid: int) -> Sequence[str] | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; fields are counted from behind it.
    return stat.rpartition(")")[2].split()


def _cpu(pid: int) -> float | None:
    fields = _stat(pid)
    if fields is None:
        return None
    ticks = sum(int(fields[number - 1 - _UNKNOWN_PLACES]) for number in (14, 15))  # user and system time
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int | None:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return _memory_by_ps(pid)
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return None


def _memory_by_ps(pid: int) -> int | None:
    try:
        answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return int(answer.stdout) * 1024
