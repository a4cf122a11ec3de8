"""Values as literals of C++, Kotlin and Swift. What comes out of a file is data: it never ends a string early."""

from __future__ import annotations

import numpy as np

_COMMON = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def c_string(text: str) -> str:
    """UTF-8 with octal escapes, which have at most three digits: a hexadecimal one would swallow what follows. `?` is
    escaped because of trigraphs."""
    held = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{held}"'


def kotlin_string(text: str) -> str:
    """UTF-16 escapes; `$` would begin a template."""
    return f'"{"".join(_utf16(one) if one == "$" or not _plain(one) else _COMMON.get(one, one) for one in text)}"'


def swift_string(text: str) -> str:
    """`\\(` would begin an interpolation, and no backslash is left alone."""
    return f'"{"".join(_COMMON.get(one, one if _plain(one) else _scalar(one)) for one in text)}"'


def _plain(character: str) -> bool:
    return " " <= character <= "~"


def _utf16(character: str) -> str:
    units = np.frombuffer(character.encode("utf-16-le"), "<u2")
    return "".join(f"\\u{unit:04x}" for unit in units)


def _scalar(character: str) -> str:
    return "\\u{" + f"{ord(character):x}" + "}"


def single(value: float) -> str:
    """The float32 nearest to a value, in digits that no compiler rounds otherwise."""
    return repr(float(np.float32(value)))


def double(value: float) -> str:
    return repr(float(value))


def yes(value: bool) -> str:
    return "true" if value else "false"
