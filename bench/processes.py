"""What the system says about a process: memory and CPU, from /proc or `ps`; no package is needed for it."""

import os
import subprocess
from pathlib import Path
from typing import Final

_UNKNOWN_PLACES: Final = 2  # "pid (name) " stand before the fields that are counted from 3


def memory(pid: int) -> int | None:
    """Return the resident memory of a process in bytes, or None when it cannot be read."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return _memory_by_ps(pid)
    for line in status.splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return None


def cpu(pid: int) -> float | None:
    """Return the seconds of CPU that a process has used, or None where there is no /proc."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name, in parentheses, may hold anything; fields are counted from behind it. 14 and 15: user and system time.
    fields = stat.rpartition(")")[2].split()
    ticks = sum(int(fields[number - 1 - _UNKNOWN_PLACES]) for number in (14, 15))
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_by_ps(pid: int) -> int | None:
    try:
        answer = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return int(answer.stdout) * 1024
