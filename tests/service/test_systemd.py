"""What systemd is told, on a socket the test owns: its watchdog bites a loop that hangs, none that waits for YARN."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.commands.oneshot import NothingRemembered
from autoscaler.loop import Lane
from autoscaler.model import Command, Millis
from autoscaler.service import ALIVE_WITHIN, Reports, Service
from autoscaler.settings import load_settings
from autoscaler.systemd import ServiceManager, service_manager
from autoscaler.web import Health
from tests.adapters.stub import HANG, Stub
from tests.service.cluster import Daemon, StubCluster, settings_file, until

pytestmark = pytest.mark.slow

FED = "WATCHDOG=1"


class Listener:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(10)

    def next(self) -> list[str]:
        """The lines of the next datagram, waited for."""
        return self._socket.recv(4096).decode().splitlines()

    def wait_for(self, wanted: Callable[[list[str]], bool]) -> list[str]:
        """The first datagram from now on that is so."""
        while not wanted(lines := self.next()):
            pass
        return lines

    def waiting(self) -> list[list[str]]:
        """What was told and not yet read."""
        found = []
        self._socket.setblocking(False)
        try:
            while True:
                found.append(self.next())
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(10)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    end = Listener(str(tmp_path / "notify"))
    yield end
    end.close()


class HandScheduler:
    """Keeps steps until the test runs them: a scheduler that hangs, for as long as it does not."""

    def __init__(self) -> None:
        self.steps: dict[str, tuple[Millis, Callable[[], None], Lane]] = {}

    def at(self, when: Millis, step: Callable[[], None], *, name: str, lane: Lane = Lane.WORKERS) -> None:
        self.steps[name] = (when, step, lane)


class HangingStore(NothingRemembered):
    """A store that takes a call and gives no answer until it is released."""

    def __init__(self) -> None:
        super().__init__(None)
        self.asked = threading.Event()
        self.release = threading.Event()

    def commands(self, cluster: str, now: Millis) -> tuple[Command, ...]:
        self.asked.set()
        self.release.wait(20)
        return ()


def test_from_ready_to_stopping(tmp_path: Path, stub: Stub, cluster: StubCluster, listener: Listener) -> None:
    """The daemon says that it is ready, then what it does and that it lives, and at the end that it stops."""
    variables = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "1200000"}
    with Daemon(settings_file(tmp_path, stub, mode="advise"), environment=variables) as daemon:
        assert listener.next() == ["READY=1", "STATUS=advising; looking for YARN"]
        listener.wait_for(lambda lines: lines == [FED, "STATUS=advising on 1 jobs"])
        assert daemon.end() == 0
        assert listener.wait_for(lambda lines: FED not in lines) == ["STOPPING=1", "STATUS=stopping"]


@pytest.mark.parametrize("path", ["/ws/v1/cluster/apps", "jobs/overview"])
def test_a_hung_rm_or_proxy_is_waited_for(
    tmp_path: Path, stub: Stub, cluster: StubCluster, listener: Listener, path: str
) -> None:
    """While the ResourceManager or the proxy takes requests and answers none, the watchdog is fed all the same."""
    cluster.answers[path] = HANG
    variables = {"NOTIFY_SOCKET": listener.address, "WATCHDOG_USEC": "1200000"}
    with Daemon(settings_file(tmp_path, stub), environment=variables) as daemon:
        assert listener.next()[0] == "READY=1"
        until(lambda: cluster.asked(path) > 0)
        for _ in range(3):
            assert listener.next()[0] == FED
        if path.startswith("/ws"):
            found = listener.wait_for(lambda lines: "waiting for YARN" in lines[1])
            assert found[0] == FED
        assert daemon.end() == 0


def test_without_a_ready_store_nothing_is_ready(tmp_path: Path, stub: Stub, listener: Listener) -> None:
    """READY=1 is not said before settings and store are open, but what is wrong with them, which `systemctl status`
    shows once the service has ended."""
    (tmp_path / "history.db").mkdir()
    with Daemon(settings_file(tmp_path, stub), environment={"NOTIFY_SOCKET": listener.address}) as daemon:
        assert daemon.process.wait(10) == 1
    assert listener.waiting() == [
        [f"STATUS=the store's file {tmp_path / 'history.db'} is a directory; set store.url to a file"]
    ]
    settings = settings_file(tmp_path, stub, nonsense=1)
    with Daemon(settings, environment={"NOTIFY_SOCKET": listener.address}) as daemon:
        assert daemon.process.wait(10) == 2
    ((said,),) = listener.waiting()
    assert said.startswith(f"STATUS={settings}:1: unknown setting `nonsense`")


def test_a_hung_scheduler_feeds_nothing(stub: Stub, tmp_path: Path, listener: Listener) -> None:
    """After READY=1 every word comes from a step of the scheduler; one that starts no steps lets the watchdog bite."""
    scheduler = HandScheduler()
    service = Service(load_settings(settings_file(tmp_path, stub)), NothingRemembered(None), clock=lambda: 1_000)
    environment = replace(service.environment, scheduler=scheduler)
    manager = ServiceManager(address=listener.address, report_every=30_000)
    health = [Health(ok=True, facts={})]
    Reports(manager, environment, lambda: health[-1], lambda: "acting on 3 jobs").start()
    assert listener.waiting() == [["READY=1", "STATUS=acting on 3 jobs"]]
    when, step, lane = scheduler.steps.pop("report")
    assert (when, lane) == (31_000, Lane.REPORT)
    step()
    assert listener.waiting() == [[FED, "STATUS=acting on 3 jobs"]]
    health.append(Health(ok=False, facts={"hanging": ["discovery"]}))
    scheduler.steps.pop("report")[1]()
    assert listener.waiting() == [["STATUS=hangs: {'hanging': ['discovery']}"]]
    assert "report" in scheduler.steps


def test_a_step_that_hangs_starves_the_watchdog(tmp_path: Path, stub: Stub, listener: Listener) -> None:
    """Reports go on, but the watchdog is not fed while a step gives no sign of life; once it does all is well again."""
    now = [1_000_000]
    store = HangingStore()
    service = Service(load_settings(settings_file(tmp_path, stub)), store, uptime=lambda: now[0])
    service.start()
    try:
        assert store.asked.wait(10)
        service.report_to(ServiceManager(address=listener.address, report_every=0))  # at each tick
        listener.wait_for(lambda lines: lines[0] == FED)
        now[0] += ALIVE_WITHIN
        listener.wait_for(lambda lines: lines[0].startswith("STATUS=hangs: ") and "['discovery']" in lines[0])
        listener.waiting()
        assert not service.healthy().ok
        assert all(lines[0] != FED for lines in [listener.next(), *listener.waiting()])
        store.release.set()
        until(lambda: "hanging" not in service.healthy().facts)
        now[0] += service.fleet.discovery_interval
        listener.wait_for(lambda lines: lines[0] == FED)
    finally:
        store.release.set()
        service.stop()


@pytest.mark.parametrize("by", [-3_600_000, 3_600_000])
def test_a_clock_that_is_set_is_no_hang(tmp_path: Path, stub: Stub, by: int) -> None:
    """Health goes by the time that really passed."""
    now = [10_000_000]
    service = Service(load_settings(settings_file(tmp_path, stub)), NothingRemembered(None), clock=lambda: now[0])
    now[0] += by
    assert service.healthy().ok


def test_a_slow_cluster_hangs_nothing(tmp_path: Path, stub: Stub, cluster: StubCluster) -> None:
    """A step that waits for its second answer was alive when the first came, however long the step takes in all."""
    now = [1_000_000]
    service = Service(load_settings(settings_file(tmp_path, stub)), NothingRemembered(None), uptime=lambda: now[0])
    found: list[Health] = []

    def read_twice() -> None:
        for _ in range(2):
            now[0] += ALIVE_WITHIN - 1
            service.environment.yarn.applications()
        found.append(service.healthy())
        now[0] += ALIVE_WITHIN
        found.append(service.healthy())

    service.environment.scheduler.at(0, read_twice, name="pass", lane=Lane.REPORT)
    service.start()
    try:
        until(lambda: len(found) == 2)
    finally:
        service.stop()
    assert "pass" not in str(found[0].facts.get("hanging"))
    assert "pass" in str(found[1].facts["hanging"])


def test_no_service_manager_no_words(tmp_path: Path) -> None:
    """Started by hand nothing is told; a socket that is gone is no error."""
    service_manager({}).ready("x")
    service_manager({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("x")


def test_an_abstract_socket_is_found() -> None:
    """An address that begins with @ is no file."""
    name = f"@autoscaler-test-{os.getpid()}"
    listener = Listener(name)
    service_manager({"NOTIFY_SOCKET": name}).stopping()
    assert listener.next() == ["STOPPING=1", "STATUS=stopping"]
    listener.close()


@pytest.mark.parametrize(
    ("variables", "every"),
    [
        ({}, 30_000),
        ({"WATCHDOG_USEC": "180000000"}, 30_000),
        ({"WATCHDOG_USEC": "60000000"}, 10_000),
        ({"WATCHDOG_USEC": "3600000000"}, 30_000),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 10_000),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, 30_000),
        ({"WATCHDOG_USEC": "soon"}, 30_000),
    ],
)
def test_the_watchdog_sets_the_pace(variables: dict[str, str], every: Millis) -> None:
    """Six reports fit into the watchdog's time, if it is this process's; without one the status is renewed twice a
    minute."""
    assert service_manager(variables).report_every == every
