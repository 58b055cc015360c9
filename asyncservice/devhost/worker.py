"""The language worker: Microsoft's own library loads the app and runs its functions.

This is the only module that touches the library. It speaks the worker protocol (worker initialisation, function
metadata, invocation) with plain objects for the messages, so an app that runs here was indexed and invoked by the code
that runs it in Azure.

A worker lives in the process that starts it and on its event loop; asynchronous functions run beside whatever else runs
there, others in the library's thread pool (PYTHON_THREADPOOL_THREAD_COUNT). That process is the host's own, or, where
FUNCTIONS_WORKER_PROCESS_COUNT says two and more, one of the worker's (`asyncservice.devhost.workerprocess`): all that
passes through `Worker.invoke` is plain data. The library keeps its state in module globals: one app in one process.
"""

import asyncio
import logging
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol, Self

import azure_functions_runtime as runtime

from asyncservice.devhost import messages
from asyncservice.devhost.errors import IndexingFailed, WorkerFailed
from asyncservice.devhost.functions import Description
from asyncservice.devhost.messages import InvocationRequest, ParameterBinding, StatusResult, TypedData


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an invocation: a value (or nothing) when it succeeded, the error's text when it failed."""

    value: TypedData | None = None
    #: Kind and message of the exception; None when the function succeeded.
    error: str | None = None
    stack_trace: str = ""


_DONE = Result()


class Invocable(Protocol):
    """What a worker must know of a function to run it."""

    @property
    def id(self) -> str:
        """What the worker calls it."""
        ...

    @property
    def parameter(self) -> str:
        """The parameter that receives the trigger's data."""
        ...


class Worker:
    """An app that is loaded and ready to be invoked. Made by `Worker.start`; ended by `stop`."""

    def __init__(self, descriptions: Sequence[Description]) -> None:
        #: The functions that were indexed, switched-off ones included.
        self.descriptions = descriptions

    @classmethod
    async def start(cls, directory: Path) -> Self:
        """Load the app in *directory*; raise IndexingFailed when it cannot be.

        The app's directory becomes the first place from which modules are imported, as it is for the real worker.
        """
        # The library tells of every invocation at the level Information; the host tells what is worth telling itself.
        logging.getLogger("azure.functions").setLevel(logging.WARNING)
        _refuse_another_app(directory)
        path = str(directory)
        if path not in sys.path:
            sys.path.insert(0, path)
        runtime.start_threadpool_executor()
        try:
            return cls(await _index(directory))
        except BaseException:
            await asyncio.to_thread(runtime.stop_threadpool_executor)
            raise

    async def invoke(
        self,
        function: Invocable,
        data: TypedData,
        metadata: Mapping[str, TypedData],
        *,
        trace_parent: str = "",
        trace_state: str = "",
    ) -> Result:
        """Run *function* once with *data* for its trigger's parameter.

        Never raises for what the function does; cancelling the call cancels an asynchronous function.
        """
        response = await runtime.invocation_request(
            InvocationRequest(
                invocation_id=str(uuid.uuid4()),
                function_id=function.id,
                input_data=[ParameterBinding(function.parameter, data)],
                trigger_metadata=metadata,
                trace_parent=trace_parent,
                trace_state=trace_state,
            )
        )
        result = response.result
        if result.status == StatusResult.Success:
            value = response.return_value
            return _DONE if value is None else Result(value)
        return Result(error=result.exception.message, stack_trace=result.exception.stack_trace)

    async def stop(self, *, wait: bool = True) -> None:
        """End the worker's threads; with *wait*, only when what runs in them has ended."""
        executor = runtime.get_threadpool_executor()
        if executor is not None:
            if not wait:
                executor.shutdown(wait=False, cancel_futures=True)
            else:
                await asyncio.to_thread(runtime.stop_threadpool_executor)


def _refuse_another_app(directory: Path) -> None:
    # Python would hand out the module of the first app again.
    loaded = getattr(sys.modules.get("function_app"), "__file__", None)
    if loaded is not None and Path(loaded).resolve().parent != directory.resolve():
        raise WorkerFailed(f"This process has loaded the app in {Path(loaded).parent} already; one process, one app.")


async def _index(directory: Path) -> Sequence[Description]:
    init = await runtime.worker_init_request(
        SimpleNamespace(
            request=SimpleNamespace(
                worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(directory))
            ),
            properties={"host": "127.0.0.1", "protos": messages.Protocol},
        )
    )
    if init.result.status != StatusResult.Success:
        raise IndexingFailed(init.result.exception.message, init.result.exception.stack_trace)
    answer = await runtime.functions_metadata_request(SimpleNamespace())
    if not answer.function_metadata_results:
        raise IndexingFailed(f"there is no function_app.py with functions in {directory}.")
    return tuple(
        Description(id=each.function_id, name=each.name, bindings=list(each.raw_bindings))
        for each in answer.function_metadata_results
    )
