"""What a GPU's outputs are worth: held against those of the CPU, which the file was exported and verified for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from edgekit.errors import CheckFailed
from edgekit.measurement.record import Measurement
from edgekit.runtime.computes_in import computes_in

# Largest difference from the CPU's outputs that is no other network, as a share of their largest value: a GPU may
# compute in half precision, and rounds at other places than integer kernels do.
TOLERANCES = {"float32": 0.01, "float16": 0.01, "int16x8": 0.01, "dynamic": 0.05, "int8": 0.05}
LEAST = 1e-6  # outputs below it differ by nothing


def held_against_cpu(content: bytes, gpu: dict[str, Any]) -> dict[str, Any]:
    """`gpu` as the agent answers it, with what the file computes in, the largest difference (None where an output is
    not finite) as a share of the largest value of its output, the tolerance, and whether it is within."""
    kind = computes_in(content)
    shares = [_share(one) for one in gpu["outputs"]]
    worst = None if any(one is None for one in shares) else max(one for one in shares if one is not None)
    within = worst is not None and worst <= TOLERANCES[kind]
    return {**gpu, "computes_in": kind, "max_relative": worst, "tolerance": TOLERANCES[kind], "within": within}


def check_outputs(measurements: Iterable[Measurement]) -> CheckFailed | None:
    """The error for files whose outputs on the GPU are not those on the CPU; None where all are."""
    wrong = [one for one in measurements if one.device == "gpu" and not one.conditions["gpu"]["within"]]
    if not wrong:
        return None
    said = "; ".join(f"{one.file}: {_apart(one.conditions['gpu'])}" for one in wrong)
    return CheckFailed(
        f"The GPU's outputs are not the CPU's: {said}.", "Do not ship it for this GPU, or export another variant."
    )


def lines(summary: dict[str, Any]) -> list[str]:
    """What the summary of a measurement on the GPU has to say beside its figures."""
    gpu = summary["conditions"]["gpu"]
    software = " (a software adapter: this is no GPU's speed)" if gpu["software"] else ""
    on, of = gpu["gpu_operators"], gpu["gpu_operators"] + gpu["cpu_operators"]
    found = [f"{summary['file']}: on {gpu['adapter'] or 'an adapter without a name'}{software}, {on} of {of} operators"]
    if gpu["cpu_operators"]:
        found.append(
            f"  partly accelerated, on the CPU: {'; '.join(gpu['outside']) or 'the runtime does not say which'}"
        )
    return [*found, f"  outputs: {_apart(gpu)}"]


def _apart(gpu: dict[str, Any]) -> str:
    if gpu["max_relative"] is None:
        return "not finite"
    worst = max(one["max_abs"] for one in gpu["outputs"])
    return (
        f"up to {worst:.3g} from the CPU's, {100 * gpu['max_relative']:.3g} % of the largest "
        f"(tolerance {100 * gpu['tolerance']:g} % for {gpu['computes_in']})"
    )


def _share(output: dict[str, Any]) -> float | None:
    if output["max_abs"] is None or output["largest"] is None:
        return None
    return float(output["max_abs"]) / max(float(output["largest"]), LEAST)
