"""How long work tells what it is doing. The library never prints: a caller passes a Reporter and draws it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` units of `stage` are finished; `note` is a short reading such as a loss."""

    stage: str
    done: int
    total: int
    note: str = ""


Reporter = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """The default Reporter."""
