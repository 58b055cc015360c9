"""From the text of a message to the body that a function sees."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.devhost.encoding import MessageUndecodable, decode_message
from asyncservice.devhost.hostjson import MessageEncoding


@given(st.text())
def test_base64_is_decoded(body: str) -> None:
    text = base64.b64encode(body.encode()).decode()
    assert decode_message(text, MessageEncoding.BASE64) == body


@given(st.text())
def test_without_encoding_the_text_is_the_body(body: str) -> None:
    assert decode_message(body, MessageEncoding.NONE) == body


def test_blanks_within_base64_do_not_matter() -> None:
    assert decode_message(" aGVs\nbG8= ", MessageEncoding.BASE64) == "hello"


@pytest.mark.parametrize("text", ["{}", "plain text", "aGVsbG8", "/w=="])
def test_what_is_not_base64_of_text_is_refused(text: str) -> None:
    with pytest.raises(MessageUndecodable):
        decode_message(text, MessageEncoding.BASE64)
