"""The local Functions host: runs the app on a laptop, in tests and in benchmarks, without Core Tools.

It stands in for the Azure Functions host, not for the Python worker: Microsoft's own worker library loads
`function_app.py` and runs its functions. The host's three triggers (queue, timer, HTTP) follow the documented
behaviour, so the same tree works with `func start` and in Azure, and nothing in the app knows which host runs it.

Where it differs from the real host, it does so knowingly:

* One worker in this process, whatever FUNCTIONS_WORKER_PROCESS_COUNT says; a synchronous function that outlives
  functionTimeout goes on in its thread, where the real host restarts the worker process.
* Queue, timer and HTTP triggers with HTTP answers only: other bindings, and retry policies of timers, are not known.
* Schedules are read in UTC or WEBSITE_TIME_ZONE, as in Azure; Core Tools takes the laptop's zone.
* Messages that arrive while the host stops are given back at once instead of being run.
* HTTP needs no keys, has no streaming, and no admin endpoints.
"""

from asyncservice.devhost.azurite import Azurite
from asyncservice.devhost.errors import AzuriteFailed, ConfigurationInvalid, HostError, IndexingFailed
from asyncservice.devhost.host import FunctionsHost
from asyncservice.devhost.running import run

__all__ = ["Azurite", "AzuriteFailed", "ConfigurationInvalid", "FunctionsHost", "HostError", "IndexingFailed", "run"]
