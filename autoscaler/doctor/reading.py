"""Reading a cluster for the checks: everything once, applications side by side, what fails noted where it failed.

Nothing is changed by it: the one PUT per application names a job that does not exist and holds no requirements.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from autoscaler.cluster import (
    Application,
    ApplicationFilter,
    ClusterError,
    FlinkRest,
    HttpClient,
    JobOverview,
    ResourceManagers,
    Transient,
    Unauthorized,
)
from autoscaler.doctor.snapshot import ApplicationSeen, Fault, Job, Manager, Snapshot, StoreSeen
from autoscaler.emrhost import EmrHost, emr_host
from autoscaler.flinkconf import FlinkConf
from autoscaler.loop.contract import contract, objections, terms_of
from autoscaler.loop.job import ENDED
from autoscaler.model import Command, JobKey, Millis
from autoscaler.options import Layer, layer_of, resolve
from autoscaler.options.commands import command_layers, in_force
from autoscaler.options.rules import Rules, job_layers
from autoscaler.service import proof
from autoscaler.settings import Settings
from autoscaler.store import StoreError, check_usable, file_of, is_there, open_to_command, shown_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What reading needs. ``commands`` are those in force for the cluster, ``below`` the layers under a job's own."""

    http: HttpClient
    settings: Settings
    rules: Rules
    clock: Callable[[], Millis]
    emr: EmrHost | None
    below: Sequence[Layer]
    commands: tuple[Command, ...] = ()


def read(settings: Settings, rules: Rules, clock: Callable[[], Millis]) -> Snapshot:
    """Read everything there is to check. Takes as long as the slowest application, at most a few time-outs."""
    conf = FlinkConf(settings.flink_conf)
    found = conf.read()
    store, commands = _store(settings, clock())
    with HttpClient(
        workers=settings.workers + 1,
        timeout_s=settings.request_timeout / 1000,
        verify=settings.trusted,
        spnego=proof(settings),
    ) as http:
        managers = ResourceManagers(http, settings.resource_managers)
        reader = Reader(
            http=http,
            settings=settings,
            rules=rules,
            clock=clock,
            emr=emr_host(settings.emr_info),
            below=conf.layers(settings.profile),
            commands=commands,
        )
        seen = tuple(_manager(managers, address, clock) for address in managers.addresses)
        applications, fault = _applications(reader, managers)
    return Snapshot(
        now=clock(),
        acts=settings.mode == "act",
        managers=seen,
        store=store,
        emr=reader.emr,
        flink_conf=str(settings.flink_conf) if settings.flink_conf is not None else None,
        flink_conf_exists=bool(found.entries or found.problems or conf.file() is not None),
        flink_conf_problems=found.problems,
        applications=applications,
        applications_fault=fault,
    )


def _fault(error: ClusterError) -> Fault:
    if isinstance(error, Unauthorized):
        return Fault(kind="unauthorized", message=str(error))
    return Fault(kind=error.kind if isinstance(error, Transient) else "", message=str(error))


# ------------------------------------------------------------------ YARN


def _manager(managers: ResourceManagers, address: str, clock: Callable[[], Millis]) -> Manager:
    try:
        state = managers.ha_state(address)
        asked = clock()
        date = managers.date(address)
        midway = (asked + clock()) // 2
    except ClusterError as error:
        return Manager(address=address, fault=_fault(error))
    # the date is cut to whole seconds: half a second more is nearest to what it was
    return Manager(address=address, state=state, ahead_ms=None if date is None else date + 500 - midway)


def _applications(reader: Reader, managers: ResourceManagers) -> tuple[tuple[ApplicationSeen, ...], Fault | None]:
    wanted = reader.settings.applications
    admitted = ApplicationFilter(
        application_type=wanted.type,
        queues=wanted.queues,
        users=wanted.users,
        names=wanted.names,
        tags=wanted.tags,
    )
    try:
        running = managers.applications(admitted)
    except ClusterError as error:
        return (), _fault(error)
    with ThreadPoolExecutor(reader.settings.workers) as pool:
        seen = tuple(pool.map(lambda application: _application(reader, application), running))
    return tuple(sorted(seen, key=lambda application: application.label)), None


# ------------------------------------------------------------------ Flink


def _application(reader: Reader, application: Application) -> ApplicationSeen:
    seen = ApplicationSeen(
        id=application.id,
        name=application.name,
        user=application.user,
        has_address=application.tracking_url is not None,
    )
    if application.tracking_url is None:
        return seen
    flink = FlinkRest(reader.http, application.id, application.tracking_url)
    try:
        version = flink.flink_version()
        submitted = layer_of(f"application {application.id}", flink.configuration(), submitted=True)
        listed = [job for job in flink.jobs() if job.state not in ENDED]
    except ClusterError as error:
        return replace(seen, fault=_fault(error))
    put = flink.put_requirements(uuid4().hex, {})
    jobs = tuple(_job(reader, flink, application, job, version, submitted) for job in listed)
    return replace(seen, flink_version=version, put=put, jobs=jobs)


def _job(
    reader: Reader, flink: FlinkRest, application: Application, job: JobOverview, version: str, submitted: Layer
) -> Job:
    layers = [*reader.below, submitted]
    fault: Fault | None = None
    try:
        parameters = flink.job_parameters(job.id)
        layers.append(layer_of(f"global parameters of job {job.name}", parameters, submitted=True))
    except ClusterError as error:
        fault = _fault(error)
    layers += job_layers(reader.rules.rules, application.name, job.name)
    profile = reader.settings.profile
    identity = resolve(layers, profile).chosen("yarn.id")
    called = identity.value if identity is not None else application.name
    key = JobKey(cluster=reader.settings.cluster, application=called, job=job.name)
    layers += command_layers(in_force(reader.commands, key, reader.clock()))
    terms = terms_of(layers, version, profile, on_emr_host=reader.emr is not None)
    seen = Job(
        id=job.id,
        name=job.name,
        application=application.name,
        flink_version=version,
        contract=contract(layers, version, profile, on_emr_host=reader.emr is not None),
        objections=objections(terms),
        config=terms.config,
        fault=fault,
    )
    return seen if fault is not None or not seen.is_wanted else _details(flink, seen, reader.clock)


def _details(flink: FlinkRest, seen: Job, clock: Callable[[], Millis]) -> Job:
    """The same job with all that is read of jobs that are meant to be scaled."""
    try:
        details = flink.job(seen.id)
        seen = replace(seen, kind=details.kind)
        if details.kind == "BATCH":
            return seen
        return replace(
            seen,
            topology=details.topology,
            rendered_at=details.now or None,
            read_at=clock(),
            checkpoints=flink.checkpoints(seen.id),
            checkpointing=flink.checkpoint_settings(seen.id),
            restart_strategy=flink.restart_strategy(seen.id),
        )
    except ClusterError as error:
        return replace(seen, fault=_fault(error))


# ------------------------------------------------------------------ the store


def _store(settings: Settings, now: Millis) -> tuple[StoreSeen, tuple[Command, ...]]:
    """The store as whoever asks may use it, and what operators have set."""
    url, limit = settings.store.url, settings.store.max_size
    seen = StoreSeen(place="store.url", user=os.geteuid(), max_size_bytes=limit)
    try:
        file = file_of(url)
        seen = replace(seen, place=shown_url(url))
        if file is not None:
            seen = _on_disk(file, seen)
            check_usable(file)
            if not file.exists():
                return replace(seen, missing=True), ()
        with closing(open_to_command(url, limit)) as store:
            newest = max((status.at for status in store.statuses()), default=None)
            return replace(seen, newest_status_at=newest), store.commands(settings.cluster, now)
    except StoreError as error:
        return replace(seen, problem=str(error)), ()


def _on_disk(file: Path, seen: StoreSeen) -> StoreSeen:
    """The same with what the file system says of the file, or of where it will be."""
    there = next(path for path in (file, *file.parents) if is_there(path))
    return replace(
        seen,
        size_bytes=file.stat().st_size if file.is_file() else None,
        free_bytes=shutil.disk_usage(there).free,
        owner=there.stat().st_uid if there in (file, file.parent) else None,
    )
