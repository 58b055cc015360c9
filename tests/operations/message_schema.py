"""The JSON Schema of the inbox's messages, as docs/async-operation.schema.json publishes it. Run this to write it anew.

python -m tests.operations.message_schema
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from asyncservice.operations.submission import Submission

FILE: Final = Path(__file__).parents[2] / "docs" / "async-operation.schema.json"
#: Messages that may be sent as they stand; the tests send each.
EXAMPLES: Final[Sequence[Mapping[str, Any]]] = (
    {"operationtype": 13},
    {
        "operationtype": "BulkDelete",
        "name": "Remove leads of last year",
        "data": {"QuerySet": [{"EntityName": "lead"}]},
        "asyncoperationid": "9a7b0000-0000-4000-8000-0000000000a1",
    },
    {
        "operationtype": "Import",
        "data": {"ImportId": "5f0c5c1e-1a0c-4e0b-9a35-6f1d2c3b4a59"},
        "postponeuntil": "2030-01-31T22:00:00Z",
        "dependencytoken": "nightly-import",
        "correlationid": "0e6b3a52-7c55-4f5e-8f5d-1b2a3c4d5e6f",
        "asyncautodelete": True,
    },
    {
        "operationtype": "Bulk Delete",
        "name": "Every second night",
        "recurrencepattern": "FREQ=DAILY;INTERVAL=2",
        "recurrencestarttime": "2030-01-31T23:00:00+01:00",
    },
    {
        "operationtype": 5,
        "name": "Nine o'clock in Berlin, in summer and in winter",
        "recurrencepattern": "DTSTART;TZID=Europe/Berlin:20300131T090000\nRRULE:FREQ=DAILY",
    },
    {
        "operationtype": 10,
        "primaryentitytype": "account",
        "regardingobjectid": "b2f7f3a8-92a4-4f7e-8c5c-0d9e8f7a6b5c",
    },
)


def document() -> dict[str, Any]:
    """Return the schema that the model says, with the examples."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Submission.model_json_schema(),
        "examples": list(EXAMPLES),
    }


def text() -> str:
    """Return the file as it must be."""
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
