"""Requests of the kind "answers": what a runtime answers to given inputs, bit by bit.

The agent loads this file from beside itself; like the agent it needs numpy and a runtime, and nothing of edgekit.

    {"kind": "answers", "model": PATH, "inputs": PATH of an .npz with the arrays "0", "1", ... [n, ...], an input each,
     in the dtype that the file takes, "threads": 1, "kernels": "xnnpack" | "plain" | "reference" | "gpu"}
    -> {"sha256", "runtime", "outputs": [{"dtype", "shape": [n, ...], "data": base64 of its bytes, little-endian}],
        "notes": {what else the runtime says of itself}}

`plain` takes the runtime's own kernels and no delegate, `reference` those that are written to be read. A sample is a
whole tensor: of a file with a batch of 4, four images.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

RESOLVERS = {"xnnpack": "AUTO", "plain": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


def answers(given: dict, agent: Any) -> dict:
    """Every sample, one after the other."""
    module, runtime = agent._find_runtime()
    sha256 = agent._sha256(given["model"])
    try:
        samples = _samples(given["inputs"])
        if given["kernels"] == "gpu":
            answers, notes = _on_gpu(module, given, samples, agent)
        elif given["kernels"] in RESOLVERS:
            answers, notes = _interpreted(module, given, samples, agent)
        else:
            raise agent.Refused("request", f"unknown kernels {given['kernels']!r}")
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, OSError, MemoryError) as error:
        raise agent.Refused("model", (str(error).splitlines() or [type(error).__name__])[0]) from None
    columns = [np.stack([answer[at] for answer in answers]) for at in range(len(answers[0]))]
    return {"sha256": sha256, "runtime": runtime, "outputs": [_encoded(one) for one in columns], "notes": notes}


def _samples(path: str) -> list:
    """[[an array an input] a sample]"""
    with np.load(path, allow_pickle=False) as held:
        columns = [held[str(at)] for at in range(len(held.files))]
    return [[column[at] for column in columns] for at in range(len(columns[0]))]


def _encoded(values: np.ndarray) -> dict:
    plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    data = base64.b64encode(plain.tobytes()).decode("ascii")
    return {"dtype": values.dtype.name, "shape": [int(side) for side in values.shape], "data": data}


def _interpreted(module: Any, given: dict, samples: list, agent: Any) -> tuple:
    resolver = getattr(module.OpResolverType, RESOLVERS[given["kernels"]])
    interpreter = module.Interpreter(
        model_path=given["model"], num_threads=int(given["threads"]), experimental_op_resolver_type=resolver
    )
    interpreter.allocate_tensors()
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    answers = []
    for sample in samples:
        for detail, values in zip(ins, sample):  # noqa: B905 - Python 3.9
            interpreter.set_tensor(detail["index"], values)
        interpreter.invoke()
        answers.append([interpreter.get_tensor(detail["index"]) for detail in outs])
    return answers, {"delegate": agent._delegate(interpreter)["name"]}


def _on_gpu(module: Any, given: dict, samples: list, agent: Any) -> tuple:
    """The interpreter opens the file first: the compiled model does not check what it is given."""
    gpu = agent._module_beside("agent_gpu")
    interpreter = module.Interpreter(model_path=given["model"], num_threads=int(given["threads"]))
    interpreter.allocate_tensors()
    operators = sum(one["op_name"] != "DELEGATE" for one in interpreter._get_ops_details())
    _feed(interpreter, samples[0])
    interpreter.invoke()  # a graph may learn the shapes of its outputs only by running
    ins, outs = gpu._ends(interpreter)
    order = [detail["index"] for detail in interpreter.get_input_details()]
    compiled, about = gpu._compiled(given, agent, operators)
    signature = next(iter(compiled.get_signature_list().values()))
    sources = list(zip(signature["inputs"], compiled.create_input_buffers(0)))  # noqa: B905
    targets = dict(zip(signature["outputs"], compiled.create_output_buffers(0)))  # noqa: B905
    ordered = sorted(outs, key=lambda name: _place(interpreter, outs[name]["index"]))
    answers = []
    for sample in samples:
        for name, buffer in sources:
            buffer.write(np.ascontiguousarray(sample[order.index(ins[name]["index"])]))
        compiled.run_by_index(0, [one for _, one in sources], list(targets.values()))
        answers.append([_read(targets[name], interpreter.get_tensor(outs[name]["index"])) for name in ordered])
    return answers, about


def _feed(interpreter: Any, sample: list) -> None:
    for detail, values in zip(interpreter.get_input_details(), sample):  # noqa: B905
        interpreter.set_tensor(detail["index"], values)


def _place(interpreter: Any, tensor: int) -> int:
    """Of a tensor among the file's outputs."""
    return [int(detail["index"]) for detail in interpreter.get_output_details()].index(int(tensor))


def _read(buffer: Any, like: np.ndarray) -> np.ndarray:
    return np.array(buffer.read(like.size, like.dtype.type)).reshape(like.shape)
