"""The message contract: what every member becomes, and the sentence for every mistake."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from pydantic import ValidationError

from asyncservice.operations.errors import ErrorCode, InvalidOperation
from asyncservice.operations.operationtypes import OperationType
from asyncservice.operations.record import AsyncOperation, check
from asyncservice.operations.states import StateCode, StatusCode
from asyncservice.operations.submission import Submission
from tests.operations.message_schema import EXAMPLES, FILE, text
from tests.support import NOON, an_id

NEW_ID = an_id()
SOME_ID = "9a7b0000-0000-4000-8000-0000000000a1"
TOMORROW = NOON + timedelta(days=1)


def made(**members: Any) -> AsyncOperation:
    """Return the operation that a message with these members makes; it does nothing in particular."""
    message = {"operationtype": 13, **members}
    return check(Submission.read(json.dumps(message)).operation(now=NOON, new_id=NEW_ID))


@pytest.mark.parametrize("said", [13, "13", "BulkDelete", "Bulk Delete", "bulk delete", "BULK_DELETE"])
def test_a_type_is_a_number_or_a_label(said: int | str) -> None:
    assert made(operationtype=said).operationtype == OperationType.BULK_DELETE


def test_an_operation_says_what_nobody_said() -> None:
    operation = made()
    assert (operation.asyncoperationid, operation.correlationid) == (NEW_ID, NEW_ID)
    assert (operation.name, operation.data) == ("Bulk Delete", None)
    assert (operation.statuscode, operation.postponeuntil) == (StatusCode.WAITING_FOR_RESOURCES, None)
    assert (operation.createdon, operation.modifiedon, operation.sequence) == (NOON, NOON, 1772366400000000)
    assert (operation.recurrencepattern, operation.recurrencestarttime) == (None, None)


@pytest.mark.parametrize(
    ("member", "said", "kept"),
    [
        ("name", "Grüße", "Grüße"),
        ("name", "", "Bulk Delete"),
        ("data", {"ü": [1, 2.5, None, True]}, '{"ü":[1,2.5,null,true]}'),
        ("data", {}, "{}"),
        ("asyncoperationid", SOME_ID, UUID(SOME_ID)),
        ("asyncoperationid", "{" + SOME_ID.upper() + "}", UUID(SOME_ID)),
        ("dependencytoken", "invoice-7", "invoice-7"),
        ("correlationid", SOME_ID, UUID(SOME_ID)),
        ("primaryentitytype", "account", "account"),
        ("regardingobjectid", SOME_ID, UUID(SOME_ID)),
        ("postponeuntil", "2026-03-02T12:00:00Z", TOMORROW),
        ("postponeuntil", "2026-03-02T22:00:00+10:00", TOMORROW),
        ("postponeuntil", "2026-02-28T12:00:00Z", None),
        ("recurrencepattern", "FREQ=DAILY;INTERVAL=2;", "FREQ=DAILY;INTERVAL=2;"),
        ("recurrencepattern", "", None),
    ],
)
def test_a_member_becomes_its_column(member: str, said: object, kept: object) -> None:
    assert getattr(made(**{member: said}), member) == kept


@pytest.mark.parametrize("member", [name for name, field in Submission.model_fields.items() if not field.is_required()])
def test_null_is_the_same_as_nothing(member: str) -> None:
    assert made(**{member: None}) == made()


def test_an_id_correlates_with_itself() -> None:
    assert made(asyncoperationid=SOME_ID).correlationid == UUID(SOME_ID)


def test_the_entity_says_what_kind_the_regarding_record_is() -> None:
    regarding = made(primaryentitytype="account", regardingobjectid=SOME_ID)
    assert (regarding.primaryentitytype, regarding.regardingobjecttypecode) == ("account", "account")
    assert made(primaryentitytype="account").regardingobjecttypecode is None


@pytest.mark.parametrize(
    ("members", "first_run"),
    [
        ({"postponeuntil": TOMORROW}, TOMORROW),
        ({"postponeuntil": NOON}, None),
        ({"recurrencepattern": "FREQ=DAILY"}, None),
        ({"recurrencepattern": "FREQ=DAILY", "recurrencestarttime": TOMORROW}, TOMORROW),
        ({"recurrencepattern": "FREQ=DAILY", "recurrencestarttime": NOON - timedelta(days=9)}, None),
        (
            {"recurrencepattern": "FREQ=DAILY", "recurrencestarttime": NOON, "postponeuntil": TOMORROW},
            TOMORROW,
        ),
        ({"recurrencestarttime": TOMORROW}, None),
    ],
)
def test_what_lies_ahead_suspends(members: dict[str, Any], first_run: datetime | None) -> None:
    said = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in members.items()}
    operation = made(**said)
    assert operation.postponeuntil == first_run
    assert operation.statecode is (StateCode.READY if first_run is None else StateCode.SUSPENDED)


def test_a_recurrence_begins_now_unless_it_says_otherwise() -> None:
    assert made(recurrencepattern="FREQ=DAILY").recurrencestarttime == NOON
    later = made(recurrencepattern="FREQ=DAILY", recurrencestarttime="2026-03-02T12:00:00Z")
    assert later.recurrencestarttime == TOMORROW


TOO_LONG = "x" * 257


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"operationtype": None}, "operationtype must be a number such as 13 or a label such as BulkDelete."),
        ({"operationtype": True}, "operationtype must be a number such as 13 or a label such as BulkDelete."),
        ({"operationtype": 13.5}, "operationtype must be a number such as 13 or a label such as BulkDelete."),
        ({"operationtype": [13]}, "operationtype must be a number such as 13 or a label such as BulkDelete."),
        ({"name": TOO_LONG}, "name: String should have at most 256 characters."),
        ({"name": 5}, "name: Input should be a valid string."),
        ({"data": "text"}, "data: Input should be an object."),
        ({"data": [1]}, "data: Input should be an object."),
        ({"asyncoperationid": "7"}, "asyncoperationid: Input should be a valid UUID"),
        ({"asyncoperationid": 7}, "asyncoperationid: "),
        ({"postponeuntil": "tomorrow"}, "postponeuntil: Input should be a valid datetime"),
        ({"postponeuntil": "2026-03-02T12:00:00"}, "postponeuntil: Input should have timezone info."),
        ({"postponeuntil": 1893456000}, "postponeuntil: write it as RFC 3339, as in 2026-01-31T22:00:00Z."),
        ({"postponeuntil": "1893456000"}, "postponeuntil: write it as RFC 3339, as in 2026-01-31T22:00:00Z."),
        ({"postponeuntil": "9999-12-31T23:59:59-10:00"}, "postponeuntil: it must lie between the years"),
        ({"dependencytoken": TOO_LONG}, "dependencytoken: String should have at most 256 characters."),
        ({"recurrencepattern": TOO_LONG}, "recurrencepattern: String should have at most 256 characters."),
        ({"recurrencepattern": "daily"}, "recurrencepattern 'daily' is no recurrence rule"),
        ({"recurrencepattern": "FREQ=DAILY;INTERVAL=0"}, "'FREQ=DAILY;INTERVAL=0' must have an INTERVAL of 1 or more."),
        ({"recurrencestarttime": "0001-01-01T00:00:00+10:00"}, "recurrencestarttime: it must lie between the years"),
        ({"correlationid": "7"}, "correlationid: Input should be a valid UUID"),
        ({"primaryentitytype": "x" * 129}, "primaryentitytype: String should have at most 128 characters."),
        ({"regardingobjectid": "7"}, "regardingobjectid: Input should be a valid UUID"),
        ({"colour": "red"}, "colour is no member of the message; it may have operationtype, name, data, "),
    ],
)
def test_every_mistake_has_a_sentence_that_names_the_member(members: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidOperation) as refusal:
        made(**members)
    assert sentence in str(refusal.value)
    assert next(iter(members)) in str(refusal.value)
    assert str(refusal.value).endswith(".")
    assert refusal.value.code == ErrorCode.INVALID_ARGUMENT


@pytest.mark.parametrize("said", [4711, -1, "Make Coffee", "", "9" * 5000])
def test_a_type_that_does_not_exist_has_a_code_of_its_own(said: int | str) -> None:
    with pytest.raises(
        InvalidOperation, match=r"^operationtype .* is no operation type of Dataverse; use a number"
    ) as no:
        made(operationtype=said)
    assert no.value.code == ErrorCode.TYPE_NOT_RECOGNIZED


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InvalidOperation) as refusal:
        Submission.read('{"name": 1, "data": 2, "postponeuntil": 3}')
    for member in ("operationtype", "name", "data", "postponeuntil"):
        assert str(refusal.value).count(member) == 1


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ("", "The message is no JSON object: Invalid JSON"),
        ("{", "The message is no JSON object: Invalid JSON"),
        ("hello", "The message is no JSON object: Invalid JSON"),
        ("[" * 60_000, "The message is no JSON object: Invalid JSON: recursion limit exceeded"),
        ("null", "The message must be a JSON object."),
        ("[]", "The message must be a JSON object."),
        ('"{}"', "The message must be a JSON object."),
        ("{}", "operationtype is missing."),
    ],
)
def test_what_is_no_message_is_said_so(message: str, sentence: str) -> None:
    with pytest.raises(InvalidOperation) as refusal:
        Submission.read(message)
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_has_not_are_refused(number: str) -> None:
    """Readers in other languages could not read the data back."""
    submission = Submission.read(f'{{"operationtype": 13, "data": {{"number": {number}}}}}')
    with pytest.raises(InvalidOperation, match=r"^data cannot be written as JSON"):
        submission.operation(now=NOON, new_id=NEW_ID)


def test_python_callers_hear_the_same_sentences() -> None:
    with pytest.raises(InvalidOperation, match=r"^colour is no member of the message"):
        Submission.of(operationtype=13, colour="red")
    with pytest.raises(InvalidOperation, match=r"^data cannot be written as JSON: Object of type datetime"):
        Submission.of(operationtype=13, data={"when": NOON}).operation(now=NOON, new_id=NEW_ID)
    assert Submission.of(operationtype=13, postponeuntil=TOMORROW).postponeuntil == TOMORROW


def test_a_request_is_a_value() -> None:
    submission = Submission.of(operationtype=13)
    with pytest.raises(ValidationError, match="frozen"):
        submission.name = "changed"


def test_the_published_schema_is_the_model() -> None:
    assert FILE.read_text(encoding="utf-8") == text(), "run python -m tests.operations.message_schema"


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_valid_and_accepted(example: dict[str, Any]) -> None:
    _validator().validate(example)
    operation = made(**example)
    assert operation.type is not None


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"operationtype": None},
        {"operationtype": 13, "colour": "red"},
        {"operationtype": 13, "name": TOO_LONG},
        {"operationtype": 13, "data": []},
        {"operationtype": 13, "asyncoperationid": "7"},
        {"operationtype": 13, "postponeuntil": 5},
        [],
    ],
)
def test_the_schema_refuses_what_the_service_refuses(message: Any) -> None:
    assert not _validator().is_valid(message)
    with pytest.raises(InvalidOperation):
        Submission.read(json.dumps(message))


def test_every_member_is_described() -> None:
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    assert [name for name, said in schema["properties"].items() if not said.get("description")] == []
    shown = {member for example in schema["examples"] for member in example}
    assert shown == set(schema["properties"]), "every member is shown in an example"


def _validator() -> Draft202012Validator:
    schema = json.loads(FILE.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=FormatChecker())


def test_moments_are_kept_in_utc() -> None:
    operation = made(recurrencepattern="FREQ=DAILY", recurrencestarttime="2026-03-02T22:00:00+10:00")
    assert operation.recurrencestarttime is not None
    assert operation.recurrencestarttime.tzinfo is UTC
