"""The command. Data goes to stdout, all else to stderr; the exit status is 0, 1 for a finding, 2 for bad input."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import autoscaler
from autoscaler import service
from autoscaler.commands.checkconfig import check_config
from autoscaler.commands.oneshot import NothingRemembered, plan_once, run_once
from autoscaler.commands.show import show_history, show_status
from autoscaler.settings import Settings, SettingsError, load_settings
from autoscaler.store import StoreError, open_existing
from autoscaler.web import PortBusy

BAD_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.config)
        return int(options.command(options, settings))
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
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autoscaler", description="Autoscaler for Apache Flink jobs on YARN and Amazon EMR."
    )
    parser.add_argument("--version", action="version", version=f"autoscaler {autoscaler.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "run", _run, "run the daemon until it is told to stop")
    once = _command(commands, "once", _once, "one pass over all jobs, which acts")
    plan = _command(commands, "plan", _plan, "one pass over all jobs, which acts on nothing: each job's decision")
    status = _command(commands, "status", _status, "what the daemon last knew of each job")
    history = _command(commands, "history", _history, "a job's past decisions and rescales")
    history.add_argument("job", metavar="JOB", help="a job's name, its application's, or both as application/job")
    history.add_argument("--limit", type=int, default=20, help="how many of each, newest first (20)")
    check = _command(commands, "check-config", _check_config, "check settings and flink-conf; 1 if there are errors")
    check.add_argument("--application", metavar="A", help="a running application's id or name: check what it asks for")
    check.add_argument("--job", metavar="J", help="one job of it")
    for each in (once, plan, status, history, check):
        each.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    action: Callable[[argparse.Namespace, Settings], int],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=action)
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="settings file (AUTOSCALER_CONFIG, else /etc/autoscaler/autoscaler.yaml)",
    )
    return parser


def _run(options: argparse.Namespace, settings: Settings) -> int:
    status = service.run(settings, options.config)
    sys.stderr.flush()
    # Reads that hang in a worker end by their own time-out, which a stop must not wait for: nothing they
    # could still do would be stored.
    os._exit(status)


def _once(options: argparse.Namespace, settings: Settings) -> int:
    return run_once(settings, as_json=options.json)


def _plan(options: argparse.Namespace, settings: Settings) -> int:
    return plan_once(settings, as_json=options.json)


def _status(options: argparse.Namespace, settings: Settings) -> int:
    store = open_existing(settings.store.url)
    return show_status(store, as_json=options.json, now=service.system_clock())


def _history(options: argparse.Namespace, settings: Settings) -> int:
    store = open_existing(settings.store.url)
    return show_history(store, options.job, options.limit, as_json=options.json)


def _check_config(options: argparse.Namespace, settings: Settings) -> int:
    looking = service.Service(settings, NothingRemembered(None), act=False)
    return check_config(looking, settings, options.application, options.job, as_json=options.json)
