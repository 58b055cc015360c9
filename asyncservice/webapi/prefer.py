"""The Prefer header: what a client would like (reference web-api-wire, section 2)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from asyncservice.organization.query.model import MAX_PAGE

#: Parts between commas, of which those inside quotes do not count.
_PART: Final = re.compile(r'\s*((?:"[^"]*"|[^",])*)\s*(?:,|$)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the header asks for. What is not understood is left out."""

    #: `return=representation`.
    representation: bool = False
    #: `odata.maxpagesize`, at most a page.
    page_size: int | None = None
    #: `odata.include-annotations`: terms, `*`, or beginnings with `*` at the end.
    annotations: tuple[str, ...] = ()
    continue_on_error: bool = False
    track_changes: bool = False
    #: As it came, for Preference-Applied.
    texts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, header: str) -> Self:
        """Read the header, values quoted or not. Never fails: a preference is a wish."""
        wishes = dict(_wishes(header))
        size = wishes.get("odata.maxpagesize", "")
        terms = wishes.get("odata.include-annotations", "")
        is_size = size.isascii() and size.isdigit() and len(size) <= _DIGITS and int(size) > 0
        return cls(
            representation=wishes.get("return", "").lower() == "representation",
            page_size=min(int(size), MAX_PAGE) if is_size else None,
            annotations=tuple(filter(None, (term.strip() for term in terms.split(",")))),
            continue_on_error=wishes.get("odata.continue-on-error", "false").lower() != "false",
            track_changes="odata.track-changes" in wishes,
            texts=wishes,
        )

    def wants(self, term: str) -> bool:
        """Whether annotations of that term are asked for."""
        return any(
            term.startswith(each[:-1]) if each.endswith("*") else term == each.removeprefix("@")
            for each in self.annotations
        )


#: More digits than any page size needs.
_DIGITS: Final = 9


def _wishes(header: str) -> Iterator[tuple[str, str]]:
    """Yield names in lower case with their values; what only consists of a name has an empty one."""
    for part in _PART.findall(header):
        # Parameters of a preference (`odata.callback; url="…"`) are not ours yet.
        name, _, value = part.partition("=")
        plain = name.strip().lower()
        if plain and ";" not in plain:
            yield plain, value.strip().strip('"')


def applied(*texts: str) -> dict[str, str]:
    """Return the header that names what was honoured; none when nothing was."""
    return {"Preference-Applied": ",".join(texts)} if texts else {}
