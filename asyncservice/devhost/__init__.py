"""The local Functions host: runs the app on a laptop, in tests and in benchmarks, without Core Tools.

It stands in for the Azure Functions host, not for the Python worker: Microsoft's own worker library loads
`function_app.py` and runs its functions. The host's three triggers (queue, timer, HTTP) follow the documented
behaviour, so the same tree works with `func start` and in Azure, and nothing in the app knows which host runs it.

Where it differs from the real host, it does so knowingly:

* FUNCTIONS_WORKER_PROCESS_COUNT: all worker processes are started, side by side, before the host serves; the real host
  serves with the first and starts one more every ten seconds. One that dies is always replaced; the real host ends
  itself after three deaths for each process. A single worker is not a process of its own: what ends it ends the host.
* A function that outlives functionTimeout is cancelled. Its worker process is ended only when its event loop does not
  answer; a synchronous function goes on in its thread. The real host restarts the process.
* Queue, timer and HTTP triggers with HTTP answers only: other bindings, and retry policies of timers, are not known.
* Schedules are read in UTC or WEBSITE_TIME_ZONE, as in Azure; Core Tools takes the laptop's zone.
* Messages that arrive while the host stops are given back at once instead of being run.
* HTTP needs no keys, has no streaming, and no admin endpoints. Targets may have 64 KB and reach the app as they came;
  the real host decodes and encodes the path once more. It sets ASYNCSERVICE_AUTH_LOCAL when it serves on an address
  that only this machine can reach, and takes it away on every other.
"""

from asyncservice.devhost.azurite import Azurite
from asyncservice.devhost.certificates import LocalTls, local_tls
from asyncservice.devhost.errors import AzuriteFailed, ConfigurationInvalid, HostError, IndexingFailed
from asyncservice.devhost.host import FunctionsHost, is_loopback
from asyncservice.devhost.running import run

__all__ = [
    "Azurite",
    "AzuriteFailed",
    "ConfigurationInvalid",
    "FunctionsHost",
    "HostError",
    "IndexingFailed",
    "LocalTls",
    "is_loopback",
    "local_tls",
    "run",
]
