"""Reads story.yaml: the shortened keys for YARN and Flink, and the phases of the load."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias

from lab.layout import TOPICS, LabError

STORY_FILE = Path(__file__).with_name("story.yaml")

Tree: TypeAlias = "dict[str, str | Tree]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of the story: so many seconds at these rates (records per second, by topic)."""

    name: str
    seconds: float
    rates: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The whole file."""

    flink: Mapping[str, str]
    yarn: Mapping[str, str]
    masters: Mapping[str, str]
    daemon: Mapping[str, str]
    phases: tuple[Phase, ...]

    @classmethod
    def load(cls, file: Path = STORY_FILE) -> Self:
        """Read a story file; what is wrong with it is said with its name."""
        try:
            tree = parse(file.read_text(encoding="utf-8"))
            phases = tuple(_phase(name, keys) for name, keys in _tree(tree, "phases").items())
            return cls(
                flink=_leaves(tree, "flink"),
                yarn=_leaves(tree, "yarn"),
                masters=_leaves(tree, "masters"),
                daemon=_leaves(tree, "daemon"),
                phases=phases,
            )
        except (OSError, ValueError) as error:
            raise LabError(f"{file}: {error}") from error

    @property
    def seconds(self) -> float:
        return sum(phase.seconds for phase in self.phases)


def parse(text: str) -> Tree:
    """Parse the subset of YAML that a story needs: `key: value` lines, nested by two blanks, comments."""
    root: Tree = {}
    open_trees = [root]
    for number, (indent, key, value) in _lines(text):
        depth = indent // 2
        if indent % 2 or depth >= len(open_trees):
            raise ValueError(f"line {number}: wrong indentation")
        del open_trees[depth + 1 :]
        if key in open_trees[depth]:
            raise ValueError(f"line {number}: {key} stands here twice")
        if value:
            open_trees[depth][key] = value
        else:
            child: Tree = {}
            open_trees[depth][key] = child
            open_trees.append(child)
    return root


def _lines(text: str) -> Iterator[tuple[int, tuple[int, str, str]]]:
    for number, line in enumerate(text.splitlines(), start=1):
        content = re.sub(r"(^|\s)#.*", "", line).rstrip()
        if not content:
            continue
        found = re.fullmatch(r"( *)([^\s:][^:]*):(?: +(.*))?", content)
        if found is None:
            raise ValueError(f"line {number}: expected `key: value`, found: {content.strip()}")
        yield number, (len(found[1]), found[2], found[3] or "")


def _tree(parent: Tree, name: str) -> Tree:
    child = parent.get(name)
    if not isinstance(child, dict):
        raise ValueError(f"{name}: expected nested keys")
    return child


def _leaves(tree: Tree, name: str) -> dict[str, str]:
    leaves = _tree(tree, name)
    if nested := [key for key, value in leaves.items() if not isinstance(value, str)]:
        raise ValueError(f"{name}: no value for {', '.join(nested)}")
    return {key: value for key, value in leaves.items() if isinstance(value, str)}


def _phase(name: str, keys: str | Tree) -> Phase:
    if not isinstance(keys, dict):
        raise ValueError(f"phase {name}: expected nested keys")
    numbers: dict[str, float] = {}
    for key, value in keys.items():
        if key != "seconds" and key not in TOPICS:
            raise ValueError(f"phase {name}: {key} is no topic (these are: {', '.join(TOPICS)})")
        numbers[key] = _number(name, key, value)
    seconds = numbers.pop("seconds", 0.0)
    if seconds <= 0:
        raise ValueError(f"phase {name}: needs `seconds`, more than 0")
    return Phase(name=name, seconds=seconds, rates=numbers)


def _number(phase: str, key: str, value: str | Tree) -> float:
    try:
        number = float(value) if isinstance(value, str) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f"phase {phase}: {key} must be a number, not below 0")
    return number
