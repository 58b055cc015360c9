"""App settings: local.settings.json below the environment, `%NAME%` in bindings, and those that the host obeys."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from asyncservice.devhost.errors import ConfigurationInvalid

_PROCESSES: Final = "FUNCTIONS_WORKER_PROCESS_COUNT"
_MOST_PROCESSES: Final = 10
_PLACEHOLDER: Final = re.compile(r"%([^%]+)%")


def read_local_settings(path: Path) -> dict[str, str]:
    """Return the `Values` of local.settings.json; a file that does not exist has none.

    The file is for development only and never deployed. Environment variables win over it, which is the caller's part.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigurationInvalid(f"{path.name} is not JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("Values", {}), dict):
        raise ConfigurationInvalid(f'{path.name} must be an object with an object "Values".')
    if document.get("IsEncrypted"):
        raise ConfigurationInvalid(f"{path.name} is encrypted; run `func settings decrypt` first.")
    values = document.get("Values", {})
    for name, value in values.items():
        if not isinstance(value, str):
            raise ConfigurationInvalid(f"{path.name}: the value of {name} must be a string.")
    return dict(values)


def resolve(text: str, settings: Mapping[str, str]) -> str:
    """Replace every `%NAME%` in *text* by that setting; raise ConfigurationInvalid when there is none."""

    def value(match: re.Match[str]) -> str:
        found = setting(match[1], settings)
        if found is None:
            raise ConfigurationInvalid(f"'%{match[1]}%' does not resolve to a value: there is no such setting.")
        return found

    return _PLACEHOLDER.sub(value, text)


def resolve_binding(binding: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """Replace the placeholders in every property of *binding*.

    `connection` is left alone: it always is the name of a setting, never a template.
    """
    return {
        key: resolve(value, settings) if isinstance(value, str) and key not in {"connection", "name", "type"} else value
        for key, value in binding.items()
    }


def setting(name: str, settings: Mapping[str, str]) -> str | None:
    """Return the setting of that name; `:` and `__` both separate its parts."""
    return settings.get(name, settings.get(name.replace(":", "__")))


def is_disabled(function: str, settings: Mapping[str, str]) -> bool:
    """Say whether `AzureWebJobs.<function>.Disabled` switches the function off.

    The form with underscores is for systems that allow no dots in environment variables.
    """
    for name in (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled"):
        if settings.get(name, "").lower() in {"true", "1"}:
            return True
    return False


def worker_processes(settings: Mapping[str, str]) -> int:
    """Return how many worker processes FUNCTIONS_WORKER_PROCESS_COUNT asks for; less than one counts as one."""
    text = settings.get(_PROCESSES, "").strip() or "1"
    try:
        count = max(int(text), 1)
    except ValueError:
        raise ConfigurationInvalid(f"{_PROCESSES} is {text!r}; it must be a number from 1 to 10.") from None
    if count > _MOST_PROCESSES:
        raise ConfigurationInvalid(f"{_PROCESSES} is {count}; {_MOST_PROCESSES} is the most that the host allows.")
    return count
