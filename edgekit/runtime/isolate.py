"""Runs functions in worker processes that may crash, hang or run out of memory without taking this one along.

The workers are loky's: fresh Python processes that need no `__main__` guard and are kept for the next call. They work
in the caller's directory, so that a relative path means the same to both.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as Late
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from edgekit.errors import BadInput, EdgekitError

_size = 1


class Crashed(BadInput):
    """The worker process that had the file died."""


def call(function: Callable[..., Any], *arguments: Any, what: str, timeout: float) -> Any:
    """function(*arguments) in a worker process; see `each`."""
    try:
        return next(each(function, [arguments], what=what, timeout=timeout))
    except Crashed:  # perhaps a file before this one left the worker dying: a fresh one decides
        return next(each(function, [arguments], what=what, timeout=timeout))


def each(
    function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], *, what: str, timeout: float, workers: int = 1
) -> Iterator[Any]:
    """function(*arguments) for every tuple of arguments, on `workers` processes; results in the order of the calls.

    An EdgekitError of a worker is raised here. Raises Crashed when a worker dies, BadInput when one result takes longer
    than `timeout` seconds; both begin with `what`, the file at work.
    """
    waiting: deque[Any] = deque()
    try:
        pool = _pool(workers)
        for arguments in calls:
            if len(waiting) >= (2 * workers if workers > 1 else 1):
                yield _result(waiting.popleft(), timeout)
            waiting.append(pool.submit(_guarded, function, arguments, Path.cwd()))
        while waiting:
            yield _result(waiting.popleft(), timeout)
    except BrokenProcessPool:
        raise Crashed(
            f"{what} crashes the runtime.", "It is damaged or needs a newer runtime: export it again."
        ) from None
    except Late:
        pool.shutdown(wait=False, kill_workers=True)
        raise BadInput(
            f"{what} did not finish within {timeout:g} seconds.", "It is damaged, or far too slow here."
        ) from None
    finally:
        for future in waiting:
            future.cancel()


def _result(future: Any, timeout: float) -> Any:
    failed, value = future.result(timeout)
    if failed:
        raise _rebuilt(*value)
    return value


def _pool(workers: int) -> Any:
    """loky's one shared pool. A single call takes whatever pool there is, since restarting processes costs more."""
    global _size
    from loky import get_reusable_executor

    _size = workers if workers > 1 else _size
    return get_reusable_executor(max_workers=_size)


@functools.cache
def _silence() -> None:
    """Once a worker: what native code writes on its way down helps nobody, and stdout may be one JSON document."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.close(null)


def _guarded(function: Callable[..., Any], arguments: tuple[Any, ...], folder: Path) -> tuple[bool, Any]:
    """Errors travel as plain values: unpickling an exception with its own signature would break the pool."""
    _silence()
    os.chdir(folder)
    try:
        return False, function(*arguments)
    except EdgekitError as error:
        return True, (type(error), error.fact, error.remedy)


def _rebuilt(kind: type[EdgekitError], fact: str, remedy: str) -> EdgekitError:
    error = kind.__new__(kind)
    EdgekitError.__init__(error, fact, remedy)
    return error
