from pathlib import Path

import pytest

from edgekit.errors import CheckFailed
from edgekit.runtime.dissect import inspect
from edgekit.runtime.embedded import with_embedded
from edgekit.runtime.escape import escaped
from edgekit.runtime.shippable import Shippable, shippable
from tests.described import described, picture_model, with_contract
from tests.measurement import slow_ops
from tests.runtime import hostile
from tests.runtime.one_op import one_op


def checked(folder: Path, content: bytes, runtime: str | None = None) -> Shippable:
    """Of a file that says of itself what little the standard can."""
    path = folder / "model.tflite"
    path.write_bytes(with_embedded(content, {"name": "m"}, {}))
    return shippable(inspect(path), runtime)


def test_a_file_that_says_nothing_of_itself_would_break_in_an_app() -> None:
    found = shippable(inspect(slow_ops.path("int8", "relu", 16, None)), "2.14")
    assert found.failed is not None and len(found.reasons) == 1 and "Nothing says how images" in found.reasons[0]
    assert "metadata set" in found.failed.remedy
    assert [word for word in ("contract", "metadata", "batch") if any(word in said for said in found.warnings)] == [
        "contract", "metadata", "batch"]  # fmt: skip


def test_a_described_file_passes(tmp_path: Path) -> None:
    found = shippable(inspect(described(tmp_path)))
    assert found.failed is None and found.warnings == (
        "It has no signature: callers find inputs and outputs by position alone.",)  # fmt: skip
    int8 = shippable(inspect(described(tmp_path, picture_model("int8"), preprocess="raw")))
    assert int8.failed is None and any("MediaPipe" in said and "int8" in said for said in int8.warnings)


def test_metadata_that_are_damaged_or_anothers_fail(tmp_path: Path) -> None:
    path = described(tmp_path)
    path.write_bytes(with_contract(path.read_bytes(), model_sha256="0" * 64))
    found = shippable(inspect(path))
    assert found.failed is not None and "metadata of another model" in found.reasons[0] and len(found.reasons) == 1


@pytest.mark.parametrize(("name", "word"), [("FlexErf", "Flex delegate"), ("Mine", "custom operators")])
def test_operators_from_elsewhere(name: str, word: str, tmp_path: Path) -> None:
    found = checked(tmp_path, hostile.custom(name))
    assert isinstance(found.failed, CheckFailed) and len(found.reasons) == 1
    assert word in found.reasons[0] and name in found.reasons[0]


def test_operators_newer_than_the_runtime_that_was_named(tmp_path: Path) -> None:
    gelu = one_op("GELU")
    assert checked(tmp_path, gelu).failed is None and checked(tmp_path, gelu, "2.9").failed is None
    old = checked(tmp_path, gelu, "2.8")
    assert old.failed is not None and "GELU version 1 needs 2.9" in old.reasons[0]


def test_a_version_that_no_table_knows_passes_no_check_of_versions(tmp_path: Path) -> None:
    found = checked(tmp_path, one_op("RELU", version=9), "2.20")
    assert any("RELU version 9" in said for said in found.reasons)


def test_open_sizes(tmp_path: Path) -> None:
    assert checked(tmp_path, hostile.opened(one_op("RELU"), (-1, 4, 4, 8))).failed is None
    found = checked(tmp_path, hostile.opened(one_op("RELU"), (1, -1, 4, 8)))
    assert found.failed is not None and "[1, -1, 4, 8]" in found.reasons[0]


def test_names_are_escaped(tmp_path: Path) -> None:
    found = checked(tmp_path, hostile.custom(hostile.NAME))
    assert found.failed is not None and str(found.failed).isprintable() and "\\x1b[2J" in found.reasons[0]
    assert escaped("plain/name:0") == "plain/name:0" and escaped("a\nb\u202e") == "a\\nb\\u202e"
    assert len(escaped("x" * 10_000)) < 400
