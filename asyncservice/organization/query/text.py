"""How text compares: folded, so that capitals, accents and trailing blanks make no difference; and LIKE patterns.

Whoever keeps a folded column beside a text uses `fold`, so that what the storage decides is what the evaluator would.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final

from asyncservice.organization.query.semantics import CHOSEN

#: Stand for the wildcards in a pattern that has been taken apart.
_RUN: Final = "%"
_ONE: Final = "_"
#: Patterns whose compiled form is kept.
_KEPT: Final = 256


def fold(text: str) -> str:
    """Return what two texts have in common when they count as equal; orders and groups go by it too.

    The same text folded again stays the same.
    """
    return fold_whole(text).rstrip(" ")


def fold_whole(text: str) -> str:
    """Fold as `fold` does, but leave trailing blanks, which patterns see."""
    if text.isascii():
        return text if CHOSEN.case_matters else text.lower()
    if not CHOSEN.case_matters:
        text = unicodedata.normalize("NFD", text).casefold()
    if CHOSEN.accents_matter:
        return unicodedata.normalize("NFC", text)
    # Twice, because folding case may bring forth accents that were part of a letter, and the other way round.
    plain = _without_marks(text)
    return plain if CHOSEN.case_matters else _without_marks(plain.casefold())


def _without_marks(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFD", text) if not unicodedata.combining(char))


@lru_cache(maxsize=_KEPT)
def like(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a text (not yet folded) meets a LIKE pattern.

    `%` is any run of characters, `_` one, `[a-f]` one of a set, `[^a]` one that is not in the set; in brackets a
    wildcard stands for itself. A bracket that nobody closes is a bracket. Takes time in proportion to the text and the
    pattern at most, whatever they are: between two runs stands a piece of fixed length, and the leftmost place where it
    fits is always good enough.
    """
    pieces = _pieces(pattern)
    if len(pieces) == 1:
        (whole,) = pieces
        return lambda text: whole.fullmatch(fold_whole(text)) is not None
    first, *middle, last = pieces

    def matches(text: str) -> bool:
        folded = fold_whole(text)
        found = first.match(folded)
        for piece in middle:
            if found is None:
                return False
            found = piece.search(folded, found.end())
        return found is not None and last.search(folded, found.end()) is not None

    return matches


def literal(text: str) -> str:
    """Return the pattern that only this text meets."""
    return re.sub(r"[%_\[]", lambda wildcard: f"[{wildcard.group()}]", text)


def _pieces(pattern: str) -> list[re.Pattern[str]]:
    """Return expressions of fixed length for what stands between the runs; the last one is tied to the end."""
    pieces = [""]
    for token in _tokens(pattern):
        if token == _RUN:
            pieces.append("")
        else:
            pieces[-1] += token
    pieces[-1] += r"\Z"
    return [re.compile(piece, re.DOTALL) for piece in pieces]


def _tokens(pattern: str) -> Iterator[str]:
    """Yield `%` for a run, else a regular expression of one wildcard or of literal text."""
    position, start = 0, 0
    while position < len(pattern):
        char = pattern[position]
        end = pattern.find("]", position + 1) if char == "[" else position
        if char not in {_RUN, _ONE, "["} or end < 0:
            position += 1
            continue
        yield re.escape(fold_whole(pattern[start:position]))
        if char == _RUN:
            yield _RUN
        else:
            yield "." if char == _ONE else _set(pattern[position + 1 : end])
        position = start = end + 1
    yield re.escape(fold_whole(pattern[start:]))


def _set(members: str) -> str:
    """Return the expression of one character in (or, with ^, not in) a set of characters and ranges."""
    negated = members.startswith("^")
    rest = members[1:] if negated else members
    parts: list[str] = []
    while rest:
        if len(rest) > len("a-") and rest[1] == "-":
            low, high = fold_whole(rest[0]), fold_whole(rest[2])
            if len(low) == len(high) == 1 and low <= high:
                parts.append(f"{re.escape(low)}-{re.escape(high)}")
            rest = rest[3:]
        else:
            parts.append(re.escape(fold_whole(rest[0])))
            rest = rest[1:]
    inside = "".join(parts)
    if not inside:
        # Nothing is in an empty set, everything outside it.
        return "." if negated else r"(?!)"
    return f"[{'^' if negated else ''}{inside}]"
