"""The GPU: reported for what it is, its outputs held against the CPU's, and never the CPU in its place."""

import json

import pytest

from edgekit.errors import DeviceError, UsageError
from edgekit.measurement.bench import Setting, bench
from edgekit.measurement.gpu import check_outputs, held_against_cpu, lines
from edgekit.runtime.computes_in import computes_in
from tests import tiny
from tests.measurement import slow_ops, vulkan
from tests.measurement.example import measured

FAST = {"protocol": "quick", "processes": 1, "min_runs": 2, "min_seconds": 0.0}


@pytest.fixture
def driver(monkeypatch):
    for name, value in vulkan.variables().items():
        monkeypatch.setenv(name, value)


@pytest.mark.gpu
@pytest.mark.parametrize("variant", ["float32", "float16"])
def test_a_float_file_gives_the_cpus_outputs(driver, variant):
    found = bench(slow_ops.path(variant), device="gpu", **FAST)
    gpu = found.conditions["gpu"]
    assert found.device == "gpu" and found.latency_ms.n >= 2
    assert gpu["adapter"] and gpu["gpu_operators"] > 0 and gpu["cpu_operators"] == 0
    assert gpu["software"] == ("SwiftShader" in gpu["adapter"] or "llvmpipe" in gpu["adapter"])
    assert gpu["within"] and gpu["computes_in"] == variant and gpu["max_relative"] <= gpu["tolerance"]
    assert check_outputs([found]) is None
    said = "\n".join(lines(found.summary()))
    assert gpu["adapter"] in said and ("software adapter" in said) == gpu["software"]
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["conditions"]["gpu"] == gpu


@pytest.mark.gpu
def test_two_files_take_turns_on_it(driver):
    one, other = bench([slow_ops.path("float32"), tiny.path("fixed")], device="gpu", **FAST)
    assert one.device == other.device == "gpu" and one.sha256 != other.sha256


@pytest.mark.gpu
def test_an_open_batch_is_one_and_computed_shapes_are_refused(driver):
    assert bench(slow_ops.path("float32", "relu", 16, None), device="gpu", **FAST).conditions["gpu"]["within"]
    with pytest.raises(DeviceError, match="cannot take it: it has sizes that are known only while it runs"):
        bench(tiny.path("float32"), device="gpu", **FAST)


@pytest.mark.gpu
def test_what_the_gpu_does_not_take_is_said_or_refused(driver):
    """Of an int16 file it takes little or nothing."""
    try:
        found = bench(slow_ops.path("int16x8", "relu"), device="gpu", **FAST)
    except DeviceError as refused:
        assert "none of its operators" in refused.fact or "cannot take it" in refused.fact
        return
    gpu = found.conditions["gpu"]
    assert gpu["cpu_operators"] > 0 and any("INT16" in one for one in gpu["outside"])
    assert any("partly accelerated" in one for one in lines(found.summary()))


def test_without_a_driver_it_is_a_device_error_with_its_remedy(monkeypatch):
    for name, value in vulkan.NONE.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DeviceError, match="there is no GPU that the runtime can use") as refused:
        bench(tiny.path("fixed"), device="gpu", **FAST)
    assert refused.value.exit_code == 4 and refused.value.remedy.startswith("Install a Vulkan driver")


def gpu_answer(max_abs, **fields):
    return {
        "adapter": "A", "backend": "Vulkan", "type": "discrete", "software": False, "gpu_operators": 3,
        "cpu_operators": 0, "outside": [], "outputs": [{"name": "y", "max_abs": max_abs, "largest": 2.0}], **fields,
    }  # fmt: skip


def test_outputs_out_of_tolerance_fail_the_check():
    content = tiny.tflite("fixed")
    near, far, broken = (held_against_cpu(content, gpu_answer(one)) for one in (0.001, 0.5, None))
    assert (near["within"], far["within"], broken["within"]) == (True, False, False)
    assert far["max_relative"] == 0.25 and broken["max_relative"] is None
    results = [measured("a.tflite", device="gpu", conditions={"gpu": one}) for one in (near, far)]
    failed = check_outputs(results)
    assert failed is not None and failed.exit_code == 1 and "a.tflite: up to 0.5 from the CPU's, 25 %" in failed.fact
    assert check_outputs(results[:1]) is None
    assert "not finite" in check_outputs([measured("b.tflite", device="gpu", conditions={"gpu": broken})]).fact


@pytest.mark.parametrize("variant", ["float32", "float16", "dynamic", "int8"])
def test_what_a_file_computes_in(variant):
    assert computes_in(slow_ops.path(variant).read_bytes()) == variant


def test_a_gpus_thread_may_wait():
    """Thousands of voluntary pauses and an idle core are how a GPU is waited for."""
    about = {"gpu": held_against_cpu(tiny.tflite("fixed"), gpu_answer(0.0))}
    waits = {"cpu_ns": (1,) * 10, "wall_ns": (100_000_000,) * 10, "switches": ({"involuntary": 9000},) * 10}
    assert measured(device="gpu", conditions=about, **waits).verdict.name == "steady"
    assert measured(device="cpu", **waits).verdict.name == "unstable"


@pytest.mark.parametrize("wrong", [{"batch": 2}, {"xnnpack": False}])
def test_settings_of_the_cpu(wrong):
    with pytest.raises(UsageError, match="are of the CPU"):
        Setting(device="gpu", **wrong)
    with pytest.raises(UsageError, match="Unknown device 'tpu'"):
        Setting(device="tpu")
