"""The Celery application of the benchmark; worker and submitter import it. The environment says where it lives."""

import os
import time
from typing import Final

from celery import Celery

#: Settings of the environment.
BROKER: Final = "BENCH_CELERY_BROKER"
BACKEND: Final = "BENCH_CELERY_BACKEND"

app = Celery("bench", broker=os.environ.get(BROKER), backend=os.environ.get(BACKEND))
app.conf.update(
    task_acks_late=True,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    azureblockblob_container_name="celery",
    task_default_queue="celery",
)


def _noop(number: int, milliseconds: int = 0) -> None:  # noqa: ARG001 - the number tells one task from another
    """Do nothing, for as long as it is told."""
    if milliseconds:
        time.sleep(milliseconds / 1000)


noop = app.task(name="bench.noop")(_noop)
