"""Whether this is an EMR host, and what its files say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoscaler.emrhost import EmrHost, emr_host


def written(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"instance.json": '{"isMaster": true}'}, {"master": True}),
        ({"instance.json": '{"isMaster": false, "haEnabled": "yes"}'}, {"master": False}),
        ({"instance.json": ""}, {}),
        ({"instance.json": "[1]"}, {}),
        (
            {"extraInstanceData.json": '{"instanceRole": "Master", "haEnabled": true, "jobFlowId": "j-1"}'},
            {"master": True, "several_masters": True, "cluster_id": "j-1"},
        ),
        (
            {"instance.json": '{"isMaster": true}', "extraInstanceData.json": '{"instanceRole": "core"}'},
            {"master": True},
        ),
    ],
)
def test_one_of_two_files_makes_an_emr_host(
    tmp_path: Path, files: dict[str, str], expected: dict[str, bool | str]
) -> None:
    """Either file is enough, whatever can be read of it."""
    folder = written(tmp_path / "info", files)
    assert emr_host([tmp_path / "none", folder]) == EmrHost(file=str(folder / next(iter(files))), **expected)  # type: ignore[arg-type]


def test_elsewhere_there_is_none(tmp_path: Path) -> None:
    """Without these files the host is not EMR's."""
    assert emr_host([tmp_path, tmp_path / "none"]) is None
    assert emr_host([]) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look into every folder")
def test_a_folder_that_may_not_be_looked_into_counts(tmp_path: Path) -> None:
    """A daemon without the right to read EMR's files must not take the host for another's."""
    folder = written(tmp_path / "info", {"instance.json": "{}"})
    folder.chmod(0)
    try:
        assert emr_host([folder]) == EmrHost(file=str(folder))
    finally:
        folder.chmod(0o700)
