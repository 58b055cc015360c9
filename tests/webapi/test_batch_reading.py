"""Batches as clients really write them are read; what was cut off is not."""

from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.webapi.batchreading import BatchRequest, BatchUnreadable, ChangeSet, read_batch

MIXED = "multipart/mixed; boundary=batch_1"


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


GET = """--batch_1
Content-Type: application/http
Content-Transfer-Encoding: binary

GET /api/data/v9.2/accounts?$select=name HTTP/1.1
Accept: application/json

--batch_1--"""

CHANGE_SET = """--batch_1
Content-Type: multipart/mixed; boundary="changeset_1"

--changeset_1
Content-Type: application/http
Content-Transfer-Encoding:binary
Content-ID: 1

POST https://somewhere/api/data/v9.1/accounts HTTP/1.1
content-type: application/json; type=entry

{"name": "A"}

--changeset_1
Content-Type: application/http

PATCH $1 HTTP/1.1
Content-ID: 2
Content-Type: application/json
If-Match: *
Prefer: return=representation

{"name": "B"}
--changeset_1--

--batch_1--
"""


@pytest.mark.parametrize(
    "written", [GET.encode(), crlf(GET), crlf("\n\n" + GET + "\n"), b"a preamble\n" + GET.encode()]
)
def test_a_request_is_read_whatever_its_line_ends(written: bytes) -> None:
    assert read_batch(MIXED, written) == (
        BatchRequest(
            method="GET", url="/api/data/v9.2/accounts?$select=name", headers={"accept": "application/json"}, body=b""
        ),
    )


@pytest.mark.parametrize("written", [CHANGE_SET.encode(), crlf(CHANGE_SET), crlf(CHANGE_SET.replace("\n\n", "\n\n\n"))])
def test_a_change_set_is_read_with_its_content_ids(written: bytes) -> None:
    (change_set,) = read_batch(MIXED, written)
    assert isinstance(change_set, ChangeSet)
    first, second = change_set.requests
    assert (first.method, first.url, first.content_id) == ("POST", "https://somewhere/api/data/v9.1/accounts", "1")
    assert (second.method, second.url, second.content_id) == ("PATCH", "$1", "2")
    assert (first.body, second.body) == (b'{"name": "A"}', b'{"name": "B"}')
    assert second.headers["if-match"] == "*"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/mixed;boundary=batch_1",
        'Multipart/Mixed; charset=utf-8; Boundary="batch_1"',
        "multipart/mixed; boundary=batch_1; charset=utf-8",
        'multipart/mixed;   boundary = "batch_1"',
    ],
)
def test_a_boundary_is_found_however_it_is_written(content_type: str) -> None:
    assert len(read_batch(content_type, GET.encode())) == 1


def test_an_address_may_have_spaces() -> None:
    text = (
        "--b\nContent-Type: application/http\n\nGET accounts?$filter=name eq 'a b'&$orderby=name desc HTTP/1.1\n--b--"
    )
    (read,) = read_batch("multipart/mixed; boundary=b", text.encode())
    assert isinstance(read, BatchRequest)
    assert read.url == "accounts?$filter=name eq 'a b'&$orderby=name desc"


def test_a_request_may_end_with_its_last_header() -> None:
    text = "--b\nContent-Type: application/http\n\nDELETE accounts(1) HTTP/1.1\nIf-Match: *\n--b--"
    (read,) = read_batch("multipart/mixed; boundary=b", text.encode())
    assert isinstance(read, BatchRequest)
    assert (read.headers, read.body) == ({"if-match": "*"}, b"")


def test_a_part_with_a_delimiter_that_only_begins_alike_goes_on() -> None:
    text = '--b\nContent-Type: application/http\n\nPOST x HTTP/1.1\n\n{"a": "\n--bc\n--b-\n"}\n--b--'
    (read,) = read_batch("multipart/mixed; boundary=b", text.encode())
    assert isinstance(read, BatchRequest)
    assert read.body == b'{"a": "\n--bc\n--b-\n"}'


def test_content_length_keeps_the_blanks_that_a_body_ends_with_and_is_ignored_where_it_cannot_be() -> None:
    def body(length: str) -> bytes:
        text = f"--b\nContent-Type: application/http\n\nPATCH x HTTP/1.1\nContent-Length: {length}\n\nab \n\n\n--b--"
        (read,) = read_batch("multipart/mixed; boundary=b", text.encode())
        assert isinstance(read, BatchRequest)
        return read.body

    assert body("4") == b"ab \n"
    assert [body(length) for length in ("1", "900", "-2", "x", "9" * 5000, "²")] == [b"ab"] * 6


@pytest.mark.parametrize(
    ("content_type", "text", "said"),
    [
        ("application/json", GET, "multipart/mixed"),
        ("multipart/mixed", GET, "names no boundary"),
        ("multipart/mixed; boundary=other", GET, "closing delimiter '--other--' is missing"),
        (MIXED, GET.removesuffix("--batch_1--"), "cut off"),
        (MIXED, "--batch_1--", "no parts"),
        (MIXED, "--batch_1\nContent-Type: text/plain\n\nx\n--batch_1--", "text/plain"),
        (MIXED, "--batch_1\nContent-Type: application/http\n\n\n--batch_1--", "no request"),
        (MIXED, "--batch_1\nContent-Type: application/http\n\nGET accounts\n--batch_1--", "no request line"),
        (MIXED, "--batch_1\nContent-Type: application/http\n\nGET x HTTP/1.1\nno header\n--batch_1--", "no header"),
        (MIXED, CHANGE_SET.replace("--changeset_1--", ""), "'--changeset_1--' is missing"),
        (MIXED, CHANGE_SET.replace("Content-ID: 2", "Content-ID: 1"), "Content-ID '1'"),
        (MIXED, GET.replace("accounts?", "a" * 65_536), "65536"),
    ],
)
def test_what_is_no_batch_is_refused_with_what_to_change(content_type: str, text: str, said: str) -> None:
    with pytest.raises(BatchUnreadable) as refused:
        read_batch(content_type, text.encode())
    assert said in refused.value.message
    assert refused.value.status == 400


def test_a_change_set_in_a_change_set_is_refused() -> None:
    inmost = "--d\nContent-Type: application/http\n\nGET x HTTP/1.1\n--d--"
    inner = f"--c\nContent-Type: multipart/mixed; boundary=d\n\n{inmost}\n--c--"
    text = f"--b\nContent-Type: multipart/mixed; boundary=c\n\n{inner}\n--b--"
    with pytest.raises(BatchUnreadable, match="another change set"):
        read_batch("multipart/mixed; boundary=b", text.encode())


def test_a_thousand_requests_are_read_and_one_more_is_refused() -> None:
    def batch(count: int) -> bytes:
        parts = "".join(f"--b\nContent-Type: application/http\n\nGET accounts({n}) HTTP/1.1\n" for n in range(count))
        return f"{parts}--b--".encode()

    assert len(read_batch("multipart/mixed; boundary=b", batch(1000))) == 1000
    with pytest.raises(BatchUnreadable, match="at most 1000"):
        read_batch("multipart/mixed; boundary=b", batch(1001))


def noise() -> Iterator[st.SearchStrategy[bytes]]:
    yield st.binary(max_size=20)
    yield st.sampled_from(
        [b"--b\n", b"--b--", b"\r\n", b"\n\n", b"Content-Type: application/http\n", b"GET accounts HTTP/1.1\n"]
    )
    yield st.sampled_from(
        [b"Content-Type: multipart/mixed; boundary=c\n", b"--c\n", b"--c--\n", b"Content-ID: 1\n", b"{}"]
    )


@given(st.lists(st.one_of(*noise()), max_size=30))
def test_whatever_is_sent_is_read_or_refused(pieces: list[bytes]) -> None:
    with suppress(BatchUnreadable):
        assert read_batch("multipart/mixed; boundary=b", b"".join(pieces))
