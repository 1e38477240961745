"""Decisions of the Apache Flink autoscaler itself, which ours must equal."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from parity import differences, lines, main

from autoscaler.case import decide_case

CASES = Path(__file__).parents[1] / "data" / "decision-cases" / "reference.jsonl.gz"


def test_every_kept_case_is_decided_alike() -> None:
    """With the extras off every kept decision of the reference is reproduced in every field."""
    wrong: Counter[str] = Counter()
    total = 0
    for line in lines(CASES):
        document = json.loads(line)
        total += 1
        found = differences(document["expected"], decide_case(document["case"], extras=False))
        wrong.update(f"{document['case']['name']} {field}" for field, _, _ in found)
    assert not wrong
    assert total >= 1308


def test_parity_command(capsys: object) -> None:
    """The command without a file explains itself and fails."""
    assert main([]) == 2


def test_parity_tells_what_differs(tmp_path: Path) -> None:
    """A difference in any field is found and fails the command."""
    document = json.loads(next(lines(CASES)))
    document["expected"]["reason"] = "QUOTA"
    document["expected"]["events"] = [{"reason": "ScalingReport", "vertex": None}]
    document["expected"]["job"]["heap_usage"] = "Infinity"
    document["expected"]["vertices"] = {}
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(document) + "\n\n")
    assert main([str(file)]) == 1
    found = differences(document["expected"], decide_case(document["case"], extras=False))
    assert [field for field, _, _ in found] == ["reason", "events", "job.heap_usage", "vertices"]
