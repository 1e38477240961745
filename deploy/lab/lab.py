"""The lab as one object: start and end it, submit jobs, change the load, break things."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from lab import artifacts, configs, containers, load, parts, ports
from lab import layout as places
from lab.artifacts import FlinkVersion
from lab.configs import Value
from lab.containers import Container
from lab.jobs import SUBMISSION, Conf, Submitter
from lab.layout import LabError, Layout
from lab.parts import Options, Part, Tools
from lab.processes import Process, Processes, end, last_lines
from lab.rest import LIVE_STATES, Application, Job, Rest, Yarn, jobs_of
from lab.status import ADDRESSES, Memory, Status
from lab.story import Story

POLL_SECONDS = 0.2
START_PATIENCE_SECONDS = 90.0
GRACE_SECONDS = 3600
# Together they hold the story's peak (three JobManagers, nine TaskManagers) and not much more, so the lab
# cannot outgrow its 6 GiB. Of different size, because real nodes are.
NODE_MEMORY_MB = (6144, 3072)

SESSION_JOBS = ("payments", "numbers")


class Lab:
    """A YARN with a separate proxy, a Kafka, and Flink jobs, on loopback addresses.

    With two `masters` there are two ResourceManagers, of which one is active, and a ZooKeeper by which they elect it.
    """

    def __init__(
        self,
        home: Path | None = None,
        flink_version: str | None = None,
        *,
        node_memory_mb: tuple[int, int] = NODE_MEMORY_MB,
        zookeeper: bool = False,
        masters: int = 1,
        say: Callable[[str], None] = print,
    ) -> None:
        self.layout = Layout.from_environment(home)
        self.version = FlinkVersion.named(flink_version or os.environ.get("FLINK") or "1.20")
        if not 1 <= masters <= len(places.MASTER_HOSTS):
            raise LabError(f"a lab has 1 to {len(places.MASTER_HOSTS)} masters, not {masters}")
        self.options = Options(node_memory_mb=node_memory_mb, zookeeper=zookeeper or masters > 1, masters=masters)
        self.story = Story.load()
        self._say = say
        self._processes = Processes(self.layout.pid, self.layout.log)
        self._rest = Rest()
        self._yarn = Yarn(self._rest)

    # --- start and end

    def up(self, *, jobs: bool = False) -> None:
        """Start all parts that do not run yet, and the story's jobs if asked to.

        If one fails, everything that was started is ended, and the error says which one it was.
        """
        began = time.monotonic()
        running = self._processes.running()
        self._check_same_options(running)
        self._check_ports(running)
        self._fetch()
        if not running:
            self._renew_home()
        try:
            for part in self._parts():
                self._start(part)
            for part in self._parts():
                self._wait_for(part)
            self._say(f"the lab is up after {time.monotonic() - began:.0f} s")
            if jobs:
                self.submit_all()
                self._say(f"all jobs run after {time.monotonic() - began:.0f} s")
        except BaseException:
            # Ctrl-C included: half a lab is of no use, but one that was there before is not ours to end.
            if not running:
                self.down()
            raise

    def down(self) -> None:
        """End what `up` has started, and what YARN has launched since; nothing else."""
        running = self._processes.running()
        # Asked to end, a node would wait ten seconds for the time to delete its logs, which is hours away.
        self._processes.stop(*(name for name in running if name.startswith(parts.NODE)), at_once=True)
        self._processes.stop(*running)
        while leftovers := containers.find_leftovers(self.layout):
            for process in leftovers:
                process.signal(signal.SIGKILL)
            end(leftovers)
        self._rest.close()

    def clean(self) -> None:
        """End the lab and remove its state; the cache of jars stays."""
        self.down()
        self._remove_home()

    def is_up(self) -> bool:
        """True if every part of this lab runs."""
        running = self._processes.running()
        return bool(running) and all(part.name in running for part in self._parts())

    def _check_same_options(self, running: Mapping[str, Process]) -> None:
        if not running:
            return
        started_with = json.loads(self.layout.options.read_text(encoding="utf-8"))
        if started_with != json.loads(json.dumps(asdict(self.options))):
            raise LabError(f"a lab runs here already, started with {started_with}; end it first (down)")
        self._say(f"the lab in {self.layout.home} runs already and is used as it is")

    def _check_ports(self, running: Mapping[str, Process]) -> None:
        needed = {
            address: part.title for part in self._parts() if part.name not in running for address in part.addresses
        }
        if taken := ports.busy(needed):
            raise LabError("\n".join(taken))

    def _renew_home(self) -> None:
        self._remove_home()
        self.layout.home.mkdir(parents=True, exist_ok=True)
        self.layout.options.write_text(json.dumps(asdict(self.options)), encoding="utf-8")
        memory, masters = self.options.node_memory_mb, self.options.masters
        configs.write_daemons(self.layout, self._tools.hadoop, self.story, memory, masters)
        load.write_rates(self.layout.rates, self.story.phases[0].rates)

    def _remove_home(self) -> None:
        # Only what the lab itself puts there: LAB_HOME may name a folder with other things in it.
        for folder in (self.layout.log, self.layout.pid, self.layout.data, self.layout.conf):
            shutil.rmtree(folder, ignore_errors=True)
        for file in (self.layout.options, self.layout.rates):
            file.unlink(missing_ok=True)

    @cached_property
    def _tools(self) -> Tools:
        cache = self.layout.cache
        return Tools(
            java_home=artifacts.java_home(),
            hadoop=artifacts.HADOOP_JARS.folder(cache),
            kafka=artifacts.KAFKA_JARS.folder(cache),
            flink=artifacts.flink_jars(self.version).folder(cache),
            load_jar=artifacts.compiled_jar("load", artifacts.KAFKA, cache),
            jobs_jar=artifacts.compiled_jar("jobs", self.version.number, cache),
        )

    def _fetch(self) -> None:
        for jars in (artifacts.HADOOP_JARS, artifacts.KAFKA_JARS, artifacts.flink_jars(self.version)):
            artifacts.fetch(jars, self.layout.cache, self._say)
        artifacts.compile_jar("load", self._tools.kafka, self._tools.load_jar)
        artifacts.compile_jar("jobs", self._tools.flink, self._tools.jobs_jar)

    def _parts(self) -> list[Part]:
        return parts.all_parts(self.layout, self._tools, self._yarn, self.options)

    def _start(self, part: Part) -> None:
        if self._processes.get(part.name):
            return
        tools = self._tools
        if part.name == "kafka" and not (self.layout.data / "kafka" / "meta.properties").exists():
            command = parts.kafka_format(self.layout, tools)
            self._processes.run("kafka-format", command, parts.environment(tools, {}), START_PATIENCE_SECONDS)
        if part.after is not None:
            self._wait_for(part.after)
        self._processes.start(part.name, part.command, parts.environment(tools, part.environment))

    def _wait_for(self, part: Part) -> None:
        log = self._processes.log(part.name)
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not part.is_ready():
            ended = self._processes.get(part.name) is None
            if ended or time.monotonic() > deadline:
                what = "ended while it started" if ended else "did not come up"
                raise LabError(f"{part.title} {what}; the end of {log}:\n{last_lines(log)}")
            time.sleep(POLL_SECONDS)

    # --- jobs

    def submit_orders(self, *, name: str = "orders", conf: Conf | None = None, **arguments: Value) -> str:
        """Start the orders job as an application; return its id.

        `conf` goes into its flink-conf (None removes a key); `arguments` are the job's own: enrich_us=3000.
        """
        return self._submitter().application("orders", name, conf or {}, arguments)

    def submit_joined(self, *, name: str = "joined", conf: Conf | None = None, **arguments: Value) -> str:
        """Start the joined job as an application; return its id."""
        return self._submitter().application("joined", name, conf or {}, arguments)

    def start_session(self, *, name: str = "session", conf: Conf | None = None) -> str:
        """Start an empty session cluster; return its application id."""
        return self._submitter().session(name, conf or {})

    def submit_to_session(
        self, application_id: str, job: str = "payments", *, conf: Conf | None = None, **arguments: Value
    ) -> str:
        """Start a job (payments, numbers, or one of the others) in a session cluster; return the job id."""
        return self._submitter().into_session(application_id, job, conf or {}, arguments)

    def submit_all(self) -> list[str]:
        """Start the story's jobs that do not run yet, together, and wait until all of them run."""
        ids = {app.name: app.id for app in self._yarn.applications(*LIVE_STATES)}
        starters = {"orders": self.submit_orders, "joined": self.submit_joined, "session": self._full_session}
        missing = {name: start for name, start in starters.items() if name not in ids}
        with ThreadPoolExecutor(len(starters)) as pool:
            started = {name: pool.submit(start) for name, start in missing.items()}
            try:
                ids |= {name: each.result() for name, each in started.items()}
            except BaseException:
                # Leaving the pool waits for its threads, and these for their clients.
                self._end_submissions()
                raise
        for name in starters:
            self.wait_until_running(ids[name], jobs=len(SESSION_JOBS) if name == "session" else 1)
        return [ids[name] for name in starters]

    def _end_submissions(self) -> None:
        clients = [name for name in self._processes.running() if name.startswith(SUBMISSION)]
        self._processes.stop(*clients, at_once=True)

    def _full_session(self) -> str:
        session = self.start_session()
        with ThreadPoolExecutor(len(SESSION_JOBS)) as pool:
            list(pool.map(lambda job: self.submit_to_session(session, job), SESSION_JOBS))
        return session

    def _submitter(self) -> Submitter:
        self._fetch()  # the lab may have been started for another Flink version
        return Submitter(
            layout=self.layout,
            tools=self._tools,
            version=self.version,
            story=self.story,
            processes=self._processes,
        )

    def high_availability(self) -> dict[str, Value]:
        """Return the `conf` of an application whose job survives the end of its ApplicationMaster."""
        if not self.options.zookeeper:
            raise LabError("high availability needs a lab with ZooKeeper: Lab(zookeeper=True)")
        return configs.high_availability(self.layout)

    # --- what there is

    def applications(self, *states: str) -> list[Application]:
        """Return the YARN applications in these states; without one, all that are not over."""
        return self._yarn.applications(*(states or LIVE_STATES))

    def application(self, application_id: str) -> Application | None:
        return self._yarn.application(application_id)

    def active_master(self) -> int | None:
        """Return the master whose ResourceManager is active now."""
        return self._yarn.active_master()

    def tracking_url(self, application_id: str) -> str:
        """Return the address of an application's Flink REST, behind the proxy, without a final slash."""
        application = self.application(application_id)
        if application is None or not application.tracking_url:
            raise LabError(f"{application_id} has no tracking URL")
        return application.tracking_url.rstrip("/")

    def jobs(self, application_id: str) -> list[Job]:
        application = self.application(application_id)
        return jobs_of(application, self._rest) if application else []

    def wait_until_running(self, application_id: str, *, jobs: int = 1, patience: float = 90.0) -> list[Job]:
        """Wait until at least so many jobs have all their tasks running; return them."""
        deadline = time.monotonic() + patience
        found: list[Job] = []
        while time.monotonic() < deadline:
            found = self.jobs(application_id)
            if len(found) >= jobs and all(job.is_running for job in found):
                return found
            time.sleep(2 * POLL_SECONDS)
        instead = found or self.application(application_id)
        raise LabError(f"{application_id}: not running after {patience:.0f} s, but {instead}")

    def containers(self, application_id: str | None = None) -> list[Container]:
        """Return the running JobManagers and TaskManagers, of one application or of all."""
        found = containers.find(self.layout)
        return [each for each in found if application_id in (None, each.application)]

    def status(self) -> Status:
        """Return all that is to be said about the lab now."""
        applications = tuple(self.applications())
        running = [(name, process.pid) for name, process in self._processes.running().items()]
        urls = {parts.manager_name(master): url for master, url in enumerate(places.RESOURCE_MANAGER_URLS)}
        managers = [urls[name] for name, _ in running if name in urls]
        launched = [(f"{each.kind} {each.id}", each.process.pid) for each in self.containers()]
        return Status(
            addresses={"ResourceManager": ", ".join(managers), **ADDRESSES, "logs": str(self.layout.log)},
            rates=load.read_rates(self.layout.rates),
            applications=applications,
            jobs=tuple((app.id, job) for app in applications for job in jobs_of(app, self._rest)),
            processes=tuple(Memory.of(name, pid) for name, pid in running + launched),
        )

    # --- the load

    def set_rate(self, topic: str, rate: float) -> None:
        """Set the records per second of a topic; for `all`, of the orders, and the others in proportion."""
        self.set_rates(load.changed_rates(load.read_rates(self.layout.rates), self.story, topic, rate))

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Set the records per second of these topics; the others stay as they are."""
        if self._processes.get("load") is None:
            raise LabError("there is no lab to put load on; start it first (up)")
        load.write_rates(self.layout.rates, {**load.read_rates(self.layout.rates), **rates})

    def play(self, story: Story | None = None) -> None:
        """Play a story's phases; returns when the last one is over."""
        load.play(story or self.story, self.set_rates, time.sleep, self._say)

    # --- faults

    def kill_application(self, application_id: str) -> None:
        """End an application as `yarn application -kill` does."""
        self._yarn.kill(application_id)

    def kill_jobmanager(self, application_id: str) -> int:
        """End the ApplicationMaster's JVM with SIGKILL; return its pid."""
        return self._kill_container(application_id, "jobmanager")

    def kill_taskmanager(self, application_id: str) -> int:
        """End the JVM of one TaskManager with SIGKILL; return its pid."""
        return self._kill_container(application_id, "taskmanager")

    def _kill_container(self, application_id: str, kind: str) -> int:
        for container in self.containers(application_id):
            if container.kind == kind and container.process.signal(signal.SIGKILL):
                return container.process.pid
        raise LabError(f"{application_id} has no running {kind}")

    def stop_resource_manager(self, master: int = 0) -> None:
        self._processes.stop(parts.manager_name(master))

    def kill_resource_manager(self, master: int = 0) -> None:
        """End a ResourceManager with SIGKILL; with two masters the other one becomes active."""
        self._processes.stop(parts.manager_name(master), at_once=True)

    def start_resource_manager(self, master: int = 0) -> None:
        """Start a ResourceManager again; it recovers its applications, or is a standby if the other one is active."""
        self._restart(parts.resource_manager(self.layout, self._tools, self._yarn, master, self.options))

    def stop_proxy(self) -> None:
        self._processes.stop("proxy")

    def start_proxy(self) -> None:
        self._restart(parts.proxy(self.layout, self._tools))

    def kill_node_manager(self, node: int) -> None:
        """End a NodeManager with SIGKILL.

        Its containers live on, as on a real node, and the one started next does not know them; `down` ends them.
        """
        self._processes.stop(parts.node_name(node), at_once=True)

    def start_node_manager(self, node: int) -> None:
        self._restart(parts.node_manager(self.layout, self._tools, self._yarn, node))

    def _restart(self, part: Part) -> None:
        self._start(part)
        self._wait_for(part)

    def drain_node(self, node: int) -> None:
        """Begin to decommission a node gracefully: it keeps its containers and gets no new ones."""
        excluded = self._excluded_nodes() | {places.NODE_HOSTS[node]}
        self._exclude_nodes(excluded)

    def undrain_node(self, node: int) -> None:
        """Take a node back."""
        self._exclude_nodes(self._excluded_nodes() - {places.NODE_HOSTS[node]})

    def _excluded_nodes(self) -> set[str]:
        return set(self.layout.excluded_nodes.read_text(encoding="utf-8").split())

    def _exclude_nodes(self, hosts: set[str]) -> None:
        self.layout.excluded_nodes.write_text("".join(f"{host}\n" for host in sorted(hosts)), encoding="utf-8")
        tools = self._tools
        command = parts.refresh_nodes(self.layout, tools, GRACE_SECONDS)
        self._processes.run("refresh-nodes", command, parts.environment(tools, {}), START_PATIENCE_SECONDS)
