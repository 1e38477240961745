"""YARN and the way through its proxy: who answers, who leads, what passes, and whose clock is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from autoscaler.cluster import PutAnswer, PutResult
from autoscaler.doctor.findings import Finding, error, fine, warning
from autoscaler.doctor.snapshot import ApplicationSeen, Fault, Job, Manager, Snapshot
from autoscaler.model import Millis
from autoscaler.options import GrammarError, parse_duration
from autoscaler.telemetry.sentences import counted, seconds

YARN = "YARN"
PROXY = "YARN proxy"
CLOCKS = "clocks"
SKEW_TOLERATED: Millis = 5_000  # times come in whole seconds, and an answer takes up to a few
SKEW_HARMFUL: Millis = 60_000  # a sample's distance: windows would be full, or old, by the clock alone
# Flink may say what it put together so long ago; the first key is 2.3's.
REFRESH_KEYS = ("rest.cache.execution-graph.timeout", "web.refresh-interval")
REFRESH_INTERVAL: Millis = 3_000

STARTING = ("redirect", "unavailable")  # what is said while an ApplicationMaster comes up
_START_YARN = (
    "start the ResourceManager (systemctl status hadoop-yarn-resourcemanager), or correct resource_managers in the "
    "settings"
)
_MENDS: Mapping[str, str] = {
    "warning-page": "the cluster is secured, and its proxy asks a person to confirm: run the autoscaler as the user "
    "who submits the jobs",
    "unauthorized": "the cluster wants to know who asks: give the autoscaler's user credentials it accepts",
    "redirect": "the ApplicationMaster is starting or ended; look at it in YARN if this lasts",
    "timeout": "look at the proxy (systemctl status hadoop-yarn-proxyserver) and at the application's JobManager",
    "refused": "start the proxy: systemctl status hadoop-yarn-proxyserver; EMR's listens on port 20888",
    "unresolved": "make the host name in the application's trackingUrl resolve on this host",
}
_MEND = "look at the application's JobManager log"


def managers_answer(snapshot: Snapshot) -> Iterator[Finding]:
    """Every ResourceManager of the settings, and how it sees itself."""
    for manager in snapshot.managers:
        if manager.fault is None:
            yield fine(YARN, f"{manager.address} is {manager.state}", evidence="GET /ws/v1/cluster/info")
        else:
            others = any(other.state == "ACTIVE" for other in snapshot.managers)
            told = warning if others else error
            mend = _MENDS["unauthorized"] if manager.fault.kind == "unauthorized" else _START_YARN
            yield told(YARN, f"{manager.address} does not answer", evidence=manager.fault.message, mend=mend)


def one_leads(snapshot: Snapshot) -> Iterator[Finding]:
    """Of several ResourceManagers one is ACTIVE; the daemon beside it acts."""
    active = [manager for manager in snapshot.managers if manager.state == "ACTIVE"]
    standing_by = [manager for manager in snapshot.managers if manager.state == "STANDBY"]
    evidence = _states(snapshot.managers)
    if len(active) > 1:
        mend = "name in resource_managers only those of one cluster; if they are, look at ZooKeeper"
        yield error(YARN, "more than one ResourceManager is ACTIVE", evidence=evidence, mend=mend)
    if active or not standing_by:
        return
    if len(standing_by) == len(snapshot.managers) and (snapshot.emr is not None and snapshot.emr.several_masters):
        found = "this host stands by, another master's ResourceManager is ACTIVE: the daemon there acts"
        yield fine(YARN, found, evidence=evidence, mend="run `autoscaler doctor` there to see the jobs")
    else:
        mend = "name all ResourceManagers of the cluster in resource_managers, or run this beside the ACTIVE one"
        yield warning(YARN, "no ResourceManager of the settings is ACTIVE", evidence=evidence, mend=mend)


def applications_are_listed(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the list of applications could be read, and what is in it."""
    fault = snapshot.applications_fault
    if fault is not None:
        if any(manager.state == "ACTIVE" for manager in snapshot.managers):
            mend = "give the autoscaler's user the right to see applications (yarn.acl.enable, queue ACLs)"
            yield error(YARN, "the applications cannot be listed", evidence=fault.message, mend=mend)
    elif not snapshot.applications:
        mend = "submit one; if some run, look at `applications` in the settings: type, queues, users, names, tags"
        yield fine(YARN, "no application runs that the settings admit", evidence="GET /ws/v1/cluster/apps", mend=mend)
    else:
        jobs, wanted = len(snapshot.jobs), len(snapshot.wanted_jobs)
        running = f"{counted(len(snapshot.applications), 'Flink application')} with {counted(jobs, 'job')}"
        found = f"{running}, {wanted} enabled"
        yield fine(YARN, found, evidence="GET /ws/v1/cluster/apps")


def proxy_gets(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether each application's Flink answers a GET."""
    for application in snapshot.applications:
        if not application.has_address:
            found = "YARN knows no address of an ApplicationMaster yet"
            yield warning(application.label, found, evidence="no trackingUrl", mend=_MENDS["redirect"])
        elif application.fault is not None:
            found = "Flink cannot be read through the proxy"
            mend = _MENDS.get(application.fault.kind, _MEND)
            told = warning if application.fault.kind in STARTING else error
            yield told(application.label, found, evidence=application.fault.message, mend=mend)


def proxy_puts(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether a PUT passes the proxy: one for a job that does not exist, which Flink itself has to refuse."""
    reached = [a for a in snapshot.applications if a.put is not None and _is_flinks(a.put)]
    for application in snapshot.applications:
        if application.put is not None and application not in reached:
            yield _stopped(application, application.put)
    if reached and reached[0].put is not None:
        evidence = f"a PUT for a job that does not exist: {reached[0].put.message}"
        yield fine(PROXY, f"GET and PUT reach Flink in {counted(len(reached), 'application')}", evidence=evidence)


def _is_flinks(answer: PutAnswer) -> bool:
    return answer.result is PutResult.REJECTED and answer.status not in (401, 403)


def _stopped(application: ApplicationSeen, answer: PutAnswer) -> Finding:
    if answer.status in (401, 403):
        mend = "give the autoscaler's user the right to reach the proxy, or credentials it accepts"
        return error(application.label, "the proxy refuses a PUT", evidence=answer.message, mend=mend)
    if answer.result is PutResult.ACCEPTED:
        found = "a PUT for a job that does not exist was accepted: it is not Flink that answers"
        return error(application.label, found, evidence="status 200", mend="look at what answers at the trackingUrl")
    if answer.result is PutResult.NOT_SENT:
        found = "a PUT does not reach Flink: no rescale can be sent"
        mend = "let PUT pass what stands in front of the proxy; YARN's own passes GET and PUT"
        return error(application.label, found, evidence=answer.message, mend=mend)
    found = "a PUT was not answered as Flink does"
    return warning(application.label, found, evidence=answer.message, mend=_MEND)


def clocks_agree(snapshot: Snapshot) -> Iterator[Finding]:
    """How far the clocks of YARN and Flink are from ours; Flink's times and ours are compared all the time."""
    known = [m for m in snapshot.managers if m.ahead_ms is not None]
    skews = [(manager.address, manager.ahead_ms or 0) for manager in known]
    skews += [(job.label, skew) for job in snapshot.wanted_jobs if (skew := _ahead(job)) is not None]
    off = [(name, skew) for name, skew in skews if abs(skew) > SKEW_TOLERATED]
    for name, skew in off:
        told = error if abs(skew) > SKEW_HARMFUL else warning
        way = "ahead of" if skew > 0 else "behind"
        found = f"the clock of {name} is {seconds(abs(skew))} {way} this host's"
        evidence = "Date of its answer" if any(name == m.address for m in known) else "`now` in GET /jobs/:id"
        yield told(CLOCKS, found, evidence=evidence, mend="let chronyd or ntpd run on every host (timedatectl status)")
    if skews and not off:
        evidence = f"{len(skews)} compared, the farthest is {max(abs(skew) for _, skew in skews)} ms off"
        yield fine(CLOCKS, "all clocks agree", evidence=evidence)


def _ahead(job: Job) -> Millis | None:
    """Flink's clock against ours; what it says may be as old as the interval in which it renews it."""
    if job.rendered_at is None or job.read_at is None:
        return None
    ahead = job.rendered_at - job.read_at
    try:
        key = next((key for key in REFRESH_KEYS if key in job.config), None)
        refreshed = parse_duration(job.config[key]) if key is not None else REFRESH_INTERVAL
    except GrammarError:
        refreshed = REFRESH_INTERVAL
    return min(0, ahead + refreshed) if ahead < 0 else ahead


def _states(managers: tuple[Manager, ...]) -> str:
    return ", ".join(f"{m.address}: {m.state or _reason(m.fault)}" for m in managers)


def _reason(fault: Fault | None) -> str:
    return fault.kind or "refused" if fault is not None else "unknown"
