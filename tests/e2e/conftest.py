"""The lab, started once for all end-to-end tests, and the daemon as a process of its own for each."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import pytest
import requests
from demo.daemon import Daemon
from lab import Lab
from lab.configs import Value

from autoscaler.model import JobStatus, Request
from autoscaler.store import Store, StoreError, open_existing
from tests.e2e.gate import Gate

PROJECT = Path(__file__).resolve().parents[2]
AUTOSCALER = Path(sys.prefix) / "bin" / "autoscaler"

# Shorter still than the story's, so that a scenario fits into three minutes.
QUICK: Mapping[str, Value] = {
    "job.autoscaler.decision.interval": "5 s",
    "job.autoscaler.metrics.window": "20 s",
    "job.autoscaler.stabilization.interval": "10 s",
    "job.autoscaler.scale-up.grace-period": "15 s",
    "job.autoscaler.scale-down.max-factor": "1.0",
    "job.autoscaler.yarn.rescale-gap.up": "5 s",
    "job.autoscaler.yarn.rescale-gap.down": "15 s",
    "job.autoscaler.yarn.rescale-budget": "0",
    "job.autoscaler.yarn.probation": "20 s",
}

NOTHING: Mapping[str, Value] = {}

T = TypeVar("T")
Orders = Callable[..., tuple[str, "Watched"]]


def until(look: Callable[[], T | None], patience: float, what: str) -> T:
    """Look again until there is something to see; fail with ``what`` was waited for."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:.0f} s: {what}")
        time.sleep(0.3)


def requirements_url(lab: Lab, application: str) -> str:
    return f"{lab.tracking_url(application)}/jobs/{lab.jobs(application)[0].id}/resource-requirements"


def uppers(lab: Lab, application: str) -> dict[str, int]:
    """The upper bound of each vertex of an application's job, by vertex id, as Flink has it now."""
    answer = requests.get(requirements_url(lab, application), timeout=10).json()
    return {vertex: bounds["parallelism"]["upperBound"] for vertex, bounds in answer.items()}


class Watched(Daemon):
    """A daemon whose store can be read while it runs."""

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _reading(self) -> Store | None:
        try:
            return open_existing(f"sqlite:///{self.store}")
        except StoreError:
            return None

    def statuses(self) -> Mapping[str, JobStatus]:
        """The last status of each job, by application name and job name."""
        store = self._reading()
        try:
            return {str(s.key): s for s in store.statuses()} if store else {}
        finally:
            if store:
                store.close()

    def requests(self, application: str) -> tuple[Request, ...]:
        """The requests to the jobs of an application, oldest first."""
        store = self._reading()
        if store is None:
            return ()
        try:
            keys = store.keys()
            found = [r for k in keys if k.application == application for r in store.requests(k, 100)]
        finally:
            store.close()
        return tuple(sorted(found, key=lambda request: request.decided_at))

    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def waits_for(self, job: str, fits: Callable[[JobStatus], bool], patience: float, what: str) -> JobStatus:
        def look() -> JobStatus | None:
            status = self.statuses().get(job)
            return status if status is not None and fits(status) else None

        try:
            return until(look, patience, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen: {self.statuses().get(job)}") from None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests on another kind of lab come last, so that each kind is started once."""
    items.sort(key=lambda item: hasattr(item, "callspec") and "lab" in item.callspec.params)


@pytest.fixture(scope="session")
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """One master, or as many as a module asks for by ``parametrize("lab", [2], indirect=True)``."""
    masters: int = getattr(request, "param", 1)
    home = PROJECT / ".lab" / ("e2e" if masters == 1 else f"e2e-{masters}-masters")
    lab = Lab(home=home, zookeeper=True, masters=masters, say=lambda line: print(line, file=sys.stderr))
    lab.up()
    try:
        yield lab
    finally:
        lab.down()


@pytest.fixture
def applications(lab: Lab) -> Iterator[list[str]]:
    """Put the ids of applications a test starts here; they are ended with it."""
    started: list[str] = []
    yield started
    for application in started:
        found = lab.application(application)
        if found is not None and found.state in ("ACCEPTED", "RUNNING"):
            lab.kill_application(application)
    until(lambda: not lab.containers(), 60, "the containers of the test's applications to end")


@pytest.fixture
def daemon(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Callable[..., Watched]]:
    """Make a daemon that looks at the applications of one name pattern."""
    made: list[Watched] = []

    def make(names: str, **settings: str) -> Watched:
        home = lab.layout.data / request.node.name
        chosen = {
            "resource_managers": '["http://127.0.0.1:8088"]',
            "discovery_interval": "3 s",
            "flink_conf": str(home / "no-flink-conf"),
            "applications": "{names: ['" + names + "']}",
            "http": "{port: 0}",
            **settings,
        }
        watched = Watched(home, AUTOSCALER, lab.layout.log / f"{request.node.name}.log", chosen)
        made.append(watched)
        return watched

    yield make
    for watched in made:
        watched.stop()


@pytest.fixture
def gate() -> Iterator[Gate]:
    """Stand between the daemon and YARN."""
    with Gate() as gate:
        yield gate


@pytest.fixture
def orders(lab: Lab, applications: list[str], daemon: Callable[..., Watched]) -> Orders:
    """Run the job *orders* under a name at a load, and a daemon that looks at it; give the application's id and the
    daemon."""

    def start(
        name: str,
        rate: float,
        conf: Mapping[str, Value] = QUICK,
        arguments: Mapping[str, Value] = NOTHING,
        **settings: str,
    ) -> tuple[str, Watched]:
        lab.set_rate("orders", rate)
        application = lab.submit_orders(name=name, conf=conf, **arguments)
        applications.append(application)
        lab.wait_until_running(application)
        watched = daemon(name, **settings)
        watched.start()
        return application, watched

    return start
