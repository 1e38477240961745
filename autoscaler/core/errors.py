"""The one way a decision fails."""

from __future__ import annotations


class Undecidable(Exception):
    """No decision can be made from these numbers; the text tells a person why. ``decide`` turns it into ERROR."""
