"""Every trigger of the application, bound to the service. No logic stands here."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping

import azure.functions as func

from asyncservice import upkeep
from asyncservice.operations import agenda, autodelete, inbox, retention
from asyncservice.operations.hints import INBOX
from asyncservice.operations.operationtypes import Family
from asyncservice.service import Runtime
from asyncservice.settings import STORAGE_SETTING
from asyncservice.storage.errors import StorageError
from asyncservice.upkeep import Answer
from asyncservice.webapi import functions
from asyncservice.webapi.serving import WebApiOf

# The clients of Azure log every request at INFO; the service logs what happens to operations.
logging.getLogger("azure").setLevel(logging.WARNING)

runtime = Runtime()
web_api = WebApiOf(runtime)
app = func.FunctionApp(http_auth_level=web_api.level)


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
    await service.organization.recover(now=service.engine.clock.now())


@app.function_name("retention")
@app.timer_trigger(arg_name="timer", schedule=runtime.settings.retention_schedule)
async def purge(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding names it
    """Remove completed operations that are past their time, and blobs that no record names any more."""
    service = await runtime.service()
    await retention.purge(service.engine, runtime.settings.retention(), budget=runtime.settings.retention_budget)
    await service.organization.collect(now=service.engine.clock.now())


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


@app.function_name("webapi")
@app.route("api/data/{*path}", trigger_arg_name="request", auth_level=func.AuthLevel.ANONYMOUS)
async def webapi(request: func.HttpRequest) -> func.HttpResponse:
    """Answer the Web API; who may call it, its own door says."""
    return await functions.serve(web_api.opened, request)


@app.function_name("background_operation")
@app.route("api/backgroundoperation/{id}", trigger_arg_name="request", auth_level=func.AuthLevel.ANONYMOUS)
async def background_operation(request: func.HttpRequest) -> func.HttpResponse:
    """Answer for a background operation."""
    return await functions.serve_background_operation(request.route_params["id"])


@app.function_name("limits")
@app.route("api/limits", trigger_arg_name="request", methods=[func.HttpMethod.GET])
async def limits(request: func.HttpRequest) -> func.HttpResponse:
    """Answer with every limit and default in force."""
    return await _answer(request, upkeep.read_limits)


@app.function_name("list_poison")
@app.route("api/poison", trigger_arg_name="request", methods=[func.HttpMethod.GET])
async def list_poison(request: func.HttpRequest) -> func.HttpResponse:
    """Answer with the messages that no invocation could take."""
    return await _answer(request, upkeep.list_poison, queue=request.params.get("queue"))


@app.function_name("show_poison")
@app.route("api/poison/{queue}/{id}", trigger_arg_name="request", methods=[func.HttpMethod.GET])
async def show_poison(request: func.HttpRequest) -> func.HttpResponse:
    """Answer with one of them."""
    route = request.route_params
    return await _answer(request, upkeep.show_poison, queue=route["queue"], message_id=route["id"])


@app.function_name("redrive_poison")
@app.route("api/poison/redrive", trigger_arg_name="request", methods=[func.HttpMethod.POST])
async def redrive_poison(request: func.HttpRequest) -> func.HttpResponse:
    """Put them back on the queues they came from."""
    return await _answer(request, upkeep.redrive_poison, body=request.get_body())


async def _answer(
    request: func.HttpRequest, endpoint: Callable[..., Awaitable[Answer]], **asked: object
) -> func.HttpResponse:
    async def work() -> Answer:
        return await endpoint(await runtime.service(), **asked)

    async def answer() -> func.HttpResponse:
        found = await upkeep.answered(work)
        return _json(found.body, found.status, found.headers)

    return await web_api.guarded(request, answer)


def _json(body: Mapping[str, object], status: int, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    text = json.dumps(body, ensure_ascii=False)
    return func.HttpResponse(text, status_code=status, headers=dict(headers or {}), mimetype="application/json")
