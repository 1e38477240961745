"""The command. Data goes to stdout, all else to stderr; the exit status is 0, 1 for a finding, 2 for bad input.

``doctor`` says 2 for an error it found, too.
"""

from __future__ import annotations

import argparse
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
from autoscaler.commands.operator import SCALING, Operator, set_option, show_commands, unset_option
from autoscaler.commands.options import show_options
from autoscaler.commands.show import show_history, show_status
from autoscaler.options import EMR, PROFILES
from autoscaler.settings import Settings, SettingsError, load_settings
from autoscaler.store import Store, StoreError, open_existing, open_to_command
from autoscaler.telemetry import configure_logging
from autoscaler.web import PortBusy

BAD_INPUT = 2
INTERRUPTED = 130  # as a shell says of a command that Ctrl-C ended


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options))
    except (SettingsError, PortBusy) as error:
        print(f"autoscaler: {error}", file=sys.stderr)
        return BAD_INPUT
    except StoreError as error:
        print(f"autoscaler: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # the reader of our output went away; Python would complain once more while it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED


def entry() -> None:
    """The console script.

    Reads that hang in a worker end by their own time-out, which an exit must not wait for: nothing they could still
    do would be stored.
    """
    status = main()
    for stream in (sys.stdout, sys.stderr):
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
    history.add_argument("--limit", type=int, default=20, help="how many of each, newest first (20)")
    check = _command(commands, "check-config", _check_config, "check settings and flink-conf; 1 if there are errors")
    check.add_argument("--application", metavar="A", help="a running application's id or name: check what it asks for")
    check.add_argument("--job", metavar="J", help="one job of it")
    check.add_argument(
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
    unset = _command(commands, "unset", _unset, "take back what `set` or `pause` did; 1 if nothing is set")
    resume = _command(commands, "resume", _resume, "take back what `pause` did; 1 if it is not paused")
    for each in (setting, unset, pause, resume):
        each.add_argument(
            "job",
            metavar="JOB",
            help="a job's name, its application's, or both as application/job; application/* for all jobs, also "
            "those to come, of applications whose name fits a shell pattern",
        )
    setting.add_argument("key", metavar="KEY", help=option)
    setting.add_argument("value", metavar="VALUE", help="its value, as in flink-conf")
    unset.add_argument("key", nargs="?", metavar="KEY", help=f"{option}; all that are set if left out")
    for each in (setting, pause):
        each.add_argument(
            "--for", dest="duration", metavar="DURATION", help="how long, such as 30 min or 2 h (for good)"
        )
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
    text = "the job.autoscaler.* keys with their defaults, or all there is to say of one"
    listed = commands.add_parser("options", help=text, description=text)
    listed.set_defaults(command=_options)
    listed.add_argument("key", nargs="?", metavar="KEY", help="one key, with or without job.autoscaler.")
    listed.add_argument("--profile", choices=PROFILES, default=EMR, help="whose defaults (emr)")
    listed.add_argument("--json", action="store_true", help="print JSON")


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
    if options.from_standalone is not None:
        return check_standalone(options.from_standalone, as_json=options.json)
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


def _set(options: argparse.Namespace, settings: Settings) -> int:
    with _to_command(settings) as store:
        return set_option(store, _operator(settings), options.job, options.key, options.value, options.duration)


def _pause(options: argparse.Namespace, settings: Settings) -> int:
    with _to_command(settings) as store:
        return set_option(store, _operator(settings), options.job, SCALING, "false", options.duration)


def _unset(options: argparse.Namespace, settings: Settings) -> int:
    with _to_command(settings) as store:
        return unset_option(store, _operator(settings), options.job, options.key)


def _resume(options: argparse.Namespace, settings: Settings) -> int:
    with _to_command(settings) as store:
        return unset_option(store, _operator(settings), options.job, SCALING)


def _commands(options: argparse.Namespace, settings: Settings) -> int:
    with closing(open_existing(settings.store.url)) as store:
        return show_commands(store, _operator(settings), as_json=options.json)


def _decide(options: argparse.Namespace) -> int:
    extras = None if options.extras is None else options.extras == "on"
    return decide_file(options.file, extras=extras)


def _options(options: argparse.Namespace) -> int:
    return show_options(options.key, options.profile, as_json=options.json)
