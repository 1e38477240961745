"""``options``: every ``job.autoscaler.*`` key, or one of them, with its type, defaults and meaning."""

from __future__ import annotations

import sys

from autoscaler.commands.output import print_json
from autoscaler.options import KEYS, Key, named, nearest
from autoscaler.options.document import describe, listing, written


def show_options(wanted: str | None, profile: str, *, as_json: bool) -> int:
    """Print what options there are. 2 if the one asked for is none."""
    keys = [key for key in KEYS if profile in key.profiles]
    if wanted is not None:
        spelling = named(wanted, profile)
        if spelling is None:
            similar = nearest(wanted, profile)
            hint = f"; did you mean {similar}?" if similar else ""
            print(f"autoscaler: {wanted} is not an option{hint}", file=sys.stderr)
            return 2
        keys = [spelling.key]
    if as_json:
        print_json([_document(key, profile) for key in keys])
    else:
        print(describe(keys[0]) if wanted is not None else listing(profile))
    return 0


def _document(key: Key, profile: str) -> dict[str, object]:
    return {
        "key": key.full_name if not key.family else written(key),
        "type": key.type.name,
        "default": key.default(profile),
        "old_names": list(key.old_names.get(profile, ())),
        "not_applicable": key.not_applicable,
        "help": key.help,
    }
