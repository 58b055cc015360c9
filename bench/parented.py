"""Runs a Python program that ends with its parent: `python -m bench.parented MODULE [ARGUMENT]...`.

Its standard input is a pipe that the parent holds; the system closes it even when the parent is killed.
"""

import os
import runpy
import signal
import sys
import threading
import time
from typing import Final

#: Seconds in which the program may end in good order once it was asked to.
_GRACE: Final = 20


def _end_with_parent() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
