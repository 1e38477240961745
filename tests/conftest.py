"""What holds for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# Of each property `make check` tries 20 examples; `make test` sets HYPOTHESIS_PROFILE=thorough and tries 100. A busy
# machine is no failure: no property is about how long it takes.
settings.register_profile("quick", deadline=None, max_examples=20)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
