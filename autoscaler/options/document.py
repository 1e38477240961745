"""What is written about options: conf/OPTIONS.md, and what the command line says of one or all."""

from __future__ import annotations

from collections.abc import Iterable

from autoscaler.options.keys import EMR, GROUPS, KEYS, PREFIX, PROFILES, Key

_HEAD = f"""# Options

<!-- Generated: change autoscaler/options/keys/, then `python -m autoscaler.options > conf/OPTIONS.md`. -->

Every key begins with `{PREFIX}`, which is left out below. A value can come from, the last one wins:

1. the defaults of the profile (`profile: emr` unless set otherwise);
2. the cluster's `flink-conf.yaml` or `config.yaml`;
3. the configuration the application really runs with;
4. the global parameters of the job;
5. rules in `conf/autoscaler.yaml`;
6. commands of an operator: `autoscaler set`, `pause`.

Flink ships the whole configuration with a submission: a later edit on the cluster does not reach a running
job, but for options it was submitted without, when the daemon takes it up the next time. A rule or an operator's
command does.

## How values and names are read

- A **duration** is a whole number and a unit: `d`, `h`, `min` or `m`, `s`, `ms`, `µs`, `ns` or their long
  forms, in any case, or ISO 8601 such as `PT5M`. Without a unit it is **milliseconds**: `30` is 30 ms.
- A **memory size** is a whole number and `b`, `kb`, `mb`, `gb` or `tb`, all binary; without a unit it is
  bytes.
- A **bool** is `true` or `false`, in any case.
- A **list** has `;` between its items; an item that holds one stands in quotes. In `config.yaml` a YAML list
  does as well.
- Every key is also read with `kubernetes.operator.` before it. If an option is set under several names in one
  place, the plain new name counts; then those with that prefix, the new one first (but
  `scale-up.grace-period` before `scale-down.interval` in the `apache` profile); then the plain old name.
"""


def render() -> str:
    """Return the text of conf/OPTIONS.md."""
    lines = [_HEAD]
    for title, keys in GROUPS:
        lines += [f"## {title}", "", "| key | type | `emr` | `apache` |", "|---|---|---|---|"]
        lines += [_row(key) for key in keys]
        lines.append("")
        for key in keys:
            lines += [f"### `{written(key)}`", "", *_paragraphs(key), ""]
    return "\n".join(lines)


def written(key: Key) -> str:
    """Return a key as it is written in text, a family with a placeholder."""
    return f"{key.name}<name>.*" if key.family else key.name


def _row(key: Key) -> str:
    cells = (f"[`{written(key)}`](#{_anchor(key)})", key.type.name, *(_default(key, p) for p in PROFILES))
    return "| " + " | ".join(cells) + " |"


def _anchor(key: Key) -> str:
    # As Markdown renderers build it from a heading: lower case, without dots and other signs.
    return "".join(sign for sign in written(key) if sign.isalnum() or sign in "-_")


def _default(key: Key, profile: str) -> str:
    if profile not in key.profiles:
        return "-"
    text = key.default(profile)
    return f"`{text}`" if text is not None else f"- ({key.unset})"


def _paragraphs(key: Key) -> Iterable[str]:
    yield key.help
    facts = list(_facts(key))
    if facts:
        yield ""
        yield " ".join(facts)


def _facts(key: Key) -> Iterable[str]:
    if key.bounds:
        yield f"Bounds: {key.bounds}."
    old = {profile: key.old_names.get(profile, ()) for profile in PROFILES}
    for name in dict.fromkeys(name for names in old.values() for name in names):
        where = [profile for profile in PROFILES if name in old[profile]]
        yield f"Old name: `{name}`{'' if len(where) == len(PROFILES) else f' (`{where[0]}` only)'}."
    if key.superseded_by:
        winners = " and ".join(f"`{name}`" for name in key.superseded_by)
        yield f"Without effect when {winners} {'is' if len(key.superseded_by) == 1 else 'are'} set."
    if key.not_applicable:
        yield f"**Not applicable here**: {key.not_applicable}. It is accepted and reported."


def listing(profile: str = EMR) -> str:
    """Return all options of a profile with their defaults, one per line."""
    keys = [key for key in KEYS if profile in key.profiles]
    width = max(len(written(key)) for key in keys)
    return "\n".join(
        f"{written(key):{width}}  {key.default(profile) or f'({key.unset})'}"
        + ("  [not applicable here]" if key.not_applicable else "")
        for key in keys
    )


def describe(key: Key) -> str:
    """Return everything there is to say of one option."""
    lines = [
        PREFIX + written(key),
        f"  type:    {key.type.name}",
        *(f"  {profile + ':':8} {_default(key, profile)}" for profile in PROFILES),
        "",
        *(f"  {line}" if line else "" for line in _paragraphs(key)),
    ]
    return "\n".join(lines)
