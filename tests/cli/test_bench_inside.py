"""edgekit bench with a look inside, and on the GPU: what is printed, the exit codes, damaged files on every path."""

import collections

import numpy as np
import pytest

from tests import tiny
from tests.cli.test_damaged_models import mutant
from tests.cli.test_evaluate import as_json, run
from tests.measurement import slow_ops, vulkan
from tests.runtime.one_op import made, one_op

FAST = ["--processes", "1", "--runs", "3", "--seconds", "0", "--quick", "--no-store"]
MUTANTS = 100


@pytest.fixture(scope="module", autouse=True)
def files():
    """Converted before anything is captured: the converter writes to stdout."""
    for variant in ("int8", "fixed"):
        tiny.path(variant)
    for about in (("int8",), ("int8", "relu"), ("float32",)):
        slow_ops.path(*about)


def test_the_profile_is_a_table_with_bars_and_advice(capfd):
    code, out, _ = run(capfd, "bench", slow_ops.path("int8"), "--profile", *FAST)
    assert code == 0 and "█" in out and "add up to" in out
    assert "runtime   HARD_SWISH int8" in out and "2 x HARD_SWISH: XNNPACK has HARD_SWISH in float32 alone" in out
    assert "Advice\n- Hard-swish has no 8-bit kernel" in out and "steps: [{rewrite: {hard_swish: exact}}]" in out


def test_the_profile_in_json(capfd):
    code, found = as_json(capfd, "bench", slow_ops.path("int8"), "--profile", *FAST)
    (inside,) = found["result"]["inside"]
    assert code == 0 and inside["profile"]["sum_us"] > 0 and inside["placement"]["delegated"] == 7
    assert [one["name"] for one in inside["advice"]] == ["hard-swish-int8"]


def test_required_delegation(capfd):
    code, found = as_json(capfd, "bench", slow_ops.path("int8"), "--require-delegated", "95", *FAST)
    assert code == 1 and "2 x HARD_SWISH int8" in found["error"]["message"]
    assert found["result"]["files"] and found["result"]["inside"][0]["profile"] is None
    assert run(capfd, "bench", slow_ops.path("int8", "relu"), "--require-delegated", "100", *FAST)[0] == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--require-delegated", "101"], "--require-delegated"),
        (["--device", "gpu", "--profile"], "are of the device cpu"),
        (["--device", "gpu", "--batch", "2"], "are of the CPU"),
    ],
)
def test_options_that_exclude_each_other(capfd, argv, words):
    code, found = as_json(capfd, "bench", tiny.path("int8"), *argv, *FAST)
    assert code == 2 and words in found["error"]["message"] and found["error"]["remedy"]


def test_no_driver_is_exit_code_4(capfd, monkeypatch):
    for name, value in vulkan.NONE.items():
        monkeypatch.setenv(name, value)
    code, found = as_json(capfd, "bench", tiny.path("fixed"), "--device", "gpu", *FAST)
    assert code == 4 and found["error"]["code"] == "device" and "Vulkan" in found["error"]["remedy"]


@pytest.mark.gpu
def test_a_software_adapter_is_called_one(capfd, monkeypatch):
    for name, value in vulkan.variables().items():
        monkeypatch.setenv(name, value)
    code, out, _ = run(capfd, "bench", slow_ops.path("float32"), "--device", "gpu", *FAST)
    assert code == 0 and "from the CPU's" in out
    assert ("SwiftShader" not in out) or "(a software adapter: this is no GPU's speed)" in out


def test_a_file_that_is_newer_than_the_runtime(capfd, tmp_path):
    new = tmp_path / "new.tflite"
    new.write_bytes(one_op("ADD", inputs=((1, 4),) * 2, output=(1, 4), options=made("Add"), version=99))
    for extra in ([], ["--profile"], ["--device", "gpu"]):
        code, found = as_json(capfd, "bench", new, *extra, *FAST)
        assert code == 3 and "version 99 of ADD" in found["error"]["message"]


@pytest.mark.slow
@pytest.mark.parametrize("extra", [["--profile", "--require-delegated", "0"], ["--device", "gpu"]])
def test_a_hundred_damaged_files(capfd, tmp_path, monkeypatch, extra):
    if "gpu" in extra:
        for name, value in vulkan.variables().items():
            monkeypatch.setenv(name, value)
    content = slow_ops.path("int8").read_bytes()
    generator = np.random.default_rng(20241)
    file, codes = tmp_path / "mutant.tflite", collections.Counter()
    for _ in range(MUTANTS):
        file.write_bytes(mutant(content, generator))
        code, found = as_json(capfd, "bench", file, *extra, *FAST)
        # 1: a damaged weight can be one that the GPU computes otherwise; 4: the GPU's driver crashed, or refused it.
        assert code in (0, 3, 4) or (code == 1 and "gpu" in extra)
        assert found["ok"] == (code == 0) and (code == 0 or found["error"]["code"] != "internal")
        codes[code] += 1
    assert sum(codes.values()) == MUTANTS and codes[3] and codes[0]
