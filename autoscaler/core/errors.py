"""The one way a decision fails."""

from __future__ import annotations


class UndecidableError(Exception):
    """No decision can be made from these numbers; the text says why. ``decide`` turns it into ERROR."""
