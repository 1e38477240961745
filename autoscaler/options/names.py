"""Which key is meant by a name as written, and which of several names for one key counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from types import MappingProxyType

from autoscaler.options.grammar import GrammarError
from autoscaler.options.keys import EMR, KEYS, OPERATOR_PREFIX, PREFIX, PROFILES, Key
from autoscaler.options.problems import OptionError

# What Flink shows over REST instead of a value it thinks is a secret.
REDACTED = "******"

_FAMILIES = tuple(key for key in KEYS if key.family)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """One way to write a key; of several present, the one with the lowest rank counts."""

    text: str
    key: Key
    rank: int
    old: bool


def _spellings(key: Key, profile: str) -> list[Spelling]:
    new = (PREFIX + key.name, False)
    old = [(PREFIX + name, True) for name in key.old_names.get(profile, ())]
    operator = [(OPERATOR_PREFIX + text, True) for text, _ in (new, *old)]
    if key.name == "scale-down.interval":
        # The reference asks for this one's old name first.
        operator.reverse()
    return [
        Spelling(text=text, key=key, rank=rank, old=is_old)
        for rank, (text, is_old) in enumerate([new, *operator, *old])
    ]


def _table(profile: str) -> Mapping[str, Spelling]:
    own = [key for key in KEYS if profile in key.profiles and not key.family]
    return MappingProxyType({spelling.text: spelling for key in own for spelling in _spellings(key, profile)})


SPELLINGS: Mapping[str, Mapping[str, Spelling]] = MappingProxyType({profile: _table(profile) for profile in PROFILES})


def find(text: str, profile: str = EMR) -> Spelling | None:
    """Return what a key means as written in a configuration, ``None`` if it is no option."""
    if text in SPELLINGS[profile]:
        return SPELLINGS[profile][text]
    plain = text.removeprefix(OPERATOR_PREFIX)
    for key in _FAMILIES:
        if plain.startswith(key.full_name):
            return Spelling(text=text, key=key, rank=0, old=plain != text)
    return None


def named(name: str, profile: str = EMR) -> Spelling | None:
    """Return what a person means by a name, which may lack the prefix ``job.autoscaler.``."""
    return find(name, profile) or find(PREFIX + name, profile)


def is_ours(text: str) -> bool:
    """Tell whether a key as written is in the name space of the options, known or not."""
    return text.removeprefix(OPERATOR_PREFIX).startswith(PREFIX)


def nearest(text: str, profile: str = EMR) -> str | None:
    """Return the known key that looks most like a mistyped one, as it should be written."""
    name = text.removeprefix(OPERATOR_PREFIX).removeprefix(PREFIX)
    known = {key.name for key in KEYS if profile in key.profiles and not key.family}
    known |= {old for key in KEYS for old in key.old_names.get(profile, ())}
    close = get_close_matches(name, sorted(known), n=1)
    return PREFIX + close[0] if close else None


def present(config: Mapping[str, str], profile: str) -> dict[str, Spelling]:
    """Return, by the name of its key, the spelling that counts for each option set in a flat configuration.

    First that is set: the plain new name, the names with the operator's prefix, the plain old name. A
    redacted value is not set.
    """
    table = SPELLINGS[profile]
    chosen: dict[str, Spelling] = {}
    for text in config.keys() & table.keys():
        if config[text] == REDACTED:
            continue
        spelling = table[text]
        other = chosen.get(spelling.key.name)
        if other is None or spelling.rank < other.rank:
            chosen[spelling.key.name] = spelling
    return chosen


@lru_cache(maxsize=4096)
def _read_once(key: Key, text: str) -> object:
    """Read the value of a key; the same few values stand in the configurations of many jobs."""
    return key.read(text)


def read(spelling: Spelling, text: str, source: str) -> object:
    """Read the value of a key; raises OptionError naming key, value and source, and what to write."""
    try:
        return _read_once(spelling.key, text)
    except GrammarError as error:
        raise OptionError(spelling.text, text, source, error.advice) from None
