"""What the daemon costs, measured: ``python -m bench``.

``stub`` is a cluster in a process of its own, ``daemon`` the real daemon in another, ``bare`` a third that makes the
same calls and nothing else; ``scenario`` measures one daemon against its stub, ``decisions`` the deciding alone, and
``report`` holds what was found against what is to be reached.
"""
