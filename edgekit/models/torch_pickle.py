"""The pickles of torch files, read by an interpreter that cannot run anything.

Python's unpickler calls whatever the file names. This one knows the instructions that dictionaries of tensors need,
and a name can only be one of NAMES; every other name, and every other instruction, is refused when it is read.
Sources: torch/_utils.py (github.com/pytorch/pytorch) for the tensors, Python's pickletools for the instructions.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_DIMENSIONS = 32


class Damaged(Exception):
    """What is wrong with the file, as the end of a sentence."""


class Refused(Exception):
    """What the file asks for that tensors do not need."""


@dataclass(frozen=True, slots=True)
class Kind:
    """The element type of a storage; `wide` marks bfloat16, which numpy lacks: the upper half of a float32."""

    dtype: np.dtype
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    key: str
    kind: Kind
    elements: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies: sizes and strides in elements of its storage. Made by `_tensor`, which checks it."""

    storage: Storage
    offset: int
    sizes: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: Any, offset: Any, sizes: Any, strides: Any, *_: Any) -> Tensor:
    """torch._utils._rebuild_tensor_v2. Every element lies inside the storage, and no element repeats more often."""
    if not isinstance(storage, Storage):
        raise Damaged("a tensor has no storage")
    if not all(isinstance(values, tuple) for values in (sizes, strides)) or len(sizes) != len(strides):
        raise Damaged("a tensor's sizes and strides disagree")
    if len(sizes) > MAX_DIMENSIONS:
        raise Damaged(f"a tensor has {len(sizes)} dimensions")
    if any(type(value) is not int or not 0 <= value < 2**48 for value in (offset, *sizes, *strides)):
        raise Damaged("a tensor's size, stride or offset is not a sensible whole number")
    if math.prod(sizes):
        last = offset + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
        if last >= storage.elements or math.prod(sizes) > storage.elements:
            raise Damaged(f"a tensor of {list(sizes)} reaches beyond its storage of {storage.elements} elements")
    elif max(sizes) >= 2**31:
        raise Damaged("an empty tensor has an absurd size")
    return Tensor(storage, offset, sizes, strides)


def _parameter(value: Any, *_: Any) -> Tensor:
    """torch._utils._rebuild_parameter: a tensor and whether it is trained."""
    if not isinstance(value, Tensor):
        raise Damaged("a parameter is not a tensor")
    return value


def _dictionary(pairs: Any = ()) -> dict[Any, Any]:
    """collections.OrderedDict; a plain one keeps the order too."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        _set_item(found, key, value)
    return found


@dataclass(frozen=True, slots=True)
class Function:
    """The only things that REDUCE calls."""

    function: Callable[..., Any]


NAMES: dict[str, Function | Kind] = {
    "collections.OrderedDict": Function(_dictionary),
    "torch._utils._rebuild_tensor_v2": Function(_tensor),
    "torch._utils._rebuild_parameter": Function(_parameter),
    "torch.FloatStorage": Kind(np.dtype("<f4")),
    "torch.DoubleStorage": Kind(np.dtype("<f8")),
    "torch.HalfStorage": Kind(np.dtype("<f2")),
    "torch.BFloat16Storage": Kind(np.dtype("<u2"), wide=True),
    "torch.LongStorage": Kind(np.dtype("<i8")),
    "torch.IntStorage": Kind(np.dtype("<i4")),
    "torch.ShortStorage": Kind(np.dtype("<i2")),
    "torch.CharStorage": Kind(np.dtype("i1")),
    "torch.ByteStorage": Kind(np.dtype("u1")),
    "torch.BoolStorage": Kind(np.dtype("?")),
}

_MARK = object()


def _set_item(target: Any, key: Any, value: Any) -> None:
    """Keys are names and numbers: hashing a tuple of tuples of tuples ... takes forever."""
    if not isinstance(target, dict) or not isinstance(key, str | int):
        raise Damaged("a dictionary is not keyed by names")
    target[key] = value


class Reader:
    """Reads one pickle from `stream` and leaves it behind the end. `storages` are those it names, by key."""

    def __init__(self, stream: io.BytesIO) -> None:
        self._stream = stream
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.storages: dict[str, Storage] = {}

    def load(self) -> Any:
        """The value. Raises Refused for what tensors do not need, Damaged and ValueError for a broken pickle."""
        for opcode, argument, _ in pickletools.genops(self._stream):
            if opcode.name == "STOP":
                return self._stack.pop()
            if opcode.name in CONSTANTS:
                self._stack.append(argument)
            elif opcode.name in INSTRUCTIONS:
                INSTRUCTIONS[opcode.name](self, argument)
            else:
                raise Refused(f"it has the pickle instruction {opcode.name}, which tensors do not need")
        raise Damaged("it ends too early")  # pragma: no cover - genops raises ValueError first

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _since_mark(self) -> list[Any]:
        at = next((i for i in reversed(range(len(self._stack))) if self._stack[i] is _MARK), None)
        if at is None:
            raise Damaged("an instruction has no operands")
        found = self._stack[at + 1 :]
        del self._stack[at:]
        return found

    def _last(self, count: int) -> tuple[Any, ...]:
        if len(self._stack) < count:
            raise Damaged("an instruction has no operands")
        found = tuple(self._stack[len(self._stack) - count :])
        del self._stack[len(self._stack) - count :]
        return found

    def _name(self, full: str) -> None:
        if full not in NAMES:
            raise Refused(f"it names {full}, and tensors do not need that")
        self._stack.append(NAMES[full])

    def _stack_name(self, _: Any) -> None:
        self._name(".".join(map(str, self._last(2))))

    def _reduce(self, _: Any) -> None:
        function, arguments = self._last(2)
        if not isinstance(function, Function) or not isinstance(arguments, tuple):
            raise Refused("it calls what is no tensor")
        self._stack.append(function.function(*arguments))

    def _build(self, _: Any) -> None:
        """An OrderedDict's attributes (torch keeps versions there) are left out; nothing else has any."""
        target, _state = self._last(2)
        if not isinstance(target, dict):
            raise Refused("it sets attributes of what is no dictionary")
        self._stack.append(target)

    def _persistent(self, _: Any) -> None:
        """("storage", kind, key, device, elements[, view]): the only thing torch keeps outside the pickle."""
        (identity,) = self._last(1)
        if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
            raise Refused("it refers to something that is no storage")
        _, kind, key, _device, elements, *view = identity
        if not isinstance(kind, Kind) or type(elements) is not int or elements < 0 or not isinstance(key, str):
            raise Damaged("a storage is not described")
        if any(part is not None for part in view):
            raise Damaged("it has views of storages, which torch no longer writes")
        storage = self.storages.setdefault(key, Storage(key, kind, elements))
        if storage != Storage(key, kind, elements):
            raise Damaged(f"storage {key} is described twice")
        self._stack.append(storage)

    def _append(self, values: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise Damaged("it appends to what is no list")
        self._stack[-1].extend(values)

    def _set_items(self, values: list[Any]) -> None:
        for key, value in zip(values[::2], values[1::2], strict=True):
            _set_item(self._stack[-1], key, value)

    def _memoize(self, at: int | None) -> None:
        self._memo[len(self._memo) if at is None else at] = self._stack[-1]


NUMBERS = ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "INT", "LONG", "BINFLOAT")
STRINGS = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE", "BINSTRING", "SHORT_BINSTRING")
CONSTANTS = frozenset((*NUMBERS, *STRINGS))

INSTRUCTIONS: dict[str, Callable[[Reader, Any], None]] = {
    "PROTO": lambda self, argument: None,
    "FRAME": lambda self, argument: None,
    "NONE": lambda self, argument: self._push(None),
    "NEWTRUE": lambda self, argument: self._push(True),
    "NEWFALSE": lambda self, argument: self._push(False),
    "MARK": lambda self, argument: self._push(_MARK),
    "EMPTY_TUPLE": lambda self, argument: self._push(()),
    "EMPTY_LIST": lambda self, argument: self._push([]),
    "EMPTY_DICT": lambda self, argument: self._push({}),
    "TUPLE": lambda self, argument: self._push(tuple(self._since_mark())),
    "TUPLE1": lambda self, argument: self._push(self._last(1)),
    "TUPLE2": lambda self, argument: self._push(self._last(2)),
    "TUPLE3": lambda self, argument: self._push(self._last(3)),
    "LIST": lambda self, argument: self._push(self._since_mark()),
    "APPEND": lambda self, argument: self._append(list(self._last(1))),
    "APPENDS": lambda self, argument: self._append(self._since_mark()),
    "SETITEM": lambda self, argument: self._set_items(list(self._last(2))),
    "SETITEMS": lambda self, argument: self._set_items(self._since_mark()),
    "BINPUT": lambda self, argument: self._memoize(argument),
    "LONG_BINPUT": lambda self, argument: self._memoize(argument),
    "MEMOIZE": lambda self, argument: self._memoize(None),
    "BINGET": lambda self, argument: self._push(self._memo[argument]),
    "LONG_BINGET": lambda self, argument: self._push(self._memo[argument]),
    "GLOBAL": lambda self, argument: self._name(argument.replace(" ", ".")),
    "STACK_GLOBAL": Reader._stack_name,
    "REDUCE": Reader._reduce,
    "BUILD": Reader._build,
    "BINPERSID": Reader._persistent,
}
