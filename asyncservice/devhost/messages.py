"""Plain stand-ins for the protobuf messages that the Functions host and its language workers exchange.

The worker library reads and makes these by attribute, so a class with the right names is enough. `Protocol` is what the
library expects as its module of generated classes. The names are those of the FunctionRpc contract.
"""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, Final, Self


class TypedData:
    """A value in one of the forms of the contract: `string`, `json`, `bytes`, `int`, `double` or `http`."""

    __slots__ = ("bytes", "double", "http", "int", "json", "kind", "string")

    bytes: Any
    double: Any
    http: Any
    int: Any
    json: Any
    string: Any

    def __init__(self, **value: Any) -> None:  # noqa: ANN401 - the form decides the type
        self.kind: str | None = None
        for kind, content in value.items():
            self.kind = kind
            setattr(self, kind, content)

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - the generated classes call it so
        """Return the name of the form that is set."""
        return self.kind

    @property
    def value(self) -> Any:  # noqa: ANN401 - the form decides the type
        """The value in whichever form it has; None when it has none."""
        return None if self.kind is None else getattr(self, self.kind)


class ParameterBinding:
    """A value for one of the function's parameters."""

    __slots__ = ("data", "name")

    def __init__(self, name: str, data: TypedData) -> None:
        self.name = name
        self.data = data

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - the generated classes call it so
        """Return the only form this host sends: data, never shared memory."""
        return "data"


class _TraceContext:
    __slots__ = ("attributes", "trace_parent", "trace_state")

    def __init__(self, trace_parent: str = "", trace_state: str = "") -> None:
        self.trace_parent = trace_parent
        self.trace_state = trace_state
        self.attributes: dict[str, str] = {}


class _RetryContext:
    __slots__ = ()
    retry_count: ClassVar = 0
    max_retry_count: ClassVar = 0
    exception: ClassVar = None


_NO_TRACE: Final = _TraceContext()
_NO_RETRY: Final = _RetryContext()


class InvocationRequest:
    """Asks the worker to run one function once. It is its own envelope, which saves two objects a message."""

    __slots__ = ("function_id", "input_data", "invocation_id", "retry_context", "trace_context", "trigger_metadata")

    def __init__(
        self,
        *,
        invocation_id: str,
        function_id: str,
        input_data: Sequence[ParameterBinding],
        trigger_metadata: Mapping[str, TypedData],
        trace_parent: str = "",
        trace_state: str = "",
    ) -> None:
        self.invocation_id = invocation_id
        self.function_id = function_id
        self.input_data = input_data
        self.trigger_metadata = trigger_metadata
        self.trace_context = _TraceContext(trace_parent, trace_state) if trace_parent else _NO_TRACE
        self.retry_context = _NO_RETRY

    @property
    def request(self) -> Self:
        """The streaming message that carries the request."""
        return self

    @property
    def invocation_request(self) -> Self:
        """The request within the streaming message."""
        return self


class StatusResult(SimpleNamespace):
    """How a request to the worker went."""

    Failure: ClassVar = 0
    Success: ClassVar = 1
    Cancelled: ClassVar = 2


class BindingInfo(SimpleNamespace):
    """A binding as the worker describes it."""

    in_: ClassVar = 0
    out: ClassVar = 1
    inout: ClassVar = 2
    undefined: ClassVar = 0
    string: ClassVar = 1
    binary: ClassVar = 2
    stream: ClassVar = 3


class _SameSite:
    # The enumeration has a member called None, which only setattr can make.
    Lax: ClassVar = 1
    Strict: ClassVar = 2
    ExplicitNone: ClassVar = 3


setattr(_SameSite, "None", 0)


class RpcHttpCookie(SimpleNamespace):
    """A cookie of an HTTP answer."""

    SameSite: ClassVar = _SameSite


class Protocol:
    """The module of message classes, as the worker library wants it."""

    TypedData = TypedData
    ParameterBinding = ParameterBinding
    StatusResult = StatusResult
    BindingInfo = BindingInfo
    RpcHttpCookie = RpcHttpCookie
    RpcHttp = SimpleNamespace
    RpcException = SimpleNamespace
    RpcFunctionMetadata = SimpleNamespace
    RpcRetryOptions = SimpleNamespace
    WorkerMetadata = SimpleNamespace
    WorkerInitResponse = SimpleNamespace
    FunctionMetadataResponse = SimpleNamespace
    FunctionLoadResponse = SimpleNamespace
    InvocationResponse = SimpleNamespace
    NullableString = SimpleNamespace
    NullableBool = SimpleNamespace
    NullableDouble = SimpleNamespace
    NullableTimestamp = SimpleNamespace
    Timestamp = SimpleNamespace
