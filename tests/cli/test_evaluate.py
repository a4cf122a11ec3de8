import json
import re
import shutil
from pathlib import Path

import pytest

from edgekit.cli import main
from tests import tiny


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return str(tiny.folder(tmp_path_factory.mktemp("images"), 30))


def run(capfd, *argv):
    """(exit code, stdout, stderr)"""
    code = main([str(word) for word in argv])
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    return code, said.out, said.err


def as_json(capfd, *argv):
    code, out, _ = run(capfd, *argv, "--json")
    envelope = json.loads(out)
    assert envelope["ok"] == (code == 0)
    return code, envelope


def test_a_table_and_each_file_against_the_first(capfd, images):
    files = [tiny.path("float32"), tiny.path("int8")]
    code, out, _ = run(capfd, "evaluate", *files, "--data", images, "--preprocess", "raw")
    assert code == 0 and re.search(r"int8\.tflite +30 +100\.0% \[\d\d\.\d%, 100\.0%\]", out) and "agreement" in out


def test_json_has_n_and_intervals(capfd, images):
    files = [tiny.path("float32"), tiny.path("int8")]
    _, found = as_json(capfd, "evaluate", *files, "--data", images, "--preprocess", "raw")
    first, second = found["result"]["files"]
    assert first["top1"]["value"] == 1.0 and first["top1"]["n"] == 30 and len(first["top1"]["ci95"]) == 2
    assert "against_first" not in first
    assert second["against_first"]["agreement"]["value"] == 1.0
    assert (second["against_first"]["gained"], second["against_first"]["lost"]) == (0, 0)


def test_everything_that_is_to_be_known(capfd, images, tmp_path):
    """Figures, flips, curves, layers, and the raw results that they come from."""
    files = [tiny.path("float32"), tiny.path("int8")]
    argv = ["evaluate", *files, "--data", images, "--preprocess", "raw", "--robustness", "--layers", "--top-k", 2]
    code, out, _ = run(capfd, *argv)
    told = ("below 70 %: no class", "most confused: nothing", "no temperature fits these answers", "ECE 0.",
            "McNemar (exact): p = 1", "classes that lose: none", "top-1 under corruptions", "parts from",
            "top2")  # fmt: skip
    assert code == 0 and not [one for one in told if one not in out]
    _, found = as_json(capfd, *argv, "--out", tmp_path / "out")
    kept = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "evaluation.json", "evaluation.html", "float32.csv", "float32.scores.npy", "int8.csv",
        "int8.scores.npy"}  # fmt: skip
    result = found["result"]
    assert [{**one, "rows": f"{name}.csv", "scores": f"{name}.scores.npy"}
            for one, name in zip(result["files"], ("float32", "int8"), strict=True)] == kept["files"]  # fmt: skip
    assert result["data_sha256"] == kept["data_sha256"] and len(result["robustness"]["points"]) == 2 * (1 + 7 * 3 + 4)
    assert result["layers"][0]["rows"][-1]["op"] == "SOFTMAX" and result["files"][0]["top2"]["value"] == 1.0


def test_labels_in_another_order_are_a_warning(capfd, images, tmp_path):
    order = tmp_path / "order"
    for number in range(6):
        (order / f"row{(number + 1) % 6}").mkdir(parents=True)
        for path in (Path(images) / f"row{number}").iterdir():
            shutil.copy(path, order / f"row{(number + 1) % 6}" / path.name)
    code, found = as_json(capfd, "evaluate", tiny.path("int8"), "--data", order, "--preprocess", "raw")
    assert code == 0 and found["result"]["files"][0]["top1"]["value"] == 0
    assert "classes seem to be in another order than the model's" in found["warnings"][0]


def test_preprocessing_from_a_json_block(capfd, images, tmp_path):
    block = tmp_path / "block.json"
    block.write_text(json.dumps({"height": 8, "width": 8, "mean": [0, 0, 0], "std": [1, 1, 1]}))
    code, _ = as_json(capfd, "evaluate", tiny.path("int8"), "--data", images, "--preprocess", block)
    assert code == 0


def test_without_a_card_the_preprocessing_is_asked_for(capfd, images):
    code, found = as_json(capfd, "evaluate", tiny.path("int8"), "--data", images)
    assert code == 2 and "no card" in found["error"]["message"]
    assert all(name in found["error"]["remedy"] for name in ("raw", "unit", "tf", "caffe", "imagenet"))


def bad(tmp_path):
    (tmp_path / "empty.tflite").touch()
    (tmp_path / "text.tflite").write_text("hello")
    (tmp_path / "cut.tflite").write_bytes(tiny.tflite("int8")[:1500])
    (tmp_path / "large.json").write_text('{"height": 16, "width": 16}')
    (tmp_path / "odd.json").write_text('{"height": 0, "width": 16}')
    (tmp_path / "few").mkdir()
    tiny.folder(tmp_path / "few", 3)
    good = tiny.path("int8")
    return {
        "missing": (tmp_path / "none.tflite", {}, 3, "does not exist"),
        "folder": (tmp_path, {}, 3, "is a folder"),
        "empty": (tmp_path / "empty.tflite", {}, 3, "it is empty"),
        "text": (tmp_path / "text.tflite", {}, 3, "is not a TensorFlow Lite model"),
        "cut": (tmp_path / "cut.tflite", {}, 3, "is damaged"),
        "size": (good, {"--preprocess": tmp_path / "large.json"}, 3, "expects 8x8 images, not 16x16"),
        "block": (good, {"--preprocess": tmp_path / "odd.json"}, 3, "height"),
        "preset": (good, {"--preprocess": "tff"}, 2, "Unknown preprocessing preset 'tff'"),
        "labels": (good, {"--data": tmp_path / "few"}, 3, "gives 6 scores and there are 3 labels"),
        "data": (good, {"--data": tmp_path / "nowhere"}, 3, "nowhere"),
        "workers": (good, {"--workers": 0}, 2, "--workers"),
        "batch": (good, {"--batch-size": -1}, 2, "--batch-size"),
    }


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "cut", "size", "block", "preset", "labels",
                                  "data", "workers", "batch"])  # fmt: skip
def test_bad_input(kind, capfd, images, tmp_path):
    file, changed, exit_code, words = bad(tmp_path)[kind]
    options = {"--data": images, "--preprocess": "raw", **changed}
    argv = ["evaluate", file, *(word for pair in options.items() for word in pair)]
    code, found = as_json(capfd, *argv)
    assert code == exit_code and words in found["error"]["message"] and found["error"]["remedy"]
    code, out, err = run(capfd, *argv)
    progress, _, sentence = err.rpartition("edgekit: ")
    assert (code, out) == (exit_code, "") and sentence.count("\n") == 1
    assert all(line.startswith("read images") for line in progress.splitlines())
