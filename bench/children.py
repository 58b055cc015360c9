"""Processes that the benchmark starts, and ends."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Self

#: The repository: where children run, and what they import.
ROOT: Final = Path(__file__).parents[1]
_STOP_LIMIT: Final = timedelta(seconds=15)
_LOOK_EVERY: Final = 0.05


class ChildFailed(Exception):  # noqa: N818 - names what happened
    """A process did not do what it was started for."""

    def __init__(self, name: str, what: str, last_words: str) -> None:
        super().__init__(f"{name} {what}.\n{last_words}".rstrip())


class Child:
    """One process, from entry to exit. Its output goes to a file, which is quoted when it fails.

    Python programs are started below `bench.parented`, so that they end with the benchmark however that ends.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], *, output: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._arguments, self._environment, self._output = arguments, environment or {}, output
        self._process: asyncio.subprocess.Process | None = None

    @classmethod
    def python(
        cls, name: str, module: str, *arguments: str, output: Path, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Return a child that runs a Python module as a program."""
        return cls(
            name,
            [sys.executable, "-m", "bench.parented", module, *arguments],
            output=output,
            environment=environment,
        )

    @property
    def pid(self) -> int:
        """Its process id, while it runs."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started.")
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it."""
        with self._output.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, **self._environment},
                # Ctrl-C is for the benchmark, which ends its children in good order.
                start_new_session=True,
            )

    async def stop(self) -> None:
        """Ask it to end, wait, and end it by force when it does not. Nothing happens when it was not started."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_LIMIT.total_seconds()):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self.let_go()

    async def says(self, text: str, limit: timedelta) -> None:
        """Wait until its output holds *text*. Raises ChildFailed when it ends first or takes longer than *limit*."""
        try:
            async with asyncio.timeout(limit.total_seconds()):
                while text not in self._words():
                    self.must_run()
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            raise ChildFailed(self.name, f"did not say {text!r} within {limit}", self._words()[-2000:]) from None

    def has_said(self, pattern: str) -> str:
        """Return what the group of *pattern* matches in its output. Raises ChildFailed when nothing does."""
        found = re.search(pattern, self._words())
        if found is None:
            raise ChildFailed(self.name, f"has not said {pattern!r}", self._words()[-2000:])
        return found.group(1)

    async def asked(self, line: str, limit: timedelta) -> str:
        """Write *line* to it and return the line of JSON that it answers with; for programs that read their input."""
        if self._process is None or self._process.stdin is None:
            raise RuntimeError(f"{self.name} was not started.")
        known = len(self._answers())
        self._process.stdin.write(f"{line}\n".encode())
        try:
            async with asyncio.timeout(limit.total_seconds()):
                await self._process.stdin.drain()
                while len(answers := self._answers()) <= known:
                    self.must_run()
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            raise ChildFailed(self.name, f"did not answer {line!r} within {limit}", self._words()[-2000:]) from None
        return answers[-1]

    async def ends(self, limit: timedelta) -> str:
        """Wait until it ends by itself and return its output. Raises ChildFailed when that was no success."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started.")
        try:
            async with asyncio.timeout(limit.total_seconds()):
                code = await self._process.wait()
        except TimeoutError:
            raise ChildFailed(self.name, f"did not end within {limit}", self._words()[-2000:]) from None
        if code != 0:
            raise ChildFailed(self.name, f"ended with code {code}", self._words()[-2000:])
        return self._words()

    def interrupt(self) -> None:
        """Ask it to end as Ctrl-C does."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)

    def let_go(self) -> None:
        """Close the pipe to the child, as the system does when the benchmark is killed."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def must_run(self) -> None:
        """Raise ChildFailed when the process has ended."""
        if self._process is None or self._process.returncode is not None:
            raise ChildFailed(self.name, "ended early", self._words()[-2000:])

    def _answers(self) -> Sequence[str]:
        """Return the complete lines of JSON in its output."""
        lines = self._words().splitlines(keepends=True)
        return [line for line in lines if line.startswith("{") and line.endswith("\n")]

    def _words(self) -> str:
        return self._output.read_text(errors="replace")
