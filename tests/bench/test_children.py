"""Children do what they were started for, or say why not, and end with the benchmark."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from bench import processes
from bench.children import Child, ChildFailed

SOON = timedelta(seconds=20)
SLEEPER = "import time; print('up', flush=True); time.sleep(60)"


async def test_a_child_ends_when_it_is_left(tmp_path: Path) -> None:
    """Nothing outlives the block that started it."""
    async with Child("sleeper", [sys.executable, "-c", SLEEPER], output=tmp_path / "out") as child:
        await child.says("up", SOON)
        pid = child.pid
        assert (processes.memory([pid]) or 0) > 1_000_000

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_child_that_fails_is_quoted(tmp_path: Path) -> None:
    """The error carries the child's last words."""
    arguments = [sys.executable, "-c", "raise SystemExit('no such thing')"]
    async with Child("liar", arguments, output=tmp_path / "out") as child:
        with pytest.raises(ChildFailed, match=r"liar ended with code 1\.\nno such thing"):
            await child.ends(SOON)


async def test_a_program_ends_when_its_parent_lets_go(tmp_path: Path) -> None:
    """The pipe from the parent closes, however the parent ended, and the program is asked to stop."""
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    child = Child.python("sleeper", "sleeper", output=tmp_path / "out", environment={"PYTHONPATH": f"{tmp_path}"})
    async with child:
        await child.says("up", SOON)
        child.let_go()
        with pytest.raises(ChildFailed, match="ended with code -15"):
            await child.ends(SOON)


async def test_a_child_answers_what_it_is_asked(tmp_path: Path) -> None:
    """Lines go in, lines of JSON come out; what else it says is no answer."""
    echo = "import sys\nfor line in sys.stdin: print('hm'); print('{' + line.strip() + '}', flush=True)"
    async with Child("echo", [sys.executable, "-c", echo], output=tmp_path / "out") as child:
        assert (await child.asked("1", SOON), await child.asked("2", SOON)) == ("{1}\n", "{2}\n")


async def test_the_family_of_a_process_is_all_below_it(tmp_path: Path) -> None:
    """A host's worker processes count as the host."""
    parent = (
        f"import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]);"
        "print('child', child.pid, flush=True); child.wait()"
    )
    async with Child("parent", [sys.executable, "-c", parent], output=tmp_path / "out") as child:
        await child.says("up", SOON)
        grandchild = int((tmp_path / "out").read_text().split()[1])
        assert processes.family(child.pid) == [child.pid, grandchild]
        together = processes.memory([child.pid, grandchild])
        assert together is not None
        assert together > (processes.memory([child.pid]) or 0) > 0
        os.kill(grandchild, 9)


async def test_a_silent_child_is_given_up(tmp_path: Path) -> None:
    """Waiting has a limit."""
    async with Child("sleeper", [sys.executable, "-c", SLEEPER], output=tmp_path / "out") as child:
        with pytest.raises(ChildFailed, match="did not say 'down'"):
            await child.says("down", timedelta(milliseconds=100))
        await asyncio.sleep(0)
