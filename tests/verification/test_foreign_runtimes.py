"""The real foreign runtimes, where they are added: edgekit runtime add tflite-runtime tflm mediapipe browser."""

from pathlib import Path

import pytest

from edgekit.compression.rewrite import rewrite
from edgekit.exporting.convert import convert
from edgekit.exporting.freeze import freeze
from edgekit.models.zoo import build
from edgekit.runtime.arena import arena
from edgekit.runtime.flatbuffer import pack, parse
from edgekit.step_config import Rewrite
from edgekit.verification.environments import Missing, find
from edgekit.verification.foreign import FOREIGN
from edgekit.verification.rows import ROWS
from edgekit.verification.verify import Verification, verify
from tests import tiny
from tests.described import described
from tests.measurement import slow_ops, vulkan


@pytest.fixture
def alone(request, monkeypatch):
    """Of the table only what a test asks for, and LiteRT's own kernels."""

    def only(*names: str) -> None:
        for name in names:
            found = find(name) if name in FOREIGN else None
            if isinstance(found, Missing):
                pytest.skip(f"{name}: {found.reason} ({found.remedy})")
        for name in list(ROWS):
            if name not in ("litert", "litert-plain", "litert-reference", *names):
                monkeypatch.delitem(ROWS, name)

    return only


def closed(content: bytes, folder: Path) -> Path:
    """The same file with a batch of 1, which LiteRT.js wants of 8-bit inputs."""
    model = parse(content)
    for tensor in model.subgraphs[0].tensors:
        tensor.shapeSignature = None
    path = folder / "closed.tflite"
    path.write_bytes(pack(model))
    return path


def row(found: Verification, name: str):
    return next(one for one in found.results if one.name == name)


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_tflite_runtime(alone, variant: str) -> None:
    alone("tflite-runtime")
    found = verify(slow_ops.path(variant, "relu"), require=["tflite-runtime"])
    one = row(found, "tflite-runtime")
    assert found.failed is None and one.status in ("equal", "within") and one.runtime == "tflite-runtime 2.14.0"


def test_tflite_runtime_wants_dense_layers_of_dynamic_range_as_convolutions(alone, tmp_path: Path) -> None:
    """Those with a scale an output are newer than it is."""
    alone("tflite-runtime")
    model = build("lenet5", classes=10, input_shape=(32, 32, 3))
    paths = [tmp_path / "as_it_is.tflite", tmp_path / "rewritten.tflite"]
    for path, one in zip(paths, (model, rewrite(model, Rewrite(dense="conv")).model), strict=True):
        path.write_bytes(convert(freeze(one), "dynamic"))
    refused, runs = (row(verify(path), "tflite-runtime") for path in paths)
    assert refused.status == "failed" and "'FULLY_CONNECTED' version '12'" in refused.reason
    assert runs.status in ("equal", "within")


def test_tflm_and_the_arena_it_needs(alone) -> None:
    alone("tflm")
    path = slow_ops.path("int8", "relu")
    found = verify(path, require=["tflm"])
    one = row(found, "tflm")
    assert found.failed is None and one.status in ("equal", "within")
    assert one.notes is not None and one.runtime.startswith("tflite-micro 0.dev")
    estimate = arena(path.read_bytes())
    assert estimate is not None and abs(one.notes["arena_bytes"] - estimate.total) <= 0.1 * estimate.total


def test_tflm_refuses_what_it_cannot_run(alone) -> None:
    alone("tflm")
    one = row(verify(slow_ops.path("dynamic", "relu")), "tflm")
    assert one.status == "failed" and one.reason


@pytest.mark.browser
@pytest.mark.parametrize("variant", ["float32", "int8", "uint8_io"])
def test_browser(alone, variant: str, tmp_path: Path) -> None:
    alone("browser")
    path = slow_ops.path(variant, "relu") if variant != "uint8_io" else closed(tiny.tflite(variant), tmp_path)
    found = verify(path, require=["browser"])
    one = row(found, "browser")
    assert found.failed is None and one.status in ("equal", "within") and one.runtime == "@litertjs/core 2.5.3"


@pytest.mark.browser
def test_the_browser_takes_no_int8_ends(alone) -> None:
    alone("browser")
    one = row(verify(tiny.path("int8_io")), "browser")
    assert one.status == "failed" and "INT8 is not supported" in one.reason


@pytest.mark.pi
@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_aarch64(alone, variant: str) -> None:
    """int8 kernels of XNNPACK give the same bits on both."""
    alone("aarch64")
    found = verify(slow_ops.path(variant, "relu"))
    one = row(found, "aarch64")
    if one.status == "skipped":
        pytest.skip(f"{one.reason} ({one.remedy})")
    assert found.failed is None and one.runtime.startswith("ai-edge-litert ")
    assert one.status == "equal" or variant == "float32"


@pytest.mark.parametrize("variant", ["float32", "uint8_io"])
def test_mediapipe(alone, variant: str, tmp_path: Path) -> None:
    """It reads the normalization out of the file, and takes the golden pictures too."""
    alone("mediapipe")
    given = tmp_path / "given"
    given.mkdir()
    content = closed(tiny.tflite(variant), given).read_bytes()
    labels = tuple(f"row{number}" for number in range(tiny.CLASSES))
    found = verify(described(tmp_path, content, labels=labels, preprocess="raw"), require=["mediapipe"])
    one = row(found, "mediapipe")
    assert found.failed is None and found.inputs == {"golden": 3, "seeded": 4, "images": 0}
    assert one.status in ("equal", "within") and one.difference is not None and one.difference.agreement == 1.0


@pytest.mark.gpu
def test_gpu(alone, monkeypatch) -> None:
    for name, value in vulkan.variables().items():
        monkeypatch.setenv(name, value)
    alone("litert-gpu")
    found = verify(slow_ops.path("float32", "relu"), require=["litert-gpu"])
    one = row(found, "litert-gpu")
    assert found.failed is None and one.notes is not None and one.notes["adapter"]


def test_no_gpu_is_skipped(alone, monkeypatch) -> None:
    for name, value in vulkan.NONE.items():
        monkeypatch.setenv(name, value)
    alone("litert-gpu")
    one = row(verify(tiny.path("fixed")), "litert-gpu")
    assert one.status == "skipped" and "no GPU" in one.reason
