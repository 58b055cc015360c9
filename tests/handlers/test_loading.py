"""A module in `handlers` is found and registers by itself."""

from asyncservice.operations.operationtypes import OperationType
from asyncservice.service import load_handlers


def test_every_handler_registers_once_however_often_it_is_loaded() -> None:
    assert load_handlers("handlers") is load_handlers("handlers")
    assert {OperationType.IMPORT_FILE_PARSE, OperationType.TRANSFORM_PARSE_DATA, OperationType.IMPORT} <= set(
        load_handlers("handlers").types()
    )
