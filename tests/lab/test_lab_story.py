"""story.yaml and the load: what a story file may say, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from lab.layout import TOPICS, LabError
from lab.load import changed_rates, play, read_rates, write_rates
from lab.story import STORY_FILE, Story, parse

SMALL = """
flink:
  a.key: 10 s   # production: 60 s
yarn:
masters:
daemon:
  cluster: lab
phases:
  low:
    seconds: 5
    orders: 100
    clicks: 50
  high:
    seconds: 7.5
    orders: 400
"""


def a_story(tmp_path: Path, text: str = SMALL) -> Story:
    file = tmp_path / "story.yaml"
    file.write_text(text, encoding="utf-8")
    return Story.load(file)


def test_our_story_is_the_same_to_any_yaml_reader() -> None:
    """The subset that the lab parses by itself is plain YAML: another reader finds the same keys and values."""
    text = STORY_FILE.read_text(encoding="utf-8")
    assert parse(text) == yaml.load(text, Loader=yaml.BaseLoader)


def test_every_shortened_key_has_its_production_value_beside_it() -> None:
    """Whoever reads the story sees at once what each short time is in production."""
    settings = STORY_FILE.read_text(encoding="utf-8").split("phases:")[0]
    keys = [line for line in settings.splitlines() if line.startswith("  ") and not line.strip().startswith("#")]
    assert keys
    assert [line for line in keys if "# production: " not in line] == []


def test_our_story_takes_ten_minutes_and_quadruples_the_orders() -> None:
    """The story is low, four times as much, low again, and ends after about ten minutes."""
    story = Story.load()
    assert 540 <= story.seconds <= 660
    low, peak, again = (phase.rates["orders"] for phase in story.phases)
    assert peak == 4 * low
    assert again == low
    assert set(story.phases[0].rates) == set(TOPICS)


def test_a_story_keeps_the_order_of_its_phases(tmp_path: Path) -> None:
    """Phases are played as they stand in the file."""
    story = a_story(tmp_path)
    assert [(phase.name, phase.seconds) for phase in story.phases] == [("low", 5), ("high", 7.5)]
    assert story.flink == {"a.key": "10 s"}
    assert story.yarn == {}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("flink:\n   a: b\n", "line 2: wrong indentation"),
        ("flink:\n    a: b\n", "line 2: wrong indentation"),
        ("just words\n", "line 1: expected `key: value`, found: just words"),
        ("flink:\n  a: 1\n  a: 2\n", "line 3: a stands here twice"),
        ("yarn:\nphases:\n", "flink: expected nested keys"),
        ("flink:\n  a:\n    b: 1\nyarn:\nphases:\n", "flink: no value for a"),
        (SMALL.replace("clicks", "clocks"), "phase low: clocks is no topic"),
        (SMALL.replace("seconds: 5", "seconds: 0"), "phase low: needs `seconds`"),
        (SMALL.replace("orders: 100", "orders: many"), "phase low: orders must be a number"),
        (SMALL.replace("orders: 100", "orders: -1"), "phase low: orders must be a number"),
        (SMALL.replace("orders: 100", "orders: inf"), "phase low: orders must be a number"),
    ],
)
def test_a_bad_story_is_refused_with_file_and_place(tmp_path: Path, text: str, complaint: str) -> None:
    """A mistake in a story file is named, with the file and where it is."""
    with pytest.raises(LabError) as refusal:
        a_story(tmp_path, text)
    assert complaint in str(refusal.value)
    assert str(tmp_path / "story.yaml") in str(refusal.value)


def test_a_story_that_is_not_there_is_a_plain_message(tmp_path: Path) -> None:
    """A wrong file name gives a message, not a stack trace."""
    with pytest.raises(LabError, match=r"missing\.yaml"):
        Story.load(tmp_path / "missing.yaml")


def test_a_story_is_played_phase_by_phase(tmp_path: Path) -> None:
    """Each phase's rates are set, and then its time passes, before the next one's."""
    log: list[object] = []

    def set_rates(rates: Mapping[str, float]) -> None:
        log.append(dict(rates))

    play(a_story(tmp_path), set_rates, sleep=log.append, say=lambda _: None)
    assert log == [{"orders": 100, "clicks": 50}, 5, {"orders": 400}, 7.5]


def test_a_rate_for_all_keeps_the_storys_proportions(tmp_path: Path) -> None:
    """`load 400` means 400 orders, and the other topics as in the story's first phase, in proportion."""
    assert changed_rates({}, a_story(tmp_path), "all", 400) == {"orders": 400, "clicks": 200}


def test_a_rate_for_one_topic_leaves_the_others(tmp_path: Path) -> None:
    """`load 10 views` changes the views only."""
    rates = changed_rates({"orders": 1.0, "views": 2.0}, a_story(tmp_path), "views", 10)
    assert rates == {"orders": 1, "views": 10}


@pytest.mark.parametrize(("topic", "rate"), [("ordres", 1.0), ("orders", -1.0)])
def test_an_impossible_rate_is_refused(tmp_path: Path, topic: str, rate: float) -> None:
    """A topic that does not exist, or a rate below nothing, changes nothing."""
    with pytest.raises(LabError):
        changed_rates({}, a_story(tmp_path), topic, rate)


def test_rates_survive_their_file(tmp_path: Path) -> None:
    """What is written for the load generator is what is read back."""
    file = tmp_path / "rates"
    assert read_rates(file) == {}
    write_rates(file, {"orders": 200, "clicks": 0.5})
    assert file.read_text(encoding="utf-8") == "orders 200\nclicks 0.5\n"
    assert read_rates(file) == {"orders": 200, "clicks": 0.5}
