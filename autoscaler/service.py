"""The composition root: puts the parts together, runs them, and ends them in order.

The only place that reads the clock and that knows signals.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import autoscaler
from autoscaler.cluster import (
    Application,
    ApplicationFilter,
    FlinkRest,
    HttpClient,
    Node,
    Own,
    ResourceManagers,
    Spnego,
    YarnScheduler,
    depot_at,
    is_local,
    keytab_tokens,
    own_managers,
)
from autoscaler.emrhost import emr_host
from autoscaler.flinkconf import FlinkConf
from autoscaler.keeper import COPY_EVERY, RETRY, Essentials, Keeper
from autoscaler.loop import PUT_TIMEOUT_S, Environment, Fleet, Lane, Leadership, Memory, Orders, Wire, lease_time
from autoscaler.model import JobStatus, Millis
from autoscaler.options import Layer
from autoscaler.options.rules import Rules, job_layers, parse_rules
from autoscaler.settings import Settings, SettingsError, load_settings
from autoscaler.steps import SUSPECT_THREADS, VISIT_THREADS, StepScheduler
from autoscaler.store import RecoveringStore, is_shared, open_store, shown_url
from autoscaler.systemd import ServiceManager, service_manager
from autoscaler.telemetry import Counters, Journal, configure_logging, fleet_collector
from autoscaler.web import Health, WebServer

ALIVE_WITHIN: Millis = 150_000
# Reference counts free nearly all that a pass makes. To search the windows of a thousand jobs for cycles as often as
# Python does by itself, after 700 objects, takes a fifth of a pass.
GC_THRESHOLD = (10_000, 20, 50)
SHIPPED = (
    "jobs submitted from now on have it; a running job keeps the flink-conf it was submitted with, and has options "
    "from this file that it was submitted without, as soon as it is taken up anew"
)
FIXED = (
    "cluster",
    "resource_managers",
    "own_resource_manager",
    "ca_file",
    "kerberos",
    "request_timeout",
    "workers",
    "store",
    "http",
)  # for the life of a process


def system_clock() -> Millis:
    return round(time.time() * 1000)


def proof(settings: Settings) -> Spnego | None:
    """What proves to a secured cluster who we are. Raises SettingsError if it cannot be made."""
    keytab, principal = settings.kerberos.keytab, settings.kerberos.principal
    if keytab is None:
        return None
    if not os.access(keytab, os.R_OK):
        raise SettingsError(
            f"{settings.source}: `kerberos.keytab` is {str(keytab)!r}, which uid {os.getuid()} cannot read"
        )
    try:
        return Spnego(keytab_tokens(keytab, principal))
    except ImportError as error:
        raise SettingsError(
            f"{settings.source}: `kerberos.keytab` needs what is not installed ({error}): "
            "run the bundle's install.sh --kerberos, or pip install 'flink-yarn-autoscaler[kerberos]', which is built "
            "with gcc and krb5-devel"
        ) from error


def system_uptime() -> Millis:
    """A clock that nobody adjusts and that goes on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Reports:
    """Tells the service manager that the service is up, and from then on how it is.

    Each report is a step of the scheduler, so that none comes from a process whose scheduler hangs.
    """

    def __init__(
        self,
        manager: ServiceManager,
        environment: Environment,
        healthy: Callable[[], Health],
        summary: Callable[[], str],
    ) -> None:
        self._manager = manager
        self._env = environment
        self._healthy = healthy
        self._summary = summary

    def start(self) -> None:
        self._manager.ready(self._summary())
        self._again()

    def _again(self) -> None:
        when = self._env.clock() + self._manager.report_every
        self._env.scheduler.at(when, self._report, name="report", lane=Lane.REPORT)

    def _report(self) -> None:
        try:
            health = self._healthy()
            if health.ok:
                self._env.journal.over("watchdog", "the loop goes on")
                self._manager.alive(self._summary())
            else:
                self._env.journal.once("watchdog", "the loop hangs; the watchdog is not fed", **health.facts)
                self._manager.ailing(f"hangs: {health.facts}")
        finally:
            self._again()


@dataclass(frozen=True, slots=True)
class FilteredYarn:
    """The ResourceManagers, seen through the settings' filter."""

    managers: ResourceManagers
    wanted: Callable[[], ApplicationFilter]

    def applications(self) -> tuple[Application, ...]:
        return self.managers.applications(self.wanted())

    def application(self, application_id: str) -> Application | None:
        return self.managers.application(application_id)

    def admits(self, application: Application) -> bool:
        return self.wanted().admits(application)

    def nodes(self, *states: str) -> tuple[Node, ...]:
        return self.managers.nodes(*states)

    def scheduler(self) -> YarnScheduler:
        return self.managers.scheduler()


class Service:
    """Everything one process runs. ``memory`` is where it remembers; ``interval`` overrides all decision intervals."""

    def __init__(
        self,
        settings: Settings,
        memory: Memory,
        *,
        act: bool | None = None,
        spread: bool = True,
        interval: Millis | None = None,
        clock: Callable[[], Millis] = system_clock,
        uptime: Callable[[], Millis] = system_uptime,
        journal: Journal | None = None,
    ) -> None:
        self.settings = settings
        self.counters = Counters()
        self.journal = journal or Journal()
        self.clock = clock
        self._act = act
        self._spread = spread
        self._interval = interval
        self._scheduler = StepScheduler(settings.workers, clock, uptime, self.journal)
        self._spnego = proof(settings)
        self._http = HttpClient(
            workers=settings.workers + SUSPECT_THREADS + VISIT_THREADS + 1,
            timeout_s=settings.request_timeout / 1000,
            progressed=self._scheduler.progressed,
            verify=settings.trusted,
            spnego=self._spnego,
        )
        self._wire = Wire()
        self.flink_conf = FlinkConf(settings.flink_conf)
        self._flink_conf_values: dict[str, str] | None = None
        self.rules = parsed_rules(settings)
        managers = ResourceManagers(self._http, settings.resource_managers)
        self._own_found = Own(problem="not looked for yet")
        self.leadership = Leadership(
            holder=f"{socket.gethostname()} pid {os.getpid()} since {_instant(clock())}",
            cluster=settings.cluster,
            own=self._own,
            managers=managers,
            leases=memory,
            lease_time=lambda: lease_time(self.settings.discovery_interval),
            clock=clock,
            uptime=uptime,
            journal=self.journal,
        )
        self.environment = Environment(
            yarn=FilteredYarn(managers, self._filter),
            connect=self._connect,
            memory=memory,
            scheduler=self._scheduler,
            clock=clock,
            journal=self.journal,
            counters=self.counters,
            wire=self._wire,
            leadership=self.leadership,
        )
        self.fleet = Fleet(self.environment, self._orders(settings), settings.discovery_interval)
        self._keeper: Keeper | None = None
        self._awaits_copy = False

    def start(self) -> None:
        self._warn_of(self.settings)
        self._scheduler.start()
        if self._keeper is None:
            self.fleet.start(self.clock())
        else:
            self._awaits_copy = True
            self._scheduler.at(self.clock(), self._begin, name="copy", lane=Lane.VISITS)
        self._look_at_flink_conf()

    def keep_copy(self, store: Essentials) -> None:
        """Begin from the store's copy if it is empty, and copy it from then on, if the settings say where to."""
        where = self.settings.store.copy_to
        if where is not None:
            depot = depot_at(where, verify=self.settings.trusted, spnego=self._spnego)
            self._keeper = Keeper(depot, where, store, self.journal, self.leads, self.clock())

    def _begin(self) -> None:
        """Start the fleet once the store has what its copy held."""
        assert self._keeper is not None
        now = self.clock()
        if not self._keeper.has_begun(now):
            self._scheduler.at(now + RETRY, self._begin, name="copy", lane=Lane.VISITS)
            return
        self._awaits_copy = False
        self.fleet.start(self.clock())
        self._scheduler.at(now + COPY_EVERY, self._copy, name="copy", lane=Lane.VISITS)

    def _copy(self) -> None:
        assert self._keeper is not None
        try:
            self._keeper.copy()
        finally:
            self._scheduler.at(self.clock() + COPY_EVERY, self._copy, name="copy", lane=Lane.VISITS)

    def stop(self) -> bool:
        """Let a PUT on the wire finish, then start nothing more; false if a PUT did not finish in time."""
        finished = self._wire.close(PUT_TIMEOUT_S + 0.5)
        self._scheduler.stop()
        if self._keeper is not None and not self._awaits_copy:
            self._keeper.part()
        self.leadership.resign()
        return finished

    def reload(self, settings: Settings) -> None:
        """Take up new settings; those of the process itself wait for a restart, and that is said.

        Raises SettingsError and changes nothing if they cannot be used.
        """
        rules = parsed_rules(settings)
        kept = {name: getattr(self.settings, name) for name in FIXED}
        waiting = [name for name, value in kept.items() if getattr(settings, name) != value]
        self.settings = settings.model_copy(update=kept)
        self.rules = rules
        self.flink_conf = FlinkConf(settings.flink_conf)
        configure_logging(settings.log.format, settings.log.level)
        self._warn_of(settings)
        self.fleet.obey(self._orders(self.settings), settings.discovery_interval, self.clock())
        self.journal.note("settings read again", mode=settings.mode, after_a_restart=waiting)

    def statuses(self) -> list[JobStatus]:
        return self.fleet.statuses()

    def report_to(self, manager: ServiceManager) -> None:
        """Tell the service manager how the service is from now on."""
        Reports(manager, self.environment, self.healthy, self.summary).start()

    def summary(self) -> str:
        """One line for whoever asks systemd."""
        doing = "acting" if self.fleet.orders.act else "advising"
        if self._awaits_copy:
            return f"waiting for the store's copy at {self.settings.store.copy_to}"
        if self.fleet.beside_standby:
            return f"standing by: {self.leadership.objection}"
        if self.fleet.down_since is not None:
            return f"waiting for YARN: no ResourceManager answers since {_instant(self.fleet.down_since)}"
        if self.fleet.discovered_at is None:
            return f"{doing}; looking for YARN"
        if self.leadership.objection is not None:
            doing = "standing by"
        return f"{doing} on {len(self.fleet.jobs())} jobs"

    def healthy(self) -> Health:
        """Alive is who asks the ResourceManager, answered or not, and whose steps all get on."""
        asked_before = self._scheduler.since_began(Lane.DISCOVERY)
        longest = max(ALIVE_WITHIN, 3 * self.fleet.discovery_interval, 3 * self.settings.request_timeout)
        silent = self._scheduler.silent()
        hanging = sorted(name for name, since in silent.items() if since >= longest)
        asks = asked_before < longest or "discovery" in silent or self._awaits_copy
        facts: dict[str, object] = {"discovery_started_ms_ago": asked_before}
        return Health(ok=asks and not hanging, facts=facts | ({"hanging": hanging} if hanging else {}))

    def ready(self) -> Health:
        down = self.fleet.down_since
        standby = self.fleet.beside_standby
        silence = f"{'is a standby' if standby else 'does not answer'} since {_instant(down or 0)}"
        facts: dict[str, object] = {
            "resource_manager": "answers" if down is None else silence,
            "acts": self.leadership.objection or "yes",
            "jobs": len(self.fleet.jobs()),
        }
        return Health(ok=standby or (down is None and self.fleet.discovered_at is not None), facts=facts)

    def leads(self) -> bool:
        """Whether this daemon is the one that acts; without a ResourceManager it cannot."""
        return self.leadership.objection is None and self.fleet.down_since is None

    def traffic(self) -> dict[str, int]:
        seen = self._http.traffic()
        return {
            "calls": seen.requests,
            "received_bytes": seen.bytes,
            "connections": sum(seen.connections.values()),
        }

    def _own(self) -> Own:
        """The ResourceManagers of this machine; host names are asked for until they resolve, then never again."""
        if self._own_found.problem is not None:
            chosen, managers = self.settings.own_resource_manager, self.settings.resource_managers
            shared = is_shared(self.settings.store.url)
            self._own_found = own_managers(managers, chosen, is_local, shared_store=shared)
        return self._own_found

    def _filter(self) -> ApplicationFilter:
        wanted = self.settings.applications
        return ApplicationFilter(
            application_type=wanted.type,
            queues=wanted.queues,
            users=wanted.users,
            names=wanted.names,
            tags=wanted.tags,
        )

    def _connect(self, application: Application) -> FlinkRest:
        assert application.tracking_url is not None
        return FlinkRest(self._http, application.id, application.tracking_url)

    def _orders(self, settings: Settings) -> Orders:
        return Orders(
            cluster=settings.cluster,
            act=settings.mode == "act" if self._act is None else self._act,
            profile=settings.profile,
            below=lambda: self._cluster_layers(settings.profile),
            above=lambda application, job: self.rule_layers(application.name, job),
            rules=self.rules.rules,
            spread=self._spread,
            interval=self._interval,
            on_emr_host=emr_host(settings.emr_info) is not None,
        )

    def _warn_of(self, settings: Settings) -> None:
        for problem in settings.warnings:
            self.journal.warn("settings", detail=str(problem))

    def _look_at_flink_conf(self) -> None:
        """Say that the cluster's file is another: EMR rewrites it when somebody reconfigures the cluster."""
        try:
            before = self._flink_conf_values
            values = {key: entry.value for key, entry in self.flink_conf.read().entries.items()}
            if before is not None and values != before:
                changed = sorted(key for key in {*values, *before} if values.get(key) != before.get(key))
                self.journal.note("the cluster's Flink configuration changed", keys=changed, detail=SHIPPED)
            self._flink_conf_values = values
        finally:
            when = self.clock() + self.settings.discovery_interval
            self._scheduler.at(when, self._look_at_flink_conf, name="flink-conf", lane=Lane.VISITS)

    def _cluster_layers(self, profile: str) -> Sequence[Layer]:
        for problem in self.flink_conf.read().problems:
            self.journal.once(str(problem), "cluster configuration", detail=str(problem))
        return self.flink_conf.layers(profile)

    def rule_layers(self, application: str, job: str) -> Sequence[Layer]:
        """What the settings' rules say of a job."""
        return job_layers(self.rules.rules, application, job)

    def round_is_complete(self, passes: int) -> bool:
        """Whether every application was inspected, and every job of ours decided about or found unfit, so often."""
        if self.fleet.discovered_at is None:
            return False
        return all(a.settled for a in self.fleet.applications()) and all(
            job.passes >= passes or job.has_settled for job in self.fleet.jobs()
        )


def _instant(at: Millis) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="seconds")


def parsed_rules(settings: Settings) -> Rules:
    """The settings' rules. Raises SettingsError with everything that is wrong with them."""
    rules = parse_rules([dict(rule) for rule in settings.rules], settings.rules_source, settings.rule_lines)
    if rules.problems:
        raise SettingsError("\n".join(str(problem) for problem in rules.problems))
    return rules


def run(settings: Settings, config: Path | None) -> int:
    """Run until SIGTERM or SIGINT; SIGHUP reads the settings again. Returns the exit status."""
    gc.set_threshold(*GC_THRESHOLD)
    configure_logging(settings.log.format, settings.log.level)
    journal = Journal()
    with Wishes() as wishes:
        store = opened_store(settings, journal)
        service = Service(settings, store, journal=journal)
        service.keep_copy(store)
        registry = fleet_collector(service.counters, service.statuses, service.traffic, service.leads)
        web = WebServer(settings.http.host, settings.http.port, registry, service.healthy, service.ready)
        manager = service_manager(os.environ)
        service.start()
        journal.started(
            version=autoscaler.__version__, mode=settings.mode, port=web.port, store=shown_url(settings.store.url)
        )
        service.report_to(manager)
        while wishes.next() == signal.SIGHUP:
            try:
                settings = load_settings(config or settings.file)  # one that is gone since must not mean the defaults
                service.reload(settings)
            except SettingsError as error:
                journal.error("the new settings cannot be used; the old ones stay", detail=str(error))
        manager.stopping()
        finished = service.stop()
        web.close()
        store.close()
        journal.note("autoscaler stopped", put_finished=finished)
    return 0


def opened_store(settings: Settings, journal: Journal) -> RecoveringStore:
    """The daemon's store; a damaged one is set aside, which is said. Raises StoreError."""

    def say(note: str) -> None:
        journal.warn("store", detail=note)

    url, size = settings.store.url, settings.store.max_size
    opened = open_store(url, size, system_clock())
    for note in opened.notes:
        say(note)
    return RecoveringStore(url, size, system_clock, say, opened)


class Wishes:
    """The signals that ask the process for something, one after the other.

    They are blocked in every thread and taken from the kernel by ``next``: a handler could run in the middle of
    anything, also of what it wants to wake. After an orderly end they stay blocked, as one that came meanwhile would
    kill the process on its last steps.
    """

    def __init__(self) -> None:
        self._wanted = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

    def __enter__(self) -> Wishes:
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, self._wanted)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._before)

    def next(self) -> int:
        """Wait for the next one."""
        return signal.sigwait(self._wanted)
