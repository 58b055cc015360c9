"""The local Functions host: runs the app on a laptop, in tests and in benchmarks, without Core Tools.

It stands in for the Azure Functions host, not for the Python worker: Microsoft's own worker library loads
`function_app.py` and runs its functions. The host's three triggers (queue, timer, HTTP) follow the documented
behaviour, so the same tree works with `func start` and in Azure, and nothing in the app knows which host runs it.
"""

from asyncservice.devhost.azurite import Azurite
from asyncservice.devhost.errors import AzuriteFailed, ConfigurationInvalid, HostError, IndexingFailed
from asyncservice.devhost.host import FunctionsHost
from asyncservice.devhost.running import run

__all__ = ["Azurite", "AzuriteFailed", "ConfigurationInvalid", "FunctionsHost", "HostError", "IndexingFailed", "run"]
