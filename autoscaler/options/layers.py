"""Where a value comes from: layers of configuration, the last of which wins, and what each winner shadows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from autoscaler.options.keys import EMR, KEYS, PREFIX, Key
from autoscaler.options.names import REDACTED, find
from autoscaler.options.problems import OptionError


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """A value as written, and the place where it is written."""

    value: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One origin of configuration, such as the cluster's file or the rules.

    ``submitted`` is whether the job was submitted with it, so that Flink itself knows it.
    """

    name: str
    entries: Mapping[str, Entry]
    submitted: bool = False


class Setting(Struct, frozen=True, kw_only=True):
    """The value that counts for one option, or for one key of Flink's, and those it shadows, nearest first.

    ``name`` is the option's present name, ``spelling`` the one that is written. ``key`` is ``None`` for keys
    that are no options.
    """

    name: str
    key: Key | None
    spelling: str
    value: str
    source: str
    layer: str
    shadows: tuple[Setting, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """Every value that counts, by the present name of its key, in alphabetical order."""

    profile: str
    settings: Mapping[str, Setting]

    def chosen(self, name: str) -> Setting | None:
        """Return what somebody set for an option, by its name without prefix; ``None`` for a default."""
        setting = self.settings.get(PREFIX + name)
        return None if setting is None or setting.layer == _profile_name(self.profile) else setting

    def flat(self) -> dict[str, str]:
        """Return the values that count under the names they are written with, one name per option."""
        return {setting.spelling: setting.value for setting in self.settings.values()}

    def sources(self) -> dict[str, str]:
        """Return where each value of ``flat`` is written."""
        return {setting.spelling: setting.source for setting in self.settings.values()}

    def describe(self, error: OptionError) -> str:
        """Return the message of an error in one of these values, with the place where the value stands."""
        source = self.sources().get(error.key)
        return error.message if source is None else error.at(source).message


def layer_of(name: str, config: Mapping[str, str], *, submitted: bool = False) -> Layer:
    """Return a layer of values that come from one place, known by the layer's name."""
    entries = {key: Entry(value=value, source=name) for key, value in config.items()}
    return Layer(name=name, entries=entries, submitted=submitted)


def profile_layer(profile: str) -> Layer:
    """Return the lowest layer: what a profile sets when nothing else does."""
    keys = (key for key in KEYS if profile in key.profiles and not key.not_applicable)
    defaults = ((key.full_name, key.default(profile)) for key in keys)
    return layer_of(_profile_name(profile), {name: text for name, text in defaults if text is not None})


def _profile_name(profile: str) -> str:
    return f"profile {profile}"


def resolve(layers: Iterable[Layer], profile: str = EMR) -> Resolved:
    """Return what counts after all layers; an option is one thing, under whichever of its names it is set.

    In one layer the rank of the names decides, between layers the last one. A redacted value is not set.
    """
    settings: dict[str, Setting] = {}
    for layer in layers:
        for setting in _settings(layer, profile):
            below = settings.get(setting.name)
            settings[setting.name] = setting if below is None else _over(setting, below)
    return Resolved(profile=profile, settings=dict(sorted(settings.items())))


def _settings(layer: Layer, profile: str) -> list[Setting]:
    """Return what a layer sets, the names that count most last."""
    ranked: list[tuple[int, Setting]] = []
    for text, entry in layer.entries.items():
        if entry.value == REDACTED:
            continue
        spelling = find(text, profile)
        key = spelling.key if spelling is not None and not spelling.key.family else None
        setting = Setting(
            name=text if key is None else key.full_name,
            key=key,
            spelling=text,
            value=entry.value,
            source=entry.source,
            layer=layer.name,
        )
        ranked.append((spelling.rank if spelling is not None else 0, setting))
    ranked.sort(key=lambda pair: -pair[0])
    return [setting for _, setting in ranked]


def _over(setting: Setting, below: Setting) -> Setting:
    return replace(setting, shadows=(replace(below, shadows=()), *below.shadows))
