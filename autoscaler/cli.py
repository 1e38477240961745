"""The command. Data goes to stdout, all else to stderr; the exit status is 0, 1 for a finding, 2 for bad input.

``doctor`` says 2 for an error it found, too.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import pwd
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path
from typing import TypeAlias

import autoscaler
from autoscaler import service
from autoscaler.commands.checkconfig import check_config, check_standalone
from autoscaler.commands.decide import decide_file
from autoscaler.commands.doctor import examine
from autoscaler.commands.oneshot import PATIENCE_S, NothingRemembered, plan_once, run_once
from autoscaler.commands.operator import (
    SCALING,
    Operator,
    Terms,
    pin,
    set_option,
    show_commands,
    unpin,
    unset_option,
)
from autoscaler.commands.options import show_options
from autoscaler.commands.replay import Replayed, replay_command
from autoscaler.commands.show import show_history, show_status
from autoscaler.commands.simulate import Wanted, serve_command, simulate_command
from autoscaler.options import EMR, PROFILES
from autoscaler.options.commands import EVERY_JOB, CommandError
from autoscaler.settings import Settings, SettingsError, load_settings
from autoscaler.store import Store, StoreError, open_existing, open_to_command
from autoscaler.systemd import service_manager
from autoscaler.telemetry import configure_logging
from autoscaler.web import PortBusy

BAD_INPUT = 2
INTERRUPTED = 130  # as a shell says of a command that Ctrl-C ended
UNWRITTEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)  # what becomes of output on a full or broken disk


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        status = int(options.command(options))
        print(end="", flush=True)  # whether all could be written is known only now
        return status
    except (SettingsError, PortBusy, CommandError) as error:
        _complain(error)
        return BAD_INPUT
    except StoreError as error:
        _complain(error)
        return 1
    except BrokenPipeError:
        # the reader of our output went away; Python would complain once more while it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in UNWRITTEN:
            raise
        print(f"autoscaler: the output could not be written: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _complain(error: Exception) -> None:
    print(f"autoscaler: {error}", file=sys.stderr)
    # on EMR what a service prints is in a file; `systemctl status` keeps this
    service_manager(os.environ).ailing(str(error).partition("\n")[0])


def entry() -> None:
    """The console script.

    Reads that hang in a worker end by their own time-out, which an exit must not wait for: nothing they could still
    do would be stored.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names hold characters that not every terminal has
    status = main()
    for stream in filter(None, (sys.stdout, sys.stderr)):  # closed ones are None
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autoscaler", description="Autoscaler for Apache Flink jobs on YARN and Amazon EMR."
    )
    parser.add_argument("--version", action="version", version=f"autoscaler {autoscaler.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "run", _run, "run the daemon until it is told to stop")
    once = _command(commands, "once", _once, "one pass over all jobs, which acts")
    plan = _command(commands, "plan", _plan, "one pass over all jobs, which acts on nothing: each job's decision")
    for each in (once, plan):
        each.add_argument(
            "--patience", type=float, default=PATIENCE_S, metavar="S", help="seconds to wait for all answers (120)"
        )
    status = _command(commands, "status", _status, "what the daemon last knew of each job")
    history = _command(commands, "history", _history, "a job's past decisions and rescales")
    history.add_argument("job", metavar="JOB", help="a job's name, its application's, or both as application/job")
    history.add_argument("--limit", type=_a_count, default=20, help="how many of each, newest first (20)")
    check = _command(commands, "check-config", _check_config, "check settings and flink-conf; 1 if there are errors")
    subject = check.add_mutually_exclusive_group()
    subject.add_argument(
        "--application", metavar="A", help="a running application's id or name: check what it asks for"
    )
    check.add_argument("--job", metavar="J", help="one job of it")
    subject.add_argument(
        "--from-standalone",
        type=Path,
        metavar="FILE",
        help="a configuration of Apache Flink's standalone autoscaler: say what each of its keys means here",
    )
    text = "check cluster, host, store and jobs: 0 if all is well, 1 for warnings, 2 for errors; changes nothing"
    doctor = _command(commands, "doctor", _doctor, text)
    listed = _add_operator_commands(commands)
    _add_pure_commands(commands)
    for each in (once, plan, status, history, check, doctor, listed):
        each.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_operator_commands(commands: Commands) -> argparse.ArgumentParser:
    """Commands that tell a daemon through its store what an operator wants of jobs."""
    option = "an option, with or without job.autoscaler."
    setting = _command(commands, "set", _set, "set an option of a running job, over its own configuration and rules")
    pause = _command(commands, "pause", _pause, "scale a job no more: set its scaling.enabled to false")
    unset = _command(commands, "unset", _unset, "take back what `set`, `pause` or `pin` did; 1 if nothing is set")
    text = "take back what `pause` did, 1 if it is not paused; for a while, scale it although it is paused by a pattern"
    resume = _command(commands, "resume", _resume, text)
    pinning = _command(commands, "pin", _pin, "bring vertices of a job to a parallelism once, and leave the job there")
    unpin = _command(commands, "unpin", _unpin, "take back what `pin` did; 1 if it is not pinned")
    for each in (setting, unset, pause, resume, pinning, unpin):
        optional = each in (pause, resume)
        each.add_argument(
            "job",
            metavar="JOB",
            nargs="?" if optional else None,
            help="a job's name, its application's, or both as application/job; application/* for all jobs, also "
            "those to come, of applications whose name fits a shell pattern",
        )
        if optional:
            each.add_argument("--all", action="store_true", help="every job of the cluster, also those to come")
    setting.add_argument("key", metavar="KEY", help=option)
    setting.add_argument("value", metavar="VALUE", help="its value, as in flink-conf")
    unset.add_argument("key", nargs="?", metavar="KEY", help=f"{option}; all that are set if left out")
    pinning.add_argument("vertices", nargs="+", metavar="VERTEX=N", help="a vertex by the name `status` shows")
    for each in (setting, pause, resume, pinning):
        each.add_argument(
            "--for", dest="duration", metavar="DURATION", help="how long, such as 30 min or 2 h (for good)"
        )
        each.add_argument("--why", default="", metavar="TEXT", help="shown wherever the command is")
    return _command(commands, "commands", _commands, "what operators have set that is in force")


def _add_pure_commands(commands: Commands) -> None:
    """Commands that need neither settings nor a cluster."""
    text = "answer decision cases: JSON in, one JSON answer per line out; 1 if one of them cannot be answered"
    decide = commands.add_parser("decide", help=text, description=text)
    decide.set_defaults(command=_decide)
    decide.add_argument("file", metavar="FILE", help="a case, or one per line, gzipped or not; - for stdin")
    decide.add_argument(
        "--extras", choices=("on", "off"), help="with or without what goes beyond the reference (by profile)"
    )
    _add_simulate(commands)
    text = "the job.autoscaler.* keys with their defaults, or all there is to say of one"
    listed = commands.add_parser("options", help=text, description=text)
    listed.set_defaults(command=_options)
    listed.add_argument("key", nargs="?", metavar="KEY", help="one key, with or without job.autoscaler.")
    listed.add_argument("--profile", choices=PROFILES, default=EMR, help="whose defaults (emr)")
    listed.add_argument("--json", action="store_true", help="print JSON")


def _add_simulate(commands: Commands) -> None:
    text = "run scenarios on a simulated cluster in virtual time and print how well the load was followed"
    parser = commands.add_parser("simulate", help=text, description=text)
    parser.set_defaults(command=_simulate)
    parser.add_argument("scenario", nargs="*", metavar="SCENARIO", help="a shipped scenario's name, a file, or: all")
    parser.add_argument("--days", type=float, metavar="N", help="how long (as the scenario says)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="of chance in load and cluster (1)")
    parser.add_argument(
        "--seeds", type=_a_count, metavar="N", help="so many seeds from --seed on (1; 5 with --compare)"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the job, over the scenario's"
    )
    who = parser.add_mutually_exclusive_group()
    policies = "ours, reference, none, static-peak, or exec:COMMAND, which answers decision cases line by line"
    who.add_argument("--policy", default="ours", metavar="P", help=f"who decides: {policies} (ours)")
    who.add_argument("--compare", metavar="P,P,...", help="several policies side by side on the same seeds")
    who.add_argument("--serve", type=int, metavar="PORT", help="serve YARN and Flink over HTTP for whoever decides")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="with --serve: times the clock (1)")
    replayed = "decide anew what the SQLite file of a daemon recorded; 1 if any decision differs"
    parser.add_argument("--replay", type=Path, metavar="STORE", help=replayed)
    through = "with --replay: play it to the whole loop over simulated REST answers, not to the decisions alone"
    parser.add_argument("--over-rest", action="store_true", help=through)
    parser.add_argument("--job", metavar="JOB", help="with --replay: whose decisions, if the store holds several jobs")
    parser.add_argument("--report", type=Path, metavar="DIR", help="write a page with the curves into a folder")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _a_count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a number of 1 or more is needed")
    return int(text)


def _command(
    commands: Commands, name: str, action: Callable[[argparse.Namespace, Settings], int], text: str
) -> argparse.ArgumentParser:
    """Add a command that reads the settings."""
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=lambda options: action(options, load_settings(options.config)))
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings file (AUTOSCALER_CONFIG, else /etc/autoscaler/autoscaler.yaml)",
    )
    return parser


def _run(options: argparse.Namespace, settings: Settings) -> int:
    return service.run(settings, options.config)


def _once(options: argparse.Namespace, settings: Settings) -> int:
    return run_once(settings, options.patience, as_json=options.json)


def _plan(options: argparse.Namespace, settings: Settings) -> int:
    return plan_once(settings, options.patience, as_json=options.json)


def _status(options: argparse.Namespace, settings: Settings) -> int:
    store = open_existing(settings.store.url)
    return show_status(store, as_json=options.json, now=service.system_clock())


def _history(options: argparse.Namespace, settings: Settings) -> int:
    store = open_existing(settings.store.url)
    return show_history(store, options.job, options.limit, as_json=options.json)


def _check_config(options: argparse.Namespace, settings: Settings) -> int:
    if options.job is not None and options.application is None:
        print("autoscaler: --job names a job of an application: give --application too", file=sys.stderr)
        return BAD_INPUT
    if options.from_standalone is not None:
        return check_standalone(options.from_standalone, settings.profile, as_json=options.json)
    configure_logging(settings.log.format, "error")
    looking = service.Service(settings, NothingRemembered(None), act=False)
    return check_config(looking, settings, options.application, options.job, as_json=options.json)


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    configure_logging(settings.log.format, "error")
    return examine(settings, as_json=options.json)


def _operator(settings: Settings) -> Operator:
    # Under sudo the one who asked for it is worth more than root.
    user = os.environ.get("SUDO_USER") or _user_name(os.getuid())
    return Operator(cluster=settings.cluster, profile=settings.profile, user=user, now=service.system_clock())


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def _to_command(settings: Settings) -> AbstractContextManager[Store]:
    return closing(open_to_command(settings.store.url, settings.store.max_size))


def _terms(options: argparse.Namespace) -> Terms:
    return Terms(duration=options.duration, why=options.why)


def _jobs(options: argparse.Namespace) -> str:
    """The job named, or the pattern for all. Raises CommandError if it is neither or both."""
    if options.all == (options.job is not None):
        raise CommandError("name one JOB, or give --all for every job of the cluster")
    return EVERY_JOB if options.all else str(options.job)


def _set(options: argparse.Namespace, settings: Settings) -> int:
    with _to_command(settings) as store:
        wanted = (options.key, options.value)
        return set_option(store, _operator(settings), options.job, wanted, _terms(options))


def _pause(options: argparse.Namespace, settings: Settings) -> int:
    jobs = _jobs(options)
    with _to_command(settings) as store:
        return set_option(store, _operator(settings), jobs, (SCALING, "false"), _terms(options))


def _unset(options: argparse.Namespace, settings: Settings) -> int:
    with _to_command(settings) as store:
        return unset_option(store, _operator(settings), options.job, options.key)


def _resume(options: argparse.Namespace, settings: Settings) -> int:
    jobs, terms = _jobs(options), _terms(options)
    with _to_command(settings) as store:
        if terms != Terms():
            return set_option(store, _operator(settings), jobs, (SCALING, "true"), terms)
        return unset_option(store, _operator(settings), jobs, SCALING)


def _pin(options: argparse.Namespace, settings: Settings) -> int:
    with _to_command(settings) as store:
        return pin(store, _operator(settings), options.job, options.vertices, _terms(options))


def _unpin(options: argparse.Namespace, settings: Settings) -> int:
    with _to_command(settings) as store:
        return unpin(store, _operator(settings), options.job)


def _commands(options: argparse.Namespace, settings: Settings) -> int:
    with closing(open_existing(settings.store.url)) as store:
        return show_commands(store, _operator(settings), as_json=options.json)


def _decide(options: argparse.Namespace) -> int:
    extras = None if options.extras is None else options.extras == "on"
    return decide_file(options.file, extras=extras)


def _simulate(options: argparse.Namespace) -> int:
    if (options.replay is None) == (not options.scenario):
        raise CommandError("simulate: name either scenarios or a recording with --replay STORE")
    if options.replay is None and options.over_rest:
        raise CommandError("simulate: --over-rest plays a recording; name one with --replay STORE")
    if options.replay is None and options.job is not None:
        raise CommandError(f"simulate: --job {options.job}: only a recording, --replay STORE, has jobs to choose from")
    if options.replay is not None:
        of_scenarios = {name: getattr(options, name) for name in ("days", "seeds", "compare", "serve", "report")}
        given = [f"--{name}" for name, value in of_scenarios.items() if value is not None]
        if given:
            raise CommandError(f"simulate: {', '.join(given)} are for scenarios; leave them out with --replay")
        recording = Replayed(
            file=options.replay,
            job=options.job,
            decider=options.policy,
            settings=options.set,
            over_rest=options.over_rest,
        )
        return replay_command(recording, as_json=options.json)
    if options.serve is not None:
        return serve_command(
            options.scenario[0], options.serve, options.speed, options.seed, options.set, service.system_clock
        )
    wanted = Wanted(
        scenarios=options.scenario,
        days=options.days,
        first_seed=options.seed,
        seeds=options.seeds or (5 if options.compare else 1),
        settings=options.set,
        policies=options.compare.split(",") if options.compare else [options.policy],
        report=options.report,
        as_json=options.json,
    )
    return simulate_command(wanted)


def _options(options: argparse.Namespace) -> int:
    return show_options(options.key, options.profile, as_json=options.json)
