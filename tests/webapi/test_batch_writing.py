"""Answers of a batch, to the letter that clients look for."""

import re

from asyncservice.webapi.batchreading import BatchRequest, ChangeSet, read_batch
from asyncservice.webapi.batchwriting import Answer, ChangeSetAnswer, write_batch
from asyncservice.webapi.exchange import Response

CREATED = Response(
    status=204, headers={"OData-Version": "4.0", "OData-EntityId": "https://x/api/data/v9.2/accounts(1)"}
)
LIST = Response(status=200, headers={"Content-Type": "application/json"}, body=b'{"value":[]}')


def test_a_batch_is_written_as_clients_look_for_it() -> None:
    response = write_batch([ChangeSetAnswer((Answer(CREATED, "1"),)), Answer(LIST)], status=200)
    kind = response.headers["Content-Type"]
    outer = re.fullmatch(r"multipart/mixed; boundary=(batchresponse_[0-9a-f-]{36})", kind)
    assert outer is not None
    text = response.body.decode()
    inner = re.search(r"boundary=(changesetresponse_[0-9a-f-]{36})\r\n", text)
    assert inner is not None
    assert text == (
        f"--{outer[1]}\r\n"
        f"Content-Type: multipart/mixed; boundary={inner[1]}\r\n"
        "\r\n"
        f"--{inner[1]}\r\n"
        "Content-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\n"
        "Content-ID: 1\r\n"
        "\r\n"
        "HTTP/1.1 204 No Content\r\n"
        "OData-Version: 4.0\r\n"
        "OData-EntityId: https://x/api/data/v9.2/accounts(1)\r\n"
        "\r\n"
        "\r\n"
        f"--{inner[1]}--\r\n"
        f"--{outer[1]}\r\n"
        "Content-Type: application/http\r\n"
        "Content-Transfer-Encoding: binary\r\n"
        "\r\n"
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json\r\n"
        "\r\n"
        '{"value":[]}\r\n'
        f"--{outer[1]}--\r\n"
    )


def test_reason_phrases_are_letters_and_header_values_cannot_break_out() -> None:
    odd = Response(status=414, headers={"X": "a\r\nInjected: {b}"})
    text = write_batch(
        [Answer(odd, "1\r\n{x}"), Answer(Response(status=412)), Answer(Response(status=203))], status=200
    )
    written = text.body.decode()
    assert "Injected:" not in [line.split(" ")[0] for line in written.splitlines()]
    assert "Content-ID: 1x\r\n" in written
    assert "{" not in written
    assert re.findall(r"HTTP/1.1 (.*)\r\n", written)[1:] == [
        "412 Precondition Failed",
        "203 Non Authoritative Information",
    ]


def test_what_is_written_can_be_read_again_part_by_part() -> None:
    answers: list[Answer | ChangeSetAnswer] = [
        ChangeSetAnswer((Answer(CREATED, "1"), Answer(CREATED, "2"))),
        Answer(LIST),
        ChangeSetAnswer(()),
    ]
    response = write_batch(answers, status=200)
    # A status line stands where a request line would: the frame is the same.
    readable = response.body.replace(b"HTTP/1.1 204 No Content", b"GET x HTTP/1.1").replace(
        b"HTTP/1.1 200 OK", b"GET x HTTP/1.1"
    )
    first, second, third = read_batch(response.headers["Content-Type"], readable)
    assert isinstance(first, ChangeSet)
    assert [each.content_id for each in first.requests] == ["1", "2"]
    assert isinstance(second, BatchRequest)
    assert second.body == b'{"value":[]}'
    assert third == ChangeSet(())
