"""What can go wrong with the local host, from general to particular.

HostError
├── ConfigurationInvalid  host.json, local.settings.json or a binding says something the host cannot follow
├── IndexingFailed        the worker could not load the app's functions
├── WorkerFailed          the worker broke its side of the protocol
└── AzuriteFailed         the storage emulator is not installed, or did not start
"""


class HostError(Exception):
    """The host cannot start or go on; the message says what to change."""


class ConfigurationInvalid(HostError):  # noqa: N818 - reads as the state it describes
    """A setting or a binding is wrong."""


class IndexingFailed(HostError):  # noqa: N818 - reads as the event it describes
    """The app's functions could not be loaded."""

    def __init__(self, message: str, stack_trace: str = "") -> None:
        super().__init__(f"The functions could not be indexed: {message}")
        self.reason = message
        #: Where it happened, as the worker reports it; empty when there is no trace.
        self.stack_trace = stack_trace


class WorkerFailed(HostError):  # noqa: N818 - reads as the event it describes
    """The worker answered something that the protocol does not know."""


class AzuriteFailed(HostError):  # noqa: N818 - reads as the event it describes
    """The storage emulator is missing or would not start."""
