"""From the text of a queue message to the body that a function sees."""

import base64
import binascii

from asyncservice.devhost.hostjson import MessageEncoding


class MessageUndecodable(ValueError):  # noqa: N818 - reads as the state it describes
    """The text is not what host.json says messages are. The message goes to the poison queue at once."""


def decode_message(text: str, encoding: MessageEncoding) -> str:
    """Return the body of a message with *text*; raise MessageUndecodable."""
    if encoding is MessageEncoding.NONE:
        return text
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise MessageUndecodable(f"It is not Base64 of UTF-8 text: {error}") from error
