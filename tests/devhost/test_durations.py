"""TimeSpan texts as .NET reads them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncservice.devhost.durations import format_time_span, parse_time_span


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:00:02", timedelta(seconds=2)),
        ("00:00:00.1", timedelta(milliseconds=100)),
        ("23:59:59", timedelta(hours=23, minutes=59, seconds=59)),
        ("1.12:00:00", timedelta(days=1, hours=12)),
        ("-00:00:01", timedelta(seconds=-1)),
        ("3", timedelta(days=3)),
        ("06:30", timedelta(hours=6, minutes=30)),
        ("24:00:00", timedelta(days=24)),
    ],
)
def test_time_spans_are_read(text: str, span: timedelta) -> None:
    assert parse_time_span(text) == span


@pytest.mark.parametrize("text", ["", "soon", "00:60:00", "00:00:60", "1:2:3:4", "1.24:00:00", "30:00"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"hours|duration"):
        parse_time_span(text)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=1000)))
def test_what_is_printed_is_read_again(span: timedelta) -> None:
    span = timedelta(seconds=int(span.total_seconds()))
    assert parse_time_span(format_time_span(span)) == span
