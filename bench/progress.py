"""What a person sees while the benchmark runs."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Steps:
    """One line a step; a bar where it is known how far the step will go. A context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console
        )
        self._current: TaskID | None = None

    def begin(self, what: str, *, total: float | None = None) -> None:
        """End the step before and show this one."""
        self._end()
        self._current = self._progress.add_task(what, total=total)
        if not self._console.is_terminal:
            self._console.print(what)

    def step(self) -> None:
        """Show that the step has gone one further."""
        if self._current is not None:
            self._progress.advance(self._current)

    def _end(self) -> None:
        if self._current is not None:
            self._progress.update(self._current, total=1, completed=1)
            self._progress.stop_task(self._current)
            self._current = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()
        self._progress.stop()
