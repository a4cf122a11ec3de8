"""Names out of a file, made safe to show: an untrusted file may call its tensors anything."""

from __future__ import annotations

LONGEST = 300


def escaped(name: str) -> str:
    """Control characters, line ends and what changes the direction of writing as \\x1b, \\n, \\u202e; at most LONGEST
    characters."""
    safe = "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in name[:LONGEST])
    return safe + "…" if len(name) > LONGEST else safe
