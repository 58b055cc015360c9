"""Which storage account the command line talks to, without being told twice.

`asyncservice up` leaves a note beside the app while it runs; the other commands read it, so that what they show is
what is running. An explicit choice always wins.
"""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from asyncservice.settings import STORAGE_SETTING
from asyncservice.storage.azure import AzureStorage, development_connection_string

#: Where the command keeps what it makes, beside the app.
STATE_FOLDER: Final = ".asyncservice"


@dataclass(frozen=True, slots=True)
class Running:
    """An `up` that is under way."""

    pid: int
    url: str
    connection_string: str


def app_folder() -> Path:
    """Return the folder of the function app: where this package was checked out, else where one stands."""
    checkout = Path(__file__).parent.parent
    return checkout if (checkout / "function_app.py").exists() else Path.cwd()


def choose(connection_string: str | None, storage_port: int | None) -> AzureStorage:
    """Return the account: the one given, the environment's, that of a running `up`, or the emulator's usual ports."""
    if connection_string:
        return AzureStorage.from_connection_string(connection_string)
    if storage_port is not None:
        return AzureStorage.from_connection_string(development_connection_string(storage_port))
    if named_by_environment():
        return AzureStorage.from_settings(os.environ, STORAGE_SETTING)
    running = read_note()
    return AzureStorage.from_connection_string(running.connection_string if running else "UseDevelopmentStorage=true")


def named_by_environment() -> bool:
    """Whether environment variables name the account, by key or by identity."""
    return any(name == STORAGE_SETTING or name.startswith(f"{STORAGE_SETTING}__") for name in os.environ)


def leave_note(running: Running) -> None:
    """Say what is running, for the other commands."""
    path = _note()
    path.parent.mkdir(parents=True, exist_ok=True)
    # The emulator's key is published; a real account's string is only noted when the environment holds it anyway.
    path.write_text(json.dumps(asdict(running)))
    path.chmod(0o600)


def take_note_away() -> None:
    """Remove our own note; another process's stays."""
    running = read_note()
    if running is not None and running.pid == os.getpid():
        _note().unlink(missing_ok=True)


def read_note() -> Running | None:
    """Return what is running, or None when nothing is: a note whose process has died counts for nothing."""
    with suppress(OSError, ValueError, TypeError):
        running = Running(**json.loads(_note().read_text()))
        os.kill(running.pid, 0)
        return running
    return None


def _note() -> Path:
    return app_folder() / STATE_FOLDER / "running.json"
