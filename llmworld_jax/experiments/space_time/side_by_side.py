"""The same work for several layers, blocks or folds, two at a time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

AT_ONCE = 2


def side_by_side(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """``[function(item) for item in items]`` in threads, at most two at a time.

    LAPACK's decompositions, NumPy's sorts and products of small batches each leave most cores idle, and all let go of
    the interpreter's lock. ``jax.enable_x64`` holds for one thread: ``function`` has to set it. More at a time would
    hold more copies of the rows.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, items))
