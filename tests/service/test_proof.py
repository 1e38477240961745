"""A keytab in the settings: what keeps it from being used is said at once, with what to do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from autoscaler.service import proof
from autoscaler.settings import SettingsError, load_settings


def settings_with(keytab: Path) -> Path:
    file = keytab.with_name("autoscaler.yaml")
    file.write_text(f"kerberos:\n  keytab: {keytab}\nstore:\n  copy_to: webhdfs://nn:9870/copy\n")
    return file


def test_a_keytab_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The message names the settings, the file and who cannot read it."""
    file = settings_with(tmp_path / "no.keytab")
    with pytest.raises(
        SettingsError, match=rf"{file}: `kerberos\.keytab` is '.*no\.keytab', which uid \d+ cannot read"
    ):
        proof(load_settings(file))


def test_without_the_extra_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that need Kerberos are refused where its binding is not installed, before anything is asked of YARN or
    HDFS."""
    monkeypatch.setitem(sys.modules, "gssapi", None)
    keytab = tmp_path / "autoscaler.keytab"
    keytab.touch()
    file = settings_with(keytab)
    with pytest.raises(
        SettingsError, match=rf"{file}: `kerberos\.keytab` needs .* run the bundle's install\.sh --kerb"
    ):
        proof(load_settings(file))


def test_without_a_keytab_nothing_is_proven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no Kerberos needs no binding to it."""
    monkeypatch.setitem(sys.modules, "gssapi", None)
    assert proof(load_settings()) is None
