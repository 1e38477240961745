"""This host and what the daemon needs on it: EMR's release, the cluster's configuration, the store and its disk."""

from __future__ import annotations

import re
from collections.abc import Iterator

from autoscaler.doctor.findings import Finding, error, fine, warning
from autoscaler.doctor.snapshot import Snapshot
from autoscaler.model import Millis
from autoscaler.options import Severity
from autoscaler.telemetry.sentences import seconds

HOST, STORE, SETTINGS = "host", "store", "settings"
SILENT_AFTER: Millis = 300_000  # a daemon writes each job's status with every pass
LEAST_FREE_BYTES = 256 * 1024**2

# Which EMR release ships which build of Flink, beginning with its first: the build's number counts releases.
RELEASES = {"1.18.0": ("emr-7", 0), "1.18.1": ("emr-7", 1), "1.19.1": ("emr-7", 4), "1.20.0": ("emr-7", 6)}


def emr_release(version: str | None) -> str | None:
    """The EMR release that ships a build of Flink, for example ``emr-7.8`` for 1.20.0-amzn-2; ``None`` if unknown."""
    found = re.fullmatch(r"([\d.]+)-amzn-(\d+)", version or "")
    if found is None or found[1] not in RELEASES:
        return None
    line, first = RELEASES[found[1]]
    return f"{line}.{first + int(found[2])}"


def emr_is_known(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether this is an EMR host, and which release its Flink is from."""
    host = snapshot.emr
    if host is None:
        return
    versions = sorted({a.flink_version for a in snapshot.applications if a.flink_version})
    builds = ", ".join(f"{version} ({_build(version)})" for version in versions)
    found = f"an EMR host{f' of cluster {host.cluster_id}' if host.cluster_id else ''}; Flink: {builds or 'not seen'}"
    yield fine(HOST, found, evidence=host.file)
    if host.master is False:
        mend = "run the autoscaler on a master"
        yield warning(HOST, "this is not a master node", evidence=host.file, mend=mend)


def _build(version: str) -> str:
    unknown = "of an EMR release not known here" if "-amzn-" in version else "not a build of EMR"
    return emr_release(version) or unknown


def mode_is_act(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the daemon may act at all."""
    if snapshot.acts:
        yield fine(SETTINGS, "the daemon rescales jobs", evidence="mode: act")
    else:
        mend = "set `mode: act` when you trust what `autoscaler plan` says"
        yield fine(SETTINGS, "the daemon only advises", evidence="mode: advise", mend=mend)


def flink_conf_is_read(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the cluster's Flink configuration can be read."""
    place = snapshot.flink_conf
    if place is not None and not snapshot.flink_conf_exists:
        mend = "install Flink, or set flink_conf to where its configuration is, or to null if there is none"
        yield warning(SETTINGS, "there is no Flink configuration", evidence=place, mend=mend)
    for problem in snapshot.flink_conf_problems:
        if problem.severity is not Severity.INFO:
            told = error if problem.severity is Severity.ERROR else warning
            mend = "see `autoscaler check-config`"
            yield told(SETTINGS, problem.message, evidence=problem.source, mend=mend)


def store_can_be_used(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the store is there and can be read and written."""
    store = snapshot.store
    if store.missing:
        mend = "start the daemon, which creates it (`autoscaler run`)"
        yield warning(STORE, "there is no store yet", evidence=store.place, mend=mend)
    elif store.problem is not None:
        mend = "see the message; while the store cannot be used nothing is sent"
        yield error(STORE, "the store cannot be used", evidence=store.problem, mend=mend)
    else:
        yield fine(STORE, "the store can be read", evidence=store.place)


def store_belongs_to_us(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether who asks is who the store belongs to: rights are looked at with the eyes of this process."""
    store = snapshot.store
    if store.owner is not None and store.owner != store.user:
        evidence = f"{store.place} belongs to uid {store.owner}, this is uid {store.user}"
        mend = f"run this as the daemon's user, for example with sudo -u '#{store.owner}'"
        yield fine(STORE, "rights were checked as another user than the store's", evidence=evidence, mend=mend)


def disk_has_room(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether the store can grow to the size it may have."""
    store = snapshot.store
    if store.free_bytes is None:
        return
    missing = max(0, store.max_size_bytes - (store.size_bytes or 0))
    evidence = f"{_size(store.free_bytes)} free, {_size(store.size_bytes or 0)} of store.max_size "
    evidence += f"{_size(store.max_size_bytes)} used"
    if store.free_bytes < LEAST_FREE_BYTES:
        mend = "free some; while the intent cannot be stored nothing is sent"
        yield error(STORE, "the disk is nearly full", evidence=evidence, mend=mend)
    elif store.free_bytes < missing:
        mend = "free some, or lower store.max_size"
        yield warning(STORE, "the disk is full before the store is", evidence=evidence, mend=mend)
    else:
        yield fine(STORE, "the disk has room", evidence=evidence)


def daemon_is_at_work(snapshot: Snapshot) -> Iterator[Finding]:
    """Whether a daemon wrote lately; with nothing to look at it writes nothing."""
    newest = snapshot.store.newest_status_at
    if not snapshot.wanted_jobs or snapshot.store.problem is not None or snapshot.store.missing:
        return
    if newest is None or snapshot.now - newest > SILENT_AFTER:
        evidence = (
            "no status is stored" if newest is None else f"the newest status is {seconds(snapshot.now - newest)} old"
        )
        mend = "start it: systemctl status autoscaler, or `autoscaler run`"
        yield warning(STORE, "no daemon seems to be at work", evidence=evidence, mend=mend)
    else:
        yield fine(STORE, "a daemon is at work", evidence=f"the newest status is {seconds(snapshot.now - newest)} old")


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"
