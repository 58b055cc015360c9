"""Every status under every action: the table of moves against the sentences of the documentation."""

import pytest

from asyncservice.operations.errors import ErrorCode, StateChangeRefused
from asyncservice.operations.states import MOVES, Action, StateCode, StatusCode, may, target

# Written down independently of MOVES: one line a status, one character an action, in the order of ACTIONS.
# 0 Ready, w Waiting, p In Progress, P Pausing, C Canceling, S Succeeded, F Failed, X Canceled, - refused.
ACTIONS = [
    Action.CANCEL, Action.PAUSE, Action.RESUME, Action.POSTPONE, Action.RETRY, Action.DELETE, Action.CLAIM,
    Action.FALL_DUE, Action.SUCCEED, Action.FAIL, Action.TRY_LATER, Action.WAIT, Action.YIELD, Action.INTERRUPT,
    Action.STOP, Action.RECUR,
]  # fmt: skip
EXPECTED = {
    StatusCode.WAITING_FOR_RESOURCES: "X--w--p---------",
    StatusCode.WAITING:               "X-0w---0--------",
    StatusCode.IN_PROGRESS:           "CP-P----SFww00-w",
    StatusCode.PAUSING:               "CP-P----SFwwwwww",
    StatusCode.CANCELING:             "C-------XFXXXXXX",
    StatusCode.SUCCEEDED:             "-----S----------",
    StatusCode.FAILED:                "----0F----------",
    StatusCode.CANCELED:              "-----X----------",
}  # fmt: skip
LETTERS = {
    "0": StatusCode.WAITING_FOR_RESOURCES,
    "w": StatusCode.WAITING,
    "p": StatusCode.IN_PROGRESS,
    "P": StatusCode.PAUSING,
    "C": StatusCode.CANCELING,
    "S": StatusCode.SUCCEEDED,
    "F": StatusCode.FAILED,
    "X": StatusCode.CANCELED,
}


def test_the_table_covers_every_action() -> None:
    assert set(ACTIONS) == set(Action) == set(MOVES)


@pytest.mark.parametrize("status", list(StatusCode), ids=lambda status: status.name)
@pytest.mark.parametrize("action", list(Action), ids=lambda action: action.name)
def test_every_status_under_every_action(status: StatusCode, action: Action) -> None:
    letter = EXPECTED[status][ACTIONS.index(action)]
    if letter == "-":
        assert not may(action, status)
        with pytest.raises(StateChangeRefused) as caught:
            target(action, status)
        assert status.label in str(caught.value)
    else:
        assert may(action, status)
        assert target(action, status) is LETTERS[letter]


@pytest.mark.parametrize(
    ("action", "status", "code"),
    [
        (Action.CANCEL, StatusCode.SUCCEEDED, ErrorCode.INVALID_STATE_CHANGE_TO_COMPLETE),
        (Action.PAUSE, StatusCode.WAITING_FOR_RESOURCES, ErrorCode.INVALID_STATE_CHANGE_TO_SUSPENDED),
        (Action.POSTPONE, StatusCode.CANCELED, ErrorCode.INVALID_STATE_CHANGE_TO_SUSPENDED),
        (Action.RESUME, StatusCode.IN_PROGRESS, ErrorCode.INVALID_STATE_CHANGE_TO_READY),
        (Action.DELETE, StatusCode.IN_PROGRESS, ErrorCode.CANNOT_DELETE_UNLESS_COMPLETED),
        (Action.CLAIM, StatusCode.WAITING, ErrorCode.INVALID_STATE_CHANGE),
    ],
)
def test_a_refusal_carries_dataverses_code(action: Action, status: StatusCode, code: ErrorCode) -> None:
    with pytest.raises(StateChangeRefused) as caught:
        target(action, status)
    assert caught.value.code is code


def test_suspended_never_becomes_locked_directly() -> None:
    """The documentation says so: it must go through Ready."""
    for moves in MOVES.values():
        reached = moves.get(StatusCode.WAITING)
        assert reached is None or reached.state is not StateCode.LOCKED


def test_what_is_completed_stays_completed_but_for_a_retry() -> None:
    for action, moves in MOVES.items():
        for status, reached in moves.items():
            if status.state is StateCode.COMPLETED and action is not Action.RETRY:
                assert reached is status


def test_codes_and_labels_are_dataverses() -> None:
    assert [(code.value, code.label, code.state.value) for code in StatusCode] == [
        (0, "Waiting For Resources", 0),
        (10, "Waiting", 1),
        (20, "In Progress", 2),
        (21, "Pausing", 2),
        (22, "Canceling", 2),
        (30, "Succeeded", 3),
        (31, "Failed", 3),
        (32, "Canceled", 3),
    ]
