"""A table of results, for a terminal and as Markdown to paste into a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: the first column names the row, all others are numbers."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]

    def for_terminal(self) -> Table:
        """Return it as the terminal shows it; long headings break at their spaces."""
        table = Table(title=self.title, title_justify="left", title_style="bold")
        table.add_column("")
        for heading in self.headings:
            table.add_column(heading.replace(" ", "\n"), justify="right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def as_markdown(self) -> str:
        """Return it as Markdown."""
        lines = [("", *self.headings), ("---", *("---:" for _ in self.headings)), *self.rows]
        return f"{self.title}\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)
