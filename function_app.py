"""Every trigger of the application, bound to the service. No logic stands here."""

import json
import logging

import azure.functions as func

from asyncservice.operations import agenda, autodelete, inbox, retention
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family
from asyncservice.service import Runtime
from asyncservice.settings import STORAGE_SETTING
from asyncservice.storage.errors import StorageError

# The clients of Azure log every request at INFO; the service logs what happens to operations.
logging.getLogger("azure").setLevel(logging.WARNING)

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
runtime = Runtime()


def run_family(family: Family) -> None:
    """Bind the queue of a family to the engine."""

    @app.function_name(f"run_{family.value.replace('-', '_')}")
    @app.queue_trigger(arg_name="message", queue_name=family.queue_name, connection=STORAGE_SETTING)
    async def run(message: func.QueueMessage) -> None:
        """Run the operations that this hint names."""
        service = await runtime.service()
        await service.engine.run(message.get_body().decode())


for each in Family:
    run_family(each)


@app.function_name("accept")
@app.queue_trigger(arg_name="message", queue_name=INBOX, connection=STORAGE_SETTING)
async def accept(message: func.QueueMessage) -> None:
    """Make an operation of a message that another service sent."""
    service = await runtime.service()
    sent = message.insertion_time or service.engine.clock.now()
    await inbox.accept(service.engine, message.get_body(), message_id=message.id or "", inserted_on=sent)


@app.function_name("sweep")
@app.timer_trigger(arg_name="timer", schedule=runtime.settings.sweep_schedule)
async def sweep(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding names it
    """Repair what a lost message, a crash or an outage left behind."""
    service = await runtime.service()
    await agenda.sweep(service.engine)


@app.function_name("retention")
@app.timer_trigger(arg_name="timer", schedule=runtime.settings.retention_schedule)
async def purge(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding names it
    """Remove completed operations that are past their time."""
    service = await runtime.service()
    await retention.purge(service.engine, runtime.settings.retention(), budget=runtime.settings.retention_budget)


@app.function_name("autodelete")
@app.timer_trigger(arg_name="timer", schedule=runtime.settings.autodelete_schedule)
async def remove_succeeded(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding names it
    """Remove operations that were to be removed when they had succeeded."""
    service = await runtime.service()
    settings = runtime.settings
    await autodelete.remove(service.engine, kept=settings.autodelete_delay, budget=settings.retention_budget)


@app.function_name("health")
@app.route("api/health", trigger_arg_name="request", methods=[func.HttpMethod.GET], auth_level=func.AuthLevel.ANONYMOUS)
async def health(request: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 - the binding names it
    """Answer 200 when the storage answers, else 503."""
    try:
        service = await runtime.service()
        await service.engine.store.ping()
    except StorageError as error:
        logging.getLogger(__name__).warning("The storage does not answer: %s", error)
        return _json({"status": "unavailable", "reason": "the storage does not answer"}, 503)
    return _json({"status": "ok", "host": service.engine.host}, 200)


def _json(body: dict[str, str], status: int) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")
