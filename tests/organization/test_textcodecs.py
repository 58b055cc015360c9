"""The encoding of a file is told from its bytes, by windows of any size."""

import codecs
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncservice.organization.importing.textcodecs import NotText, TextCodec, detect


async def windows(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize(
    ("content", "codec"),
    [
        ("Zürich".encode(), TextCodec("utf-8")),
        (b"plain", TextCodec("utf-8")),
        (codecs.BOM_UTF8 + "Zürich".encode(), TextCodec("utf-8", 3)),
        (codecs.BOM_UTF16_LE + "Zürich".encode("utf-16-le"), TextCodec("utf-16-le", 2)),
        (codecs.BOM_UTF16_BE + "Zürich".encode("utf-16-be"), TextCodec("utf-16-be", 2)),
        ("Zürich\N{EN DASH}Genève".encode("cp1252"), TextCodec("cp1252")),
        ("half a letter: ü".encode()[:-1], TextCodec("cp1252")),
    ],
)
async def test_an_encoding_is_told_from_the_bytes(content: bytes, codec: TextCodec) -> None:
    assert await detect(windows(content, 1000)) == codec


@pytest.mark.parametrize("content", [b"PK\x03\x04\0\0", b"\x81\xff\xfe", b"a\0b"])
async def test_what_is_no_text_is_refused(content: bytes) -> None:
    with pytest.raises(NotText, match="UTF-8"):
        await detect(windows(content, 2 if content[0] == 0x81 else 1000))


@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff")), size=st.integers(4, 10))
async def test_utf8_is_utf8_wherever_it_is_cut(text: str, size: int) -> None:
    assert await detect(windows(text.encode(), size)) == TextCodec("utf-8")


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_byte_lengths_are_those_of_the_file(text: str) -> None:
    for name in ("utf-8", "utf-16-le", "utf-16-be"):
        assert TextCodec(name).byte_length(text) == len(text.encode(name))
