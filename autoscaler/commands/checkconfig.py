"""``check-config``: every effective value with its source, then what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from autoscaler.cluster import Application, ClusterError
from autoscaler.commands.output import print_json, print_table, say
from autoscaler.emrhost import emr_host
from autoscaler.flinkconf import parse_conf
from autoscaler.loop import VALIDATORS
from autoscaler.loop.contract import Objection, Terms, objections, terms_of
from autoscaler.model import JobKey, Millis, Reason
from autoscaler.options import (
    APACHE,
    Layer,
    Part,
    Problem,
    Resolved,
    Severity,
    check,
    layer_of,
    ownership,
    resolve,
)
from autoscaler.options.commands import command_layers, in_force
from autoscaler.options.rules import KnownJob, unmatched
from autoscaler.options.standalone import migrate
from autoscaler.service import Service
from autoscaler.settings import Settings
from autoscaler.store import StoreError, open_existing

ALL = "*"  # stands for the name of a job where an application as a whole is meant
SHIPPED = (
    "Flink ships the cluster's flink-conf with each submission: an edit on the cluster does not reach running jobs, "
    "but for options they were submitted without. A rule in the settings file does, and so does a command (`autoscaler "
    "set`)."
)

DEFAULTS = "Set `profile: apache` in the settings: what is not set then means what it did there, old names included."


def check_config(
    service: Service, settings: Settings, application: str | None, job: str | None, *, as_json: bool
) -> int:
    """Print what counts and what is wrong. Returns 1 if there are errors, 0 if there are only warnings."""
    conf = service.flink_conf.read()
    layers = [*service.flink_conf.layers(settings.profile)]
    on_emr_host = emr_host(settings.emr_info) is not None
    if application is None:
        standing = to_come(terms_of(layers, None, settings.profile, on_emr_host=on_emr_host), service)
    else:
        try:
            running = find_application(service.environment.yarn.applications(), application)
            layers += application_layers(service, settings, running, job)
            version = service.environment.connect(running).cluster_config(None).flink_version
        except (LookupError, ClusterError) as error:
            print(f"autoscaler: {error}", file=sys.stderr)
            return 1
        standing = who_acts(terms_of(layers, version, settings.profile, on_emr_host=on_emr_host), running.id)
    resolved = resolve(layers, settings.profile)
    told = (*settings.warnings, *conf.problems, *check(resolved, VALIDATORS), *standing, *unmatched_rules(service))
    found = tuple(dict.fromkeys(told))
    report(resolved, found, as_json=as_json)
    return 1 if any(problem.severity is Severity.ERROR for problem in found) else 0


def who_acts(terms: Terms, application_id: str) -> tuple[Problem, ...]:
    """What stands against scaling a running application's jobs from here, and what its owner should know of it."""
    against = objections(terms)
    found = [(_severity(objection), f"{objection.reason}: {objection.detail}") for objection in against]
    said = ownership(terms.config, terms.runtime, terms.sources)
    if said.part is Part.ACT and said.detail:
        found.append((Severity.WARNING, said.detail))
    return tuple(
        Problem(severity=severity, key="", value="", source=f"application {application_id}", message=message)
        for severity, message in found
    )


def to_come(terms: Terms, service: Service) -> tuple[Problem, ...]:
    """What the cluster's configuration means for jobs to come, on a host where EMR's scaler may take them."""
    said = ownership(terms.config, terms.runtime, terms.sources)
    if said.part is not Part.ADVISE:
        return ()
    source = str(service.flink_conf.file())
    message = f"{said.reason}: jobs submitted with this are only advised on. {said.detail}"
    return (Problem(severity=Severity.WARNING, key="", value="", source=source, message=message),)


def _severity(objection: Objection) -> Severity:
    """Two scalers are a mistake; a job nobody enabled is none, and what is held for other reasons is meant to run."""
    if objection.reason is Reason.TWO_SCALERS:
        return Severity.ERROR
    return Severity.INFO if objection.reason is Reason.NOT_ENABLED else Severity.WARNING


def unmatched_rules(service: Service) -> tuple[Problem, ...]:
    """Warnings about rules that match nothing of what runs now; while YARN does not answer that cannot be told."""
    if not service.rules.rules:
        return ()
    jobs: list[KnownJob] = []
    try:
        for application in service.environment.yarn.applications():
            if application.tracking_url is None:
                continue
            flink = service.environment.connect(application)
            for seen in flink.jobs():
                topology = flink.job(seen.id).topology
                jobs.append(KnownJob(application=application.name, job=seen.name, topology=topology))
    except ClusterError as error:
        print(f"autoscaler: whether every rule matches a job was not checked: {error}", file=sys.stderr)
        return ()
    return unmatched(service.rules.rules, jobs)


def application_layers(service: Service, settings: Settings, application: Application, job: str | None) -> list[Layer]:
    """The layers of a running application and, if named, of one of its jobs. Raises LookupError."""
    flink = service.environment.connect(application)
    layers = [layer_of(f"application {application.id}", flink.configuration(), submitted=True)]
    name, number = ALL, None
    if job is not None:
        found = [seen for seen in flink.jobs() if job in (seen.id, seen.name)]
        if len(found) != 1:
            raise LookupError(f"{len(found)} jobs called {job!r} in {application.id}; name one by its id")
        name, number = found[0].name, found[0].id
        parameters = flink.job_parameters(number)
        layers.append(layer_of(f"global parameters of job {name}", parameters, submitted=True))
    layers += service.rule_layers(application.name, name)
    identity = resolve(layers, settings.profile).chosen("yarn.id")
    called = identity.value if identity is not None else application.name
    key = JobKey(cluster=settings.cluster, application=called, job=name)
    return [*layers, *_operator_layers(settings, application.id, number, key, service.clock())]


def _operator_layers(
    settings: Settings, application_id: str, job_id: str | None, key: JobKey, now: Millis
) -> tuple[Layer, ...]:
    """What operators have set, if there is a store; a job that shares its name has the one the daemon gave it."""
    try:
        store = open_existing(settings.store.url)
    except StoreError as error:
        print(f"autoscaler: commands of operators were not looked for: {error}", file=sys.stderr)
        return ()
    with closing(store):
        same = (s.key for s in store.statuses() if s.application_id == application_id and s.job_id == job_id)
        known = next(same, key) if job_id is not None else key
        return command_layers(in_force(store.commands(key.cluster, now), known, now))


def find_application(running: Sequence[Application], wanted: str) -> Application:
    """The running application of an id or a name. Raises LookupError."""
    found = [a for a in running if wanted in (a.id, a.name) and a.tracking_url]
    if len(found) != 1:
        names = ", ".join(f"{a.id} ({a.name})" for a in running) or "none"
        raise LookupError(f"{len(found)} running applications called {wanted!r}; running are: {names}")
    return found[0]


def check_standalone(file: Path, profile: str, *, as_json: bool) -> int:
    """Say what each key of Apache Flink's standalone autoscaler's configuration means here."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        print(f"autoscaler: {file}: cannot be read: {error}", file=sys.stderr)
        return 2
    conf = parse_conf(text, file)
    found = tuple(dict.fromkeys((*conf.problems, *migrate(conf.entries, VALIDATORS))))
    note = "" if profile == APACHE else DEFAULTS
    if as_json:
        print_json({"problems": found, "note": note})
    else:
        for problem in found:
            say(str(problem))
        say(note)
    return 1 if any(problem.severity is Severity.ERROR for problem in found) else 0


def report(resolved: Resolved, found: Sequence[Problem], *, as_json: bool) -> None:
    settings = [s for s in resolved.settings.values() if s.key is not None]
    if as_json:
        values = [
            {
                "key": s.name,
                "value": s.value,
                "source": s.source,
                "shadows": [f"{b.value} ({b.source})" for b in s.shadows],
            }
            for s in settings
        ]
        print_json({"values": values, "problems": found, "note": SHIPPED})
        return
    rows = [(s.name, s.value, s.source, ", ".join(f"{b.value} ({b.source})" for b in s.shadows)) for s in settings]
    print_table(("key", "value", "source", "shadows"), rows)
    print()
    for problem in found:
        say(str(problem))
    if not found:
        print("no problems found")
    print(SHIPPED)
