"""What is written about options comes from the one place they are defined in."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from autoscaler.options.document import describe, listing, render, written
from autoscaler.options.keys import APACHE, KEYS, PREFIX, PROFILES, Key
from autoscaler.options.names import named

OPTIONS_MD = Path(__file__).parents[2] / "conf" / "OPTIONS.md"


def test_the_document_is_up_to_date() -> None:
    """conf/OPTIONS.md is what the keys say; if not: python -m autoscaler.options > conf/OPTIONS.md."""
    assert OPTIONS_MD.read_text(encoding="utf-8") == render()


def test_the_module_prints_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Running the package prints the document and nothing else."""
    runpy.run_module("autoscaler.options", run_name="__main__")
    assert capsys.readouterr().out == render()


def test_the_document_has_every_key() -> None:
    """Every key has a heading of its own."""
    text = render()
    for key in KEYS:
        assert f"### `{written(key)}`" in text


@pytest.mark.parametrize("key", KEYS, ids=written)
def test_every_key_is_told_in_full(key: Key) -> None:
    """Each key is explained, has a default or says what holds without one, and its defaults can be read."""
    assert key.help.endswith(".")
    assert key.not_applicable or key.unset or key.default(key.profiles[0]) is not None
    assert describe(key).startswith(PREFIX + written(key))
    for profile in key.profiles:
        default = key.default(profile)
        if default is not None:
            key.read(default)


def test_names_are_unique() -> None:
    """No name, old or new, means two keys in one profile, except the grace period's in apache."""
    for profile in PROFILES:
        own = [key for key in KEYS if profile in key.profiles]
        names = [key.name for key in own] + [old for key in own for old in key.old_names.get(profile, ())]
        assert len(names) == len(set(names))


def test_one_option_described() -> None:
    """An option is described with type, defaults, meaning and bounds."""
    found = named("utilization.target")
    assert found is not None
    assert describe(found.key) == (
        "job.autoscaler.utilization.target\n"
        "  type:    double\n"
        "  emr:     `0.7`\n"
        "  apache:  `0.7`\n"
        "\n"
        "  The share of its time a vertex should be busy after scaling. Lower leaves more room for peaks and "
        "costs more.\n"
        "\n"
        "  Bounds: 0 to 1. Old name: `target.utilization`."
    )


def test_the_listing_of_a_profile() -> None:
    """All options of a profile are listed with their defaults, and what has no effect is marked."""
    emr = {line.split()[0]: line for line in listing().splitlines()}
    assert emr["metrics.window"].endswith(" 600 s")
    assert emr["quota.cpu"].endswith(" (no limit)")
    assert emr["memory.tuning.enabled"].endswith(" false  [not applicable here]")
    assert "scale-up.grace-period" in emr
    assert "scale-up.grace-period" not in listing(APACHE)
