"""Log lines on standard error: one a notable event, levels by the categories of host.json."""

import logging
import sys
import time
from collections.abc import Mapping
from typing import Final

_DEFAULT: Final = "default"


class _Lines(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def configure_logging(levels: Mapping[str, int]) -> None:
    """Send log lines to standard error, at the levels that host.json gives to categories.

    Host categories such as `Host.Triggers.Queues` are names of loggers here; others reach the Python loggers of the
    same name.
    """
    root = logging.getLogger()
    if not root.handlers:
        # Who embeds the host and has set up logging keeps it.
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(message)s"))
        root.addHandler(handler)
    root.setLevel(levels.get(_DEFAULT, logging.INFO))
    # The client libraries tell of every request at the level Information.
    logging.getLogger("azure").setLevel(max(logging.WARNING, root.level))
    for category, level in levels.items():
        if category != _DEFAULT:
            logging.getLogger(category).setLevel(level)
            logging.getLogger(category.lower()).setLevel(level)
