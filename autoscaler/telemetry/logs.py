"""structlog set up once per process: readable text on a terminal, JSON lines otherwise, always on stderr."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure_logging(form: str, level: str, stream: TextIO | None = None) -> None:
    """Send log lines to ``stream`` (stderr by default).

    ``form`` is ``text``, ``json`` or ``auto``: text on a terminal, JSON otherwise. ``level`` is a key of LEVELS.
    """
    out = stream or sys.stderr
    text = form == "text" or (form == "auto" and out.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if text
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    formatting: list[structlog.typing.Processor] = [] if text else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *formatting,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    # the scheduler's own logger speaks only when something is wrong
    logging.basicConfig(stream=out, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
