"""Torch files are read without torch, and nothing in them is ever run."""

from __future__ import annotations

import collections
import io
import os
import pickle
import subprocess
import sys
import types
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import BadInput
from edgekit.models.torch_weights import LEGACY_MAGIC, LEGACY_PROTOCOL, read_torch

KINDS = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}
KINDS |= {"int32": "IntStorage", "uint8": "ByteStorage", "bool": "BoolStorage"}


def named(module: str, name: str) -> type:
    """Something that pickles as module.name."""
    return type(name, (), {"__module__": module, "__qualname__": name})


class Stored:
    """A tensor as torch pickles it; sizes and strides may be forged."""

    def __init__(self, array: np.ndarray, **forged: Any) -> None:
        array = np.ascontiguousarray(array)
        self.array, self.forged = array, forged
        self.key = f"key{id(self)}"

    def __reduce__(self) -> tuple[Any, ...]:
        strides = tuple(step // self.array.itemsize for step in self.array.strides)
        values = {"storage": self, "offset": 0, "sizes": self.array.shape, "strides": strides} | self.forged
        rebuild = FUNCTIONS["_rebuild_tensor_v2"]
        place = Place(values["storage"])
        return rebuild, (place, values["offset"], values["sizes"], values["strides"], False, collections.OrderedDict())


class Place:
    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


def function(module: str, name: str) -> types.FunctionType:
    made = types.FunctionType((lambda *a: None).__code__, globals(), name)
    made.__module__, made.__qualname__ = module, name
    return made


FUNCTIONS = {"_rebuild_tensor_v2": function("torch._utils", "_rebuild_tensor_v2")}
STORAGES = {name: named("torch", name) for name in KINDS.values()}


@pytest.fixture(autouse=True)
def torch_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python pickles a name only if it can be imported: modules of torch's names, for writing alone."""
    for name, members in (("torch", STORAGES), ("torch._utils", FUNCTIONS)):
        module = types.ModuleType(name)
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, name, module)


class Writer(pickle.Pickler):
    def __init__(self, file: Any, view: bool) -> None:
        super().__init__(file, protocol=2)
        self.view, self.stored = view, {}

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Place):
            return None
        if not isinstance(value.tensor, Stored):
            return value.tensor
        array = value.tensor.array
        self.stored[value.tensor.key] = array
        identity = ("storage", STORAGES[KINDS[array.dtype.name]], value.tensor.key, "cpu", array.size)
        return (*identity, None) if self.view else identity


def save_zip(path: Path, content: Any, **members: bytes) -> Path:
    """As torch >= 1.6 writes it."""
    file = io.BytesIO()
    writer = Writer(file, view=False)
    writer.dump(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", file.getvalue())
        for key, array in writer.stored.items():
            archive.writestr(f"weights/data/{key}", array.tobytes())
        for name, value in members.items():
            archive.writestr(f"weights/{name}", value)
    return path


def save_legacy(path: Path, content: Any) -> Path:
    """As torch < 1.6 writes it."""
    with path.open("wb") as file:
        for value in (LEGACY_MAGIC, LEGACY_PROTOCOL, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(value, file, protocol=2)
        writer = Writer(file, view=True)
        writer.dump(content)
        pickle.dump(sorted(writer.stored), file, protocol=2)
        for key in sorted(writer.stored):
            file.write(writer.stored[key].size.to_bytes(8, "little") + writer.stored[key].tobytes())
    return path


def arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {
        "conv.weight": generator.normal(size=(4, 3, 2, 2)).astype(np.float32),
        "bn.running_mean": generator.normal(size=4),
        "half": generator.normal(size=(2, 5)).astype(np.float16),
        "bn.num_batches_tracked": np.array(7),
        "mask": np.array([True, False, True]),
        "none": np.zeros((0, 3), np.float32),
    }


SAVE = {"zip": save_zip, "legacy": save_legacy}


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_every_tensor_comes_out_as_it_went_in(save: Any, tmp_path: Path) -> None:
    want = arrays()
    content = collections.OrderedDict((name, Stored(array)) for name, array in want.items())
    content._metadata = {"": {"version": 1}}  # torch keeps it as an attribute: a BUILD instruction
    got = read_torch(save(tmp_path / "weights.pth", content))
    assert list(got) == list(want)
    for name, array in want.items():
        assert got[name].dtype == array.dtype and not got[name].flags.writeable
        np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_views_offsets_and_checkpoints(save: Any, tmp_path: Path) -> None:
    whole = np.arange(24, dtype=np.float32)
    transposed = Stored(whole, offset=4, sizes=(3, 5), strides=(1, 4))
    content = {"epoch": 3, "loss": 0.5, "done": None, "state_dict": {"t": transposed}, "lr": [1, (2, 3)]}
    got = read_torch(save(tmp_path / "checkpoint.pt", content))
    want = np.lib.stride_tricks.as_strided(whole[4:], (3, 5), (4, 16))
    assert list(got) == ["t"]
    np.testing.assert_array_equal(got["t"], want)


class Attack:
    """Pickles as a call of any function."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


def attacks(canary: Path) -> dict[str, Any]:
    """What would write the canary, or read it, were anything run."""
    write = f"open({str(canary)!r}, 'w').write('x')"
    return {
        "os.system": Attack(os.system, f"touch {canary}"),
        "eval": Attack(eval, write),
        "exec": Attack(exec, write),
        "open": Attack(open, str(canary), "w"),
        "subprocess": Attack(subprocess.check_call, ["touch", str(canary)]),
        "getattr": Attack(getattr, canary, "touch"),
        "numpy": np.arange(3),
        "class": Path(canary),
        "import": Attack(__import__, "os"),
        "a called tensor": Attack(FUNCTIONS["_rebuild_tensor_v2"], Attack(os.system, f"touch {canary}"), 0, (1,), (1,)),
        "hooks": Stored(np.zeros(1, np.float32), strides=(Attack(os.system, f"touch {canary}"),)),
        "a called storage": Attack(STORAGES["FloatStorage"], 3),
    }


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@pytest.mark.parametrize("name", list(attacks(Path())))
def test_a_pickle_that_would_run_code_is_refused_and_not_run(name: str, save: Any, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    file = save(tmp_path / "evil.pth", {"good": Stored(np.zeros(3, np.float32)), "bad": attacks(canary)[name]})
    with pytest.raises(BadInput, match=r"refused, and nothing in it was run.*(names|calls)"):
        read_torch(file)
    assert not canary.exists()


def test_the_first_pickles_of_the_legacy_format_are_refused_as_well(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for position in range(3):
        parts = [LEGACY_MAGIC, LEGACY_PROTOCOL, {"little_endian": True}]
        parts[position] = Attack(os.system, f"touch {canary}")
        file = tmp_path / f"evil{position}.pth"
        file.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts))
        with pytest.raises(BadInput, match="names posix.system"):
            read_torch(file)
    assert not canary.exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_every_pickle_protocol_is_refused(protocol: int, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    file = tmp_path / "evil.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", pickle.dumps(Attack(os.system, f"touch {canary}"), protocol=protocol))
    with pytest.raises(BadInput, match="refused"):
        read_torch(file)
    assert not canary.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"(S'x'\ni__main__\nAttack\n.",  # INST
        b"c__builtin__\neval\n(S'1'\ntR.",  # protocol 0
        b"\x80\x02ccollections\nOrderedDict\n)\x81.",  # NEWOBJ
        b"\x80\x02\x82\x01.",  # EXT1
        b"\x80\x02ctorch\nFloatStorage\n}X\x01\x00\x00\x00aK\x01sb.",  # attributes of a name
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x0c\x00\x00\x00__defaults__)sb.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
        b"\x80\x02X\x02\x00\x00\x00os\x85Q.",  # a persistent id that is no storage
        b"\x80\x05\x96\x01\x00\x00\x00\x00\x00\x00\x00a.",  # BYTEARRAY8
    ],
)
def test_other_instructions_are_refused(code: bytes, tmp_path: Path) -> None:
    file = tmp_path / "evil.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a/data.pkl", code)
    with pytest.raises(BadInput, match="refused"):
        read_torch(file)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
@pytest.mark.parametrize(
    "forged",
    [
        {"sizes": (25,)},
        {"sizes": (2, 13), "strides": (12, 1)},
        {"offset": 1},
        {"offset": -1},
        {"offset": 10**30},
        {"strides": (-1,)},
        {"strides": (10**18,)},
        {"sizes": (-24,)},
        {"sizes": (10**12,), "strides": (0,)},
        {"sizes": (2**63, 2), "strides": (0, 0)},
        {"sizes": (0, 10**12), "strides": (1, 1)},
        {"sizes": (24.0,)},
        {"sizes": (True,)},
        {"sizes": 24},
        {"sizes": (2, 12)},
        {"sizes": (1,) * 40, "strides": (1,) * 40},
        {"storage": ("storage", "FloatStorage", "a", "cpu", 24)},
        {"storage": ("storage", STORAGES["FloatStorage"], "a", "cpu", -1)},
        {"storage": ("storage", STORAGES["FloatStorage"], "missing", "cpu", 24)},
        {"storage": ("storage", STORAGES["FloatStorage"], "a", "cpu", 24, ("view", 0, 2))},
    ],
    ids=str,
)
def test_a_tensor_never_reaches_beyond_its_storage(forged: dict[str, Any], save: Any, tmp_path: Path) -> None:
    tensor = Stored(np.arange(24, dtype=np.float32), **forged)
    with pytest.raises(BadInput, match="not a whole torch file"):
        read_torch(save(tmp_path / "forged.pth", {"good": Stored(np.zeros(3, np.float32)), "t": tensor}))


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_a_file_cut_anywhere_is_damaged(save: Any, tmp_path: Path) -> None:
    content = save(tmp_path / "whole.pth", {name: Stored(array) for name, array in arrays().items()}).read_bytes()
    file = tmp_path / "cut.pth"
    for size in [*range(0, len(content) - 1, 7), len(content) - 1]:
        file.write_bytes(content[:size])
        with pytest.raises(BadInput):
            read_torch(file)


@pytest.mark.parametrize("save", SAVE.values(), ids=SAVE)
def test_changed_bytes_give_tensors_or_a_sentence(save: Any, tmp_path: Path) -> None:
    content = save(tmp_path / "whole.pth", {name: Stored(array) for name, array in arrays().items()}).read_bytes()
    generator = np.random.default_rng(0)
    file = tmp_path / "mutant.pth"
    refused = 0
    for _ in range(400):
        mutant = bytearray(content)
        mutant[generator.integers(len(mutant))] = generator.integers(256)
        file.write_bytes(mutant)
        try:
            assert all(isinstance(array.sum(), np.generic) for array in read_torch(file).values())
        except BadInput:
            refused += 1
    assert refused > 50


def test_a_compressed_or_overfull_archive_is_refused(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pth"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}))
        archive.writestr("a/data/0", bytes(10_000_000))
    with pytest.raises(BadInput, match="compressed"):
        read_torch(bomb)


def test_one_storage_is_not_multiplied(tmp_path: Path) -> None:
    tensor = Stored(np.zeros(10_000, np.float32))
    content = {
        f"t{i}": Stored(np.zeros(1, np.float32), storage=tensor, sizes=(10_000,), strides=(1,)) for i in range(40)
    }
    with pytest.raises(BadInput, match="many times larger"):
        read_torch(save_zip(tmp_path / "shared.pth", content))


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "not a whole torch file"), (b"hello, this is text", "not a whole"), (b"PK\x03\x04", "not a whole")],
)
def test_what_is_no_torch_file(content: bytes, said: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=said):
        read_torch(file)


def test_files_without_tensors(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no tensors"):
        read_torch(save_zip(tmp_path / "empty.pth", {"epoch": 1}))
    with pytest.raises(BadInput, match="it holds a list"):
        read_torch(save_zip(tmp_path / "list.pth", [1, 2]))
    with pytest.raises(BadInput, match="big-endian"):
        read_torch(save_zip(tmp_path / "big.pth", {}, byteorder=b"big"))
    with pytest.raises(BadInput, match="cannot be read"):
        read_torch(tmp_path / "missing.pth")
