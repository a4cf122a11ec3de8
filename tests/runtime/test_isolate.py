import copy
import os
import signal
import time

import pytest

from edgekit.errors import BadInput, MissingExtra
from edgekit.runtime import isolate
from edgekit.runtime.probe import probe
from tests import tiny
from tests.runtime.test_validate import altered


def double(x):
    return 2 * x


def die(*_):
    os.kill(os.getpid(), signal.SIGSEGV)


def refuse():
    raise MissingExtra("This", "train")


def shout():
    os.write(1, b"on stdout")
    os.write(2, b"on stderr")


def test_results_come_in_the_order_of_the_calls():
    assert list(isolate.each(double, [(i,) for i in range(20)], what="f", timeout=60, workers=2)) == list(
        range(0, 40, 2)
    )


def test_a_crash_is_an_error_and_the_next_call_works():
    with pytest.raises(BadInput, match=r"^bad\.tflite crashes the runtime"):
        isolate.call(die, what="bad.tflite", timeout=60)
    assert isolate.call(double, 4, what="good.tflite", timeout=60) == 8


def test_a_call_that_hangs_is_ended():
    with pytest.raises(BadInput, match=r"^slow\.tflite did not finish within 0\.5 seconds"):
        isolate.call(time.sleep, 60, what="slow.tflite", timeout=0.5)
    assert isolate.call(double, 4, what="good.tflite", timeout=60) == 8


def test_errors_arrive_as_they_were_raised():
    with pytest.raises(MissingExtra) as caught:
        isolate.call(refuse, what="f", timeout=60)
    assert caught.value.fact.startswith("This needs edgekit's [train] extra") and "pip install" in caught.value.remedy


def test_workers_do_not_write_on_the_screen(capfd):
    isolate.call(shout, what="f", timeout=60)
    assert capfd.readouterr() == ("", "")


def test_probe_tells_what_a_file_is():
    found = probe(tiny.path("int8"), batch=16)
    assert (found.batch, found.refused) == (16, "")
    assert found.inputs[0].shape == (16, 8, 8, 3) and found.outputs[0].shape == (16, tiny.CLASSES)
    assert found.content == tiny.tflite("int8") and found.seconds > 0


def test_an_output_that_nothing_computes(tmp_path):
    def orphan(model):
        graph = model.subgraphs[0]
        graph.tensors.append(copy.copy(graph.tensors[graph.outputs[0]]))
        graph.outputs = [len(graph.tensors) - 1]

    path = tmp_path / "m.tflite"
    path.write_bytes(altered("float32", orphan))
    with pytest.raises(BadInput, match=r"m\.tflite cannot be run: "):
        probe(path)


def test_probe_keeps_the_files_own_batch_where_another_fails():
    found = probe(tiny.path("fixed"), batch=16)
    assert found.batch == 1 and found.refused and found.outputs[0].shape == (1, tiny.CLASSES)
