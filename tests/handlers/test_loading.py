"""A module in `handlers` is found and registers by itself."""

import handlers
from asyncservice.operations.operationtypes import OperationType


def test_every_handler_registers_once_however_often_it_is_loaded() -> None:
    assert handlers.load() is handlers.load()
    assert {OperationType.IMPORT_FILE_PARSE, OperationType.TRANSFORM_PARSE_DATA, OperationType.IMPORT} <= set(
        handlers.load().types()
    )
