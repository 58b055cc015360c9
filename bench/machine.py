"""Facts about the machine that a reader of the numbers needs; none that would tell one machine from another."""

import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from asyncservice.devhost.azurite import find_azurite

_PACKAGES: Final = (
    "azure-functions-runtime",
    "azure-core",
    "azure-data-tables",
    "azure-storage-queue",
    "aiohttp",
    "celery",
    "kombu",
    "redis",
)


def facts() -> Mapping[str, Any]:
    """Return cores, systems and versions."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": platform.system(),
        "python": platform.python_version(),
        # Others may be using the machine; then the numbers are too low.
        "load before": [round(each, 2) for each in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "versions": {"azurite": _azurite()} | {name: _version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _azurite() -> str:
    package = find_azurite().parents[2] / "package.json"
    return str(json.loads(package.read_text())["version"])
