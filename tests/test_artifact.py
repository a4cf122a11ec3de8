import errno
import gzip
import json
import os
from pathlib import Path

import pytest

from edgekit.artifact import (
    Card,
    TensorSpec,
    gzip_size,
    load_artifact,
    save_artifact,
    sha256_of,
    write_bytes,
    write_json,
)
from edgekit.errors import BadInput
from edgekit.preprocess import preset

CONTENT = b"not really a model, but bytes" * 9


def card(content: bytes = CONTENT) -> Card:
    spec = TensorSpec(name="image", shape=(1, 8, 8, 3), dtype="int8", scale=1.0, zero_point=-128)
    return Card(edgekit="0", model="m", variant="int8", io="int8", sha256=sha256_of(content),
                model_sha256=sha256_of(content), size_bytes=len(content), model_bytes=len(content),
                gzip_bytes=gzip_size(content), inputs=(spec,), outputs=(spec,), output_meaning="probabilities",
                preprocessing=preset("raw", 8, 8), labels=("a", "b"), params=1, macs=2, recipe={}, seed=0, data={},
                versions={})  # fmt: skip


def test_an_artifact_reads_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = save_artifact(tmp_path / "deep" / "m.tflite", CONTENT, card())
    assert load_artifact(saved.path) == saved
    assert saved.content == CONTENT
    assert json.loads((tmp_path / "deep" / "m.card.json").read_text())["schema"] == 2
    assert sorted(p.name for p in saved.path.parent.iterdir()) == ["m.card.json", "m.tflite"]


def test_a_foreign_file_has_no_card(tmp_path: Path) -> None:
    (tmp_path / "x.tflite").write_bytes(CONTENT)
    assert load_artifact(tmp_path / "x.tflite").card is None


@pytest.mark.parametrize(
    ("harm", "says"),
    [("other file", "the SHA-256 differs"), ("unknown key", "is not a card: extra"), ("no json", "is not a card")],
)
def test_a_card_that_does_not_belong_is_refused(tmp_path: Path, harm: str, says: str) -> None:
    path = save_artifact(tmp_path / "m.tflite", CONTENT, card()).path
    beside = tmp_path / "m.card.json"
    if harm == "other file":
        path.write_bytes(b"changed")
    elif harm == "unknown key":
        write_json(beside, {**json.loads(beside.read_text()), "extra": 1})
    else:
        beside.write_text("no json")
    with pytest.raises(BadInput, match=says):
        load_artifact(path)


@pytest.mark.parametrize("what", ["folder", "nothing"])
def test_what_is_no_file_is_named(tmp_path: Path, what: str) -> None:
    path = tmp_path if what == "folder" else tmp_path / "none.tflite"
    with pytest.raises(BadInput, match="is a folder" if what == "folder" else "does not exist"):
        load_artifact(path)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.tflite"
    write_bytes(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)  # a full disk shows when the data is flushed
    with pytest.raises(OSError, match="No space left"):
        write_bytes(path, b"new" * 1000)
    assert [p.name for p in tmp_path.iterdir()] == ["m.tflite"]
    assert path.read_bytes() == b"old"


def test_json_refuses_what_is_not_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"top1": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_gzip_size_is_what_gzip_makes() -> None:
    assert gzip_size(CONTENT) == len(gzip.compress(CONTENT, 9, mtime=0)) < len(CONTENT)
