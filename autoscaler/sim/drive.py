"""One run: the daemon's own loop, store and decisions on a simulated cluster, in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from autoscaler.cluster import Application, FlinkRest, Own, ResourceManagers
from autoscaler.loop import Environment, Fleet, Leadership, Orders, Wire, lease_time
from autoscaler.model import JobKey, Lease, Millis, RequestState
from autoscaler.options import APACHE, EMR, OptionError, policy, profile_layer
from autoscaler.sim.cluster import SimCluster
from autoscaler.sim.edge import DirectHttp, Edge
from autoscaler.sim.outside import Outside
from autoscaler.sim.policies import Policy
from autoscaler.sim.record import Record, Recorder
from autoscaler.sim.scenario import Scenario, ScenarioError
from autoscaler.sim.scores import Scores, score
from autoscaler.sim.virtual import VirtualTime
from autoscaler.store import Store, open_store
from autoscaler.telemetry import Counters, Journal

BEGAN: Millis = 1_767_571_200_000  # Monday 2026-01-05, 00:00 UTC
DISCOVERY_INTERVAL: Millis = 60_000
STORE_BYTES = 1 << 30
RM = "http://rm:8088"
CLUSTER = "simulated"

Progress = Callable[[float], None]
"""Told now and then which share of a run is done."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One request of the daemon: when it was sent, why, and the state it was in at the end."""

    at: Millis
    text: str
    state: RequestState


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of one run: its scores, what happened, and why each request was made, latest first."""

    policy: str
    seed: int
    scores: Scores
    record: Record
    requests: Sequence[Reason]
    topology: Sequence[str]


class Managers(ResourceManagers):
    """The ResourceManager behind the simulated edge; every application is wanted."""

    def admits(self, application: Application) -> bool:
        return True


class OpenLease:
    """A lease that keeps nobody out: the only daemon need not ask the store for it, and of two both have it."""

    def hold_lease(self, cluster: str, holder: str, duration: Millis, now: Millis) -> Lease:
        return Lease(holder=holder, token=1, expires_at=now + duration)

    def release_lease(self, cluster: str, holder: str, now: Millis) -> Lease | None:
        return None


def simulate(
    scenario: Scenario, policy: Policy, seed: int, progress: Progress = lambda _: None, *, hours: float | None = None
) -> Run:
    """Run a scenario once. Raises ScenarioError and PolicyError."""
    scenario = scenario if hours is None else scenario.model_copy(update={"hours": hours})
    limit = checked_settings(scenario.settings)
    cluster = SimCluster(scenario, seed, BEGAN, at_peak=policy.at_peak)
    recorder = Recorder(cluster, lambda _: limit)
    edge = Edge(cluster, scenario.settings)
    edge.puts.append(recorder.asked)
    time = VirtualTime(BEGAN, cluster.advance)
    end = BEGAN + round(scenario.hours * 3_600_000)
    with closing(open_store("sqlite://", STORE_BYTES, BEGAN).store) as store:
        if policy.profile is not None:
            fleet_on(edge, time, store, policy.profile).start(BEGAN)
        outside = None if policy.command is None else Outside(policy.command, edge, time, scenario.settings)
        try:
            for step in range(100):
                time.run(BEGAN + (end - BEGAN) * (step + 1) // 100)
                progress((step + 1) / 100)
        finally:
            if outside is not None:
                outside.close()
        keys = [
            JobKey(cluster=CLUSTER, application=f"{scenario.job.name}-app", job=each.name) for each in scenario.jobs
        ]
        found = [request for key in keys for request in store.requests(key, 10_000)]
        requests = [Reason(r.sent_at or r.decided_at, r.reason, r.state) for r in found]
        requests.sort(key=lambda request: request.at, reverse=True)
    record = recorder.finish(edge.calls)
    return Run(
        policy=policy.name,
        seed=seed,
        scores=score(record, scenario, BEGAN),
        record=record,
        requests=requests,
        topology=[
            f"{job.name}: {vertex.name}" if scenario.is_session else vertex.name
            for job in scenario.jobs
            for vertex in job.vertices
        ],
    )


def fleet_on(
    edge: Edge, time: VirtualTime, store: Store, profile: str, discovery_interval: Millis = DISCOVERY_INTERVAL
) -> Fleet:
    """The daemon's loop on a simulated edge; everything in it is what the daemon runs, which has no rival here."""
    http = DirectHttp(edge)
    managers, journal = Managers(http, [RM]), Journal()
    environment = Environment(
        yarn=managers,
        connect=lambda application: FlinkRest(http, application.id, application.tracking_url or ""),
        memory=store,
        scheduler=time,
        clock=time.clock,
        journal=journal,
        counters=Counters(),
        wire=Wire(),
        leadership=Leadership(
            holder="simulated",
            cluster=CLUSTER,
            own=Own,
            managers=managers,
            leases=OpenLease(),
            lease_time=lambda: lease_time(discovery_interval),
            clock=time.clock,
            uptime=time.clock,
            journal=journal,
        ),
    )
    orders = Orders(
        cluster=CLUSTER,
        act=True,
        profile=profile,
        below=lambda: (profile_layer(profile),),
        above=lambda _application, _job: (),
        spread=False,
    )
    return Fleet(environment, orders, discovery_interval)


def checked_settings(settings: Mapping[str, str]) -> int:
    """The largest parallelism settings allow a vertex. Raises ScenarioError if one of them cannot be used."""
    try:
        return min(policy(dict(settings), profile).max_parallelism for profile in (EMR, APACHE))
    except OptionError as error:
        raise ScenarioError(f"settings: {error}") from error
