"""The lab's command line: `python -m lab up|down|status|load|story|submit|clean`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from lab.lab import NODE_MEMORY_MB, Lab
from lab.layout import LabError
from lab.load import ALL
from lab.signals import end_as_by_ctrl_c
from lab.status import render
from lab.story import STORY_FILE, Story

SUBMITTABLE = ("all", "orders", "joined", "session")


def main(words: Sequence[str] | None = None) -> int:
    """Do what the command line says; 0 if it worked, 1 if not, 130 after Ctrl-C."""
    arguments = _parser().parse_args(words)
    command: Callable[[argparse.Namespace], None] = arguments.run
    end_as_by_ctrl_c()
    try:
        command(arguments)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lab",
        description="A real YARN, Kafka and Flink on this machine.",
        epilog="Environment: FLINK=1.18|1.19|1.20|2.x, LAB_ZK=1 (with ZooKeeper), LAB_MASTERS=2, LAB_HOME, LAB_CACHE.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    up = commands.add_parser("up", help="start the lab")
    up.add_argument("--jobs", action="store_true", help="submit the story's jobs too")
    up.add_argument("--zookeeper", action="store_true", default=os.environ.get("LAB_ZK") == "1")
    up.add_argument("--masters", type=int, default=os.environ.get("LAB_MASTERS") or "1", metavar="N")
    up.add_argument("--node-memory", type=int, nargs=2, default=NODE_MEMORY_MB, metavar="MB")
    up.set_defaults(run=_up)

    commands.add_parser("down", help="end the lab").set_defaults(run=lambda _: _lab().down())
    commands.add_parser("clean", help="end the lab, remove its state").set_defaults(run=lambda _: _lab().clean())

    status = commands.add_parser("status", help="addresses, applications, jobs, memory")
    status.add_argument("--json", action="store_true")
    status.set_defaults(run=_status)

    load = commands.add_parser("load", help="change the load")
    load.add_argument("rate", type=float, help="records per second")
    load.add_argument("topic", nargs="?", default=ALL, help="default: the orders, and the others in proportion")
    load.set_defaults(run=lambda arguments: _lab().set_rate(arguments.topic, arguments.rate))

    story = commands.add_parser("story", help="play the load of these story files")
    story.add_argument("file", nargs="*", type=Path, default=[STORY_FILE])
    story.set_defaults(run=_story)

    submit = commands.add_parser("submit", help="submit jobs")
    submit.add_argument("what", nargs="?", choices=SUBMITTABLE, default="all")
    submit.set_defaults(run=_submit)
    return parser


def _lab() -> Lab:
    return Lab(say=_say)


def _say(line: str) -> None:
    print(line, flush=True)


def _up(arguments: argparse.Namespace) -> None:
    first, second = arguments.node_memory
    lab = Lab(node_memory_mb=(first, second), zookeeper=arguments.zookeeper, masters=arguments.masters, say=_say)
    lab.up(jobs=arguments.jobs)


def _submit(arguments: argparse.Namespace) -> None:
    lab = _lab()
    submit: dict[str, Callable[[], str]] = {
        "orders": lab.submit_orders,
        "joined": lab.submit_joined,
        "session": lab.start_session,
    }
    ids = lab.submit_all() if arguments.what == "all" else [submit[arguments.what]()]
    _say("\n".join(ids))


def _story(arguments: argparse.Namespace) -> None:
    stories = [Story.load(file) for file in arguments.file]
    lab = _lab()
    for story in stories:
        lab.play(story)


def _status(arguments: argparse.Namespace) -> None:
    status = _lab().status()
    _say(json.dumps(asdict(status), indent=2) if arguments.json else render(status))
