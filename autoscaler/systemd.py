"""What the service manager is told: sd_notify(3), datagrams on a socket it names. Without such a socket nothing is."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.model import Millis

REPORT_EVERY: Millis = 30_000
REPORTS_PER_WATCHDOG = 6  # five may be late or lost before the watchdog bites


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceManager:
    """``address`` is the socket's, ``None`` if nobody listens; ``report_every`` is how often it wants to hear."""

    address: str | None = None
    report_every: Millis = REPORT_EVERY

    def ready(self, status: str) -> None:
        """The service is up."""
        self._tell("READY=1", f"STATUS={status}")

    def alive(self, status: str) -> None:
        """Feed the watchdog."""
        self._tell("WATCHDOG=1", f"STATUS={status}")

    def ailing(self, status: str) -> None:
        """Say what is wrong and let the watchdog go hungry."""
        self._tell(f"STATUS={status}")

    def stopping(self) -> None:
        """The service ends by itself."""
        self._tell("STOPPING=1", "STATUS=stopping")

    def _tell(self, *lines: str) -> None:
        if self.address is None:
            return
        # an abstract socket's name begins with a zero byte, which a variable cannot hold
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
            datagrams.setblocking(False)
            try:
                datagrams.sendto("\n".join(lines).encode(), address)
            except OSError:  # it is being restarted or does not keep up; the next report says it anew
                return


def service_manager(environment: Mapping[str, str]) -> ServiceManager:
    """The one that started this process, by the variables it sets (sd_watchdog_enabled(3))."""
    address = environment.get("NOTIFY_SOCKET") or None
    microseconds = environment.get("WATCHDOG_USEC", "")
    mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    if not (microseconds.isdecimal() and mine):
        return ServiceManager(address=address)
    often = int(microseconds) // 1000 // REPORTS_PER_WATCHDOG
    return ServiceManager(address=address, report_every=max(1, min(often, REPORT_EVERY)))
