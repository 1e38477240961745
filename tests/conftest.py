"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no failure: no property is about how long it takes.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
