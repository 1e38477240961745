"""Prints conf/OPTIONS.md: ``python -m autoscaler.options > conf/OPTIONS.md``."""

from autoscaler.options.document import render

print(render(), end="")
