"""YAML 1.2 with the core schema, and scalars printed as Flink prints them.

PyYAML reads YAML 1.1: ``yes`` would become true, ``010`` eight and ``9:30`` a number of minutes. Flink reads
none of them so. Here PyYAML only finds the nodes; what a plain scalar means is decided by the core schema's
own patterns.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal

import yaml

_TAG = "tag:yaml.org,2002:"
NULL, BOOL, INT, FLOAT = (_TAG + name for name in ("null", "bool", "int", "float"))

# Pattern and the signs a scalar of that kind can begin with, in the order they are tried.
_SCALARS: tuple[tuple[str, str, str], ...] = (
    (NULL, r"(?:~|null|Null|NULL|)", "~nN\0"),
    (BOOL, r"(?:true|True|TRUE|false|False|FALSE)", "tTfF"),
    (INT, r"(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)", "-+0123456789"),
    (
        FLOAT,
        r"(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))",
        "-+0123456789.",
    ),
)
_RESOLVERS: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
for _tag, _pattern, _first in _SCALARS:
    for _sign in _first:
        # PyYAML looks an empty scalar up under the empty string.
        _RESOLVERS.setdefault(_sign.strip("\0"), []).append((_tag, re.compile(_pattern + r"\Z")))


class CoreLoader(yaml.SafeLoader):
    """Reads nodes whose tags follow the core schema."""

    yaml_implicit_resolvers = _RESOLVERS


class CoreDumper(yaml.SafeDumper):
    """Writes strings with quotes only where the core schema needs them."""

    yaml_implicit_resolvers = _RESOLVERS


def compose(text: str) -> yaml.Node | None:
    """Return the root node of one YAML document, ``None`` if it is empty; raises ``yaml.YAMLError``."""
    try:
        root = yaml.compose(text, Loader=CoreLoader)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    if root is not None:
        _refuse_cycles(root, set(), set())
    return root


def _refuse_cycles(node: yaml.Node, parents: set[int], done: set[int]) -> None:
    # An alias can stand inside what it stands for; whoever walks down from there never arrives.
    if isinstance(node, yaml.ScalarNode) or id(node) in done:
        return
    if id(node) in parents:
        raise yaml.composer.ComposerError(None, None, "a value contains itself", node.start_mark)
    is_map = isinstance(node, yaml.MappingNode)
    for child in (part for pair in node.value for part in pair) if is_map else node.value:
        _refuse_cycles(child, parents | {id(node)}, done)
    done.add(id(node))


def flow_list(text: str) -> tuple[str, ...] | None:
    """Return the items of a YAML flow list as text, ``None`` if the text is not a list of scalars."""
    try:
        node = compose(text)
    except yaml.YAMLError:
        return None
    if not isinstance(node, yaml.SequenceNode):
        return None
    if not all(isinstance(item, yaml.ScalarNode) and item.tag != NULL for item in node.value):
        return None
    return tuple(printed(item) for item in node.value)


def printed(node: yaml.Node) -> str:
    """Return a scalar or list as the text Flink holds for it: numbers printed anew, lists in flow style."""
    if isinstance(node, yaml.ScalarNode):
        return _printed_scalar(node)
    return yaml.serialize(_normal(node), Dumper=CoreDumper, width=math.inf, allow_unicode=True).rstrip("\n")


def _printed_scalar(node: yaml.ScalarNode) -> str:
    text: str = node.value
    if node.tag == BOOL:
        return text.lower()
    if node.tag == INT:
        return _printed_integer(text)
    if node.tag == FLOAT:
        return java_double(_float(text))
    return text


def _printed_integer(text: str) -> str:
    try:
        if text.startswith("0o"):
            return str(int(text, 0))
        return str(int(text, 16 if text.startswith("0x") else 10))
    except ValueError:
        # Thousands of digits: Python refuses to convert them, and no option can hold them.
        return text


def _float(text: str) -> float:
    lowered = text.lower()
    # Python has no dot before inf and nan.
    return float(lowered.replace(".", "", 1) if lowered.endswith(("inf", "nan")) else lowered)


def _normal(node: yaml.Node) -> yaml.Node:
    """Return a copy of a node as Flink prints it: scalars anew, all in flow style, without aliases."""
    if isinstance(node, yaml.ScalarNode):
        return yaml.ScalarNode(node.tag, "null" if node.tag == NULL else _printed_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return yaml.SequenceNode(node.tag, [_normal(item) for item in node.value], flow_style=True)
    pairs = [(_normal(key), _normal(value)) for key, value in node.value]
    return yaml.MappingNode(node.tag, pairs, flow_style=True)


def java_double(number: float) -> str:
    """Print a double as Java does: ``0.7``, ``1000.0``, and ``1.0E12`` when large or small."""
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "Infinity" if number > 0 else "-Infinity"
    magnitude = abs(number)
    if number == 0 or 1e-3 <= magnitude < 1e7:
        text = format(Decimal(repr(number)), "f")
        return text if "." in text else text + ".0"
    sign, digits, _ = Decimal(repr(number)).normalize().as_tuple()
    exponent = Decimal(repr(number)).adjusted()
    first, *rest = map(str, digits)
    return f"{'-' if sign else ''}{first}.{''.join(rest) or '0'}E{exponent}"
