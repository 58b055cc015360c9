"""What the tests of the documentation know of its pages: where they are, and what stands in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
#: Written by people of this project; other pages that lie in the tree (of installed packages) are not.
PAGES: Final = tuple(
    path.relative_to(ROOT).as_posix()
    for path in sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "data").glob("*.md")])
)

_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_RUNNABLE: Final = re.compile(
    r"<!-- run: (?P<name>[\w-]+) -->\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Snippet:
    """A block of Python that the tests run."""

    page: str
    name: str
    code: str


def read(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> Iterator[str]:
    """Yield the fenced blocks of a language."""
    for match in _FENCE.finditer(read(page)):
        if match["language"] == language:
            yield match["text"]


def snippets() -> dict[str, Snippet]:
    """Return the runnable snippets by name."""
    found: dict[str, Snippet] = {}
    for page in PAGES:
        for match in _RUNNABLE.finditer(read(page)):
            if match["name"] in found:
                raise ValueError(f"Two snippets are named {match['name']}.")
            found[match["name"]] = Snippet(page, match["name"], match["code"])
    return found


def links(page: str) -> Iterator[str]:
    """Yield where the links of a page lead; code is no text."""
    text = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", read(page)))
    for match in _LINK.finditer(text):
        yield match["target"]


def anchors(page: str) -> set[str]:
    """Return the names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} (.+)$", _FENCE.sub("", read(page)), re.MULTILINE)
    return {_anchor(heading) for heading in headings}


def _anchor(heading: str) -> str:
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
