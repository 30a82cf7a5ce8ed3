"""How often this process looks for cycles of objects that keep one another alive.

We make many plain values and hardly a cycle. To look as often as Python does of itself (every 700 values) is
a seventh of what a large edition costs.
"""

from __future__ import annotations

import gc

_LOADING = (500_000, 20, 50)
_LOADED = (50_000, 20, 50)


def begin() -> None:
    """For the start of the command line: modules load, what is made stays, and looking finds nothing."""
    gc.set_threshold(*_LOADING)


def loaded() -> None:
    """Everything is loaded: it stays, and is not looked through again. Nothing, unless `begin` was called."""
    if gc.get_threshold() == _LOADING:
        gc.freeze()
        gc.set_threshold(*_LOADED)
