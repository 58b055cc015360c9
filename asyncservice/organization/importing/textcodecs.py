"""Which characters the bytes of a file mean: told by its mark, or by whether it is UTF-8 throughout."""

import codecs
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from asyncservice.organization.errorcodes import OrganizationErrorCode
from asyncservice.organization.errors import OrganizationError


class NotText(OrganizationError):  # noqa: N818 - reads as the fact it states
    """The file holds no text in an encoding that can be told."""

    code = OrganizationErrorCode.NOT_A_TEXT_FILE

    def __init__(self) -> None:
        super().__init__("The file is not text: save it as delimited text (CSV) in UTF-8 and upload it again.")


@dataclass(frozen=True, slots=True)
class TextCodec:
    """An encoding, and where in the file its text begins."""

    name: str
    #: Bytes of the byte-order mark.
    starts_at: int = 0

    def byte_length(self, text: str) -> int:
        """Return how many bytes of the file a piece of its text took."""
        if self.name in _SINGLE_BYTE or (self.name == "utf-8" and text.isascii()):
            return len(text)
        return len(text.encode(self.name))


_SINGLE_BYTE: Final = frozenset({"cp1252"})
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


async def detect(windows: AsyncIterator[bytes]) -> TextCodec:
    """Return the codec of the file whose bytes come in *windows*. Raises NotText.

    Without a mark the whole file is read: it is UTF-8 when all of it is, and Windows-1252 otherwise.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    western = codecs.getincrementaldecoder("cp1252")()
    is_first, is_utf8, is_western = True, True, True
    async for window in windows:
        if is_first:
            for mark, name in _MARKS:
                if window.startswith(mark):
                    return TextCodec(name, len(mark))
            is_first = False
        if b"\0" in window:
            raise NotText
        is_utf8 = is_utf8 and _decodes(decoder, window)
        is_western = is_western and _decodes(western, window)
        if not is_utf8 and not is_western:
            raise NotText
    if is_utf8 and _decodes(decoder, b"", final=True):
        return TextCodec("utf-8")
    if is_western:
        return TextCodec("cp1252")
    raise NotText


def _decodes(decoder: codecs.IncrementalDecoder, window: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(window, final)
    except UnicodeDecodeError:
        return False
    return True
