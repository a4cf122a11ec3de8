"""What can go wrong, as a few families: each has an exit code, states one fact and offers one remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EdgekitError(Exception):
    """A failure that the user can act on.

    `fact` and `remedy` are one sentence each; `code` is the stable name in `--json`; `exit_code` is what the command
    line returns (docs/contracts.md, "Exit codes").
    """

    exit_code = 3
    code = "error"

    def __init__(self, fact: str, remedy: str = "") -> None:
        super().__init__(f"{fact} {remedy}".strip())
        self.fact = fact
        self.remedy = remedy


class CheckFailed(EdgekitError):
    """A verification, budget or gate was not met. Files are kept."""

    exit_code = 1
    code = "check-failed"


class UsageError(EdgekitError):
    """The command line or a call is not meant like this."""

    exit_code = 2
    code = "usage"


class MissingExtra(UsageError):
    """An optional part of edgekit is not installed."""

    code = "missing-extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs edgekit's [{extra}] extra, which is not installed.", f"Run: pip install 'edgekit[{extra}]'"
        )


class BadInput(EdgekitError):
    """A model, data set, recipe or weights file that cannot be used as it is."""

    exit_code = 3
    code = "bad-input"


class DeviceError(EdgekitError):
    """A device, runtime, disk or permission stands in the way."""

    exit_code = 4
    code = "device"


class EdgekitWarning(UserWarning):
    """Something the user should know that does not stop the work; the command line prints it and lists it in --json."""


def unknown(kind: str, name: str, known: Iterable[str], error: type[EdgekitError] = BadInput) -> EdgekitError:
    """The error for a name that is in no table: says it, and lists the known names, closest first."""
    names = list(known)
    lower = {one.lower(): one for one in reversed(names)}
    close = [lower[one] for one in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    rest = [n for n in names if n not in close]
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return error(f"Unknown {kind} {name!r}.", f"{guess}Known: {', '.join(close + rest)}.")
