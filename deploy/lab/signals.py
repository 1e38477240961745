"""Being asked to end: by Ctrl-C, by SIGTERM, or because the terminal was closed."""

from __future__ import annotations

import signal
from types import FrameType

ASIDE_FROM_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


def end_as_by_ctrl_c() -> None:
    """Raise KeyboardInterrupt for each of them; what `nohup` has switched off stays so."""
    for number in ASIDE_FROM_CTRL_C:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def end_undisturbed() -> None:
    """Ignore them from now on: whoever is asked twice must not leave half of what it cleans up."""
    for number in (signal.SIGINT, *ASIDE_FROM_CTRL_C):
        signal.signal(number, signal.SIG_IGN)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
