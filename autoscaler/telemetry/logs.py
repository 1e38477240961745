"""structlog set up once per process: readable text on a terminal, JSON lines otherwise, always on stderr."""

from __future__ import annotations

import logging
import sys
from typing import TextIO, cast

import structlog


class LastingStream:
    """A stream that goes on when a line cannot be written, because its disk is full or its reader is gone.

    What a line tells of must not stop because it cannot be told.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost = 0

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.lost += 1
            return 0

    def flush(self) -> None:
        try:
            self._stream.flush()
        except (OSError, ValueError):
            self.lost += 1


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
        # A trace with all variables in it would take seconds to write, and tell their secrets.
        structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback)
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
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, LastingStream(out))),
        cache_logger_on_first_use=False,
    )
    # the scheduler's own logger speaks only when something is wrong
    logging.basicConfig(stream=out, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s", force=True)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
