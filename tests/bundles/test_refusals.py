"""What gets no bundle, and why: one sentence, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.bundles.bundle import bundle
from edgekit.cli import main
from edgekit.errors import BadInput, UsageError
from edgekit.exporting.set_metadata import Changes, set_metadata
from edgekit.runtime.associated_files import files_of, with_files
from edgekit.runtime.embedded import read_embedded
from tests import tiny
from tests.bundles.conftest import LABELS


def refused(file: Path, target: str, out: Path) -> str:
    with pytest.raises(BadInput) as caught:
        bundle(file, target, out)
    assert not out.exists() and not out.with_name(f"{out.name}.zip").exists()
    return str(caught.value)


def test_a_file_that_says_nothing(tmp_path: Path) -> None:
    said = refused(tiny.path("fixed"), "rpi", tmp_path / "app")
    assert "does not say how images are prepared for it. Write it into the file: edgekit metadata set" in said
    unnamed = set_metadata(tiny.path("fixed"), Changes(preprocess="raw"), tmp_path / "unnamed.tflite")
    assert "does not say what its 6 classes are called" in refused(unnamed, "rpi", tmp_path / "app")


def test_what_a_target_does_not_run(classifiers: dict[str, Path], tmp_path: Path) -> None:
    said = refused(classifiers["fixed_int8_io"], "web", tmp_path / "app")
    assert "does not run on web: LiteRT.js takes no int8 inputs and outputs." in said
    assert "does not run on mcu: it has sizes that are known only while it runs." in refused(
        classifiers["float32"], "mcu", tmp_path / "app"
    )
    assert "has an open batch, which LiteRT.js does not take." in refused(
        classifiers["float32"], "web", tmp_path / "app"
    )


def test_no_litertjs_and_another_version(
    classifiers: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_RUNTIMES", str(tmp_path / "none"))
    monkeypatch.chdir(tmp_path)
    said = refused(classifiers["fixed"], "web", tmp_path / "app")
    assert "LiteRT.js, which is not installed here. Run: npm install @litertjs/core@2.5.3" in said
    package = tmp_path / "node_modules" / "@litertjs" / "core" / "package.json"
    package.parent.mkdir(parents=True)
    package.write_text('{"version": "1.0.0"}')
    assert "is @litertjs/core 1.0.0; the bundle is made for 2.5.3" in refused(
        classifiers["fixed"], "web", tmp_path / "app"
    )
    package.write_text("{")
    assert "cannot be read" in refused(classifiers["fixed"], "web", tmp_path / "app")


@pytest.mark.parametrize("there", ["app", "app.zip"])
def test_a_folder_that_exists_stays_as_it_is(classifiers: dict[str, Path], tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_text("mine")
    with pytest.raises(BadInput, match=rf"{there} exists already. Choose another folder with --out, or remove it."):
        bundle(classifiers["fixed"], "rpi", tmp_path / "app")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(there, "mine")]


def test_damaged_files(classifiers: dict[str, Path], tmp_path: Path) -> None:
    whole = classifiers["fixed"].read_bytes()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(whole[: len(whole) // 2])
    refused(cut, "rpi", tmp_path / "app")
    files = files_of(whole)
    flatbuffer = whole[: whole.index(b"PK\x03\x04")]
    for name, content in (
        ("golden-0.png", b"no picture"),
        ("golden-1-output-0.bin", b"\0"),
        ("golden-2-output-0.bin", b"\0\x7e"),
        ("edgekit.json", b"{}"),
    ):
        hostile = tmp_path / f"{name}.tflite"
        hostile.write_bytes(with_files(flatbuffer, {**files, name: content}))
        refused(hostile, "android", tmp_path / "app")


def test_golden_vectors_of_another_preprocessing(classifiers: dict[str, Path], tmp_path: Path) -> None:
    whole = classifiers["fixed"].read_bytes()
    contract = read_embedded(whole, "file").contract
    assert contract is not None and contract.preprocessing is not None
    other = contract.model_copy(update={"preprocessing": contract.preprocessing.model_copy(update={"channels": "bgr"})})
    file = tmp_path / "other.tflite"
    block = other.model_dump_json(by_alias=True).encode()
    file.write_bytes(with_files(whole[: whole.index(b"PK\x03\x04")], {**files_of(whole), "edgekit.json": block}))
    assert "golden vectors of another preprocessing" in refused(file, "rpi", tmp_path / "app")


def test_unknown_targets_and_options(classifiers: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Unknown target 'andriod'. Did you mean 'android'?"):
        bundle(classifiers["fixed"], "andriod", tmp_path / "app")
    with pytest.raises(UsageError, match="--packages says nothing for rpi"):
        bundle(classifiers["fixed"], "rpi", tmp_path / "app", tmp_path)


def test_the_command(classifiers: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "app"
    assert main(["bundle", str(classifiers["fixed"]), "--for", "ios", "--out", str(out)]) == 0
    assert "3 golden vectors" in capsys.readouterr().out
    assert main(["bundle", str(classifiers["fixed"]), "--for", "ios", "--out", str(out)]) == 3
    assert main(["bundle", str(classifiers["fixed"]), "--for", "fridge"]) == 2


def test_a_model_of_arrays_is_no_classifier(tmp_path: Path) -> None:
    from tests.runtime.one_op import one_op

    file = tmp_path / "relu.tflite"
    file.write_bytes(one_op("RELU"))
    assert "is no image classifier" in refused(file, "rpi", tmp_path / "app")
    assert np.array(LABELS).size == tiny.CLASSES
