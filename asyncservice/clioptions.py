"""What the commands share: which account they talk to, how errors are told, how their options are read."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from asyncservice import storagechoice
from asyncservice.client import AsyncServiceClient
from asyncservice.operations.errors import AsyncServiceError
from asyncservice.organization.errors import OrganizationError
from asyncservice.storage.azure import StorageSettingsError
from asyncservice.storage.errors import StorageError


@dataclass(frozen=True, slots=True)
class Choice:
    """Which storage account the command was told to use."""

    connection_string: str | None
    storage_port: int | None

    @asynccontextmanager
    async def client(self) -> AsyncIterator[AsyncServiceClient]:
        """Open a client for the account."""
        async with AsyncServiceClient(storagechoice.choose(self.connection_string, self.storage_port)) as client:
            yield client


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run *work*; tell what went wrong in one sentence and leave with 1."""
    try:
        return asyncio.run(work)
    except (AsyncServiceError, OrganizationError, StorageSettingsError) as error:
        raise click.ClickException(str(error)) from error
    except ValidationError as error:  # Of settings; what else is wrong has been told as one of ours.
        wrong = (f"{each['loc'][0]}: {each['msg'].removeprefix('Value error, ')}" for each in error.errors())
        raise click.ClickException("Settings that cannot be read: " + "; ".join(wrong)) from error
    except StorageError as error:
        raise click.ClickException(f"The storage does not answer as it should: {error}") from error
    except KeyboardInterrupt:
        sys.exit(130)


def data(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, Any] | None:
    """Read --data: JSON, or @FILE."""
    if value is None:
        return None
    try:
        text = Path(value[1:]).read_text(encoding="utf-8") if value.startswith("@") else value
        read = json.loads(text)
    except OSError as error:
        raise click.BadParameter(f"{value[1:]} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise click.BadParameter(f'it is no JSON ({error}); write \'{{"key": "value"}}\' or @FILE.') from error
    if not isinstance(read, dict):
        raise click.BadParameter('it must be a JSON object, as in \'{"ImportId": "…"}\'.')
    return read


def moment(_: click.Context, __: click.Parameter, value: str | None) -> datetime | None:
    """Read a moment: RFC 3339; without a zone it is UTC."""
    if value is None:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is no moment; write it like 2026-01-31T22:00:00Z.") from error
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def conditions(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> list[list[Any]]:
    """Read --where: "column operator value"."""
    read = []
    for text in texts:
        parts = text.split(None, 2)
        if len(parts) != 3:  # noqa: PLR2004 - column, operator, value
            raise click.BadParameter(f"{text!r}: write it like 'statuscode eq 31'.")
        column, operator, value = parts
        read.append([column, operator, int(value) if value.lstrip("-").isdecimal() else value.strip("'")])
    return read
