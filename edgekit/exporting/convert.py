"""The only caller of the TFLite converter: a frozen function and a variant in, the bytes of a .tflite out."""

from __future__ import annotations

import contextlib
import itertools
import logging
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgekit.artifact import Io, Variant
from edgekit.errors import BadInput, UsageError
from edgekit.exporting.calibration import Calibration, observed, telling
from edgekit.exporting.freeze import Frozen
from edgekit.exporting.low_bits import with_low_bits
from edgekit.exporting.taps import Tapped, untapped
from edgekit.runtime.flatbuffer import pack, parse
from edgekit.runtime.quiet import captured_stderr
from edgekit.runtime.ranges import Inputs, with_ranges

SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Calibrated:
    """A float .tflite with the range of every activation written in, as the quantizer wants it.

    `float_nodes`: tensors whose operators are to stay float. `weight_bits`: tensor name -> bits of the weights of the
    operator that writes it, where they are fewer than 8.
    """

    content: bytes
    float_nodes: tuple[str, ...] = ()
    weight_bits: Mapping[str, int] = field(default_factory=dict)


@contextlib.contextmanager
def _quiet() -> Iterator[Callable[[], str]]:
    """No chatter of the converter; the callable returns what its C++ part said, for an error."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    with captured_stderr() as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield said
        finally:
            logger.setLevel(level)


@contextlib.contextmanager
def _converting() -> Iterator[None]:
    """No chatter of the converter, and what it raises as BadInput with its own reason."""
    with _quiet() as said:
        try:
            yield
        except (UsageError, BadInput):
            raise
        except Exception as error:
            raise _refusal(error, said()) from error


def convert(frozen: Frozen, variant: Variant, *, calibration: Calibration | None = None, io: Io = "float32") -> bytes:
    """The .tflite of a frozen function, with the serving signature.

    `int8` and `int16x8` need `calibration`, whose method concerns `int8` alone; `io` other than float32 needs `int8`.
    Raises UsageError where they do not fit, BadInput where the model has an operator that TFLite lacks (Flex operators
    are never used).
    """
    if variant == "mixed":
        raise UsageError(
            "The mixed variant is found by measuring, not by converting.", "Use edgekit.compression.mixed.mix."
        )
    if frozen.taps and variant != "int8":
        raise UsageError(
            f"A fake-quantized model is exported as int8, not {variant}.", "Export the model it was made from."
        )
    if io != "float32" and variant != "int8":
        raise UsageError(f"--io {io} is for the int8 variant, not {variant}.", "Use --io float32, or --variants int8.")
    if variant == "int8":
        content = quantized(calibrate(frozen, _needed(calibration)), io)
    else:
        content = _CONVERT[variant](frozen, calibration)
    return with_signature(content, frozen)


def calibrate(frozen: Frozen, calibration: Calibration, threads: int | None = None) -> Calibrated:
    """The float .tflite that the quantizer starts from, with the range of every activation written in.

    The ranges of a fake-quantized model are its own; only the tensors that it does not name are observed.
    """
    tapped = _laid_out(frozen, calibration)
    ranges = {**observed(tapped.content, calibration, threads), **tapped.ranges}
    return Calibrated(with_ranges(tapped.content, ranges), tapped.float_nodes, tapped.weight_bits)


def observe_taps(
    frozen: Frozen, calibration: Calibration, threads: int | None = None
) -> dict[str, tuple[float, float]]:
    """The range of each tensor of a fake-quantized model over the samples, by the name of its FakeQuantize."""
    tapped = _laid_out(frozen, calibration)
    ranges = observed(tapped.content, calibration, threads)
    return {name: ranges[tensor] for name, tensor in tapped.tensors.items()}


@_converting()
def _laid_out(frozen: Frozen, calibration: Calibration) -> Tapped:
    """The float .tflite whose operators are those that will be quantized.

    The converter's own calibrator makes it, and sees one sample only: for the ranges see `runtime.ranges`.
    """
    import tensorflow as tf

    converter = _converter(frozen, integer=True)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: itertools.islice(_lists(calibration.extremes, calibration.samples()), 1)
    converter._experimental_calibrate_only = True
    return untapped(bytes(converter.convert()), frozen.taps, len(frozen.output_names))


@_converting()
def quantized(made: Calibrated, io: Io = "float32", float_nodes: Collection[str] = ()) -> bytes:
    """The full-integer .tflite of a calibrated one, without a signature.

    The operators that write the tensors named `float_nodes` stay float too, with DEQUANTIZE and QUANTIZE around them.
    Weights of fewer than 8 bits are stored as int8.
    """
    import tensorflow as tf
    from tensorflow.lite.python.convert import mlir_quantize

    kind = tf.dtypes.as_dtype(io)
    nodes = sorted({*made.float_nodes, *float_nodes}) or None
    content = bytes(mlir_quantize(made.content, input_data_type=kind, output_data_type=kind, denylisted_nodes=nodes))
    return with_low_bits(content, made.weight_bits) if made.weight_bits else content


def _lists(*samples: Iterable[Inputs]) -> Iterator[list[np.ndarray]]:
    """As the converter wants them."""
    return (list(one) for one in itertools.chain(*samples))


def _converter(frozen: Frozen, *, integer: bool) -> Any:
    import tensorflow as tf

    # Passing the trackable object as well is what the deprecation warning asks for, and is the slow path.
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen.function])
    # It would freeze what is frozen, and let Grappler fold constants, which MLIR does anyway.
    inputs = list(frozen.function.inputs[: len(frozen.input_names)])  # behind them come the captured variables
    outputs = list(frozen.function.outputs)
    converter._freeze_concrete_function = lambda: (frozen.graph, inputs, outputs, frozen.function)
    converter._optimize_tf_model = lambda graph, *_: graph
    # Each would read and write the whole file once more: a note on the conversion, and a search for equal constants,
    # which MLIR has merged already.
    converter.exclude_conversion_metadata = True
    if not integer:
        converter._optimize_tflite_model = lambda content, *_, **__: content
    return converter


@_converting()
def _float32(frozen: Frozen, _: Calibration | None) -> bytes:
    return bytes(_converter(frozen, integer=False).convert())


@_converting()
def _float16(frozen: Frozen, _: Calibration | None) -> bytes:
    import tensorflow as tf

    converter = _converter(frozen, integer=False)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


@_converting()
def _dynamic(frozen: Frozen, _: Calibration | None) -> bytes:
    import tensorflow as tf

    converter = _converter(frozen, integer=False)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    return bytes(converter.convert())


def _int16x8(frozen: Frozen, calibration: Calibration | None) -> bytes:
    """By the converter's own calibrator: its 16-bit quantizer takes no ranges from outside."""
    import tensorflow as tf

    needed = _needed(calibration)
    for _ in telling(needed.samples()):
        pass  # it complains behind the last one, which the converter would keep from the user
    with _converting():
        converter = _converter(frozen, integer=True)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        kind = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [kind]
        converter.representative_dataset = lambda: _lists(needed.samples())
        return bytes(converter.convert())


_CONVERT: dict[str, Callable[[Frozen, Calibration | None], bytes]] = {
    "float32": _float32,
    "float16": _float16,
    "dynamic": _dynamic,
    "int16x8": _int16x8,
}


def _needed(calibration: Calibration | None) -> Calibration:
    if calibration is None:
        raise UsageError("Integer quantization needs calibration samples.", "Pass a data set or a calibration folder.")
    return calibration


def with_signature(content: bytes, frozen: Frozen) -> bytes:
    """Names the inputs and the outputs again: a converted frozen function has no signature, and apps ask by name."""
    from ai_edge_litert import schema_py_generated as schema

    model = parse(content)
    graph = model.subgraphs[0]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = SIGNATURE, 0
    signature.inputs = [_named(schema, *pair) for pair in zip(frozen.input_names, graph.inputs, strict=True)]
    signature.outputs = [_named(schema, *pair) for pair in zip(frozen.output_names, graph.outputs, strict=True)]
    model.signatureDefs = [signature]
    return pack(model)


def _named(schema: Any, name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, int(index)
    return entry


def _refusal(error: Exception, said: str) -> BadInput:
    text = f"{error}\n{said}"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    missing = [line for line in lines if line.startswith(("Flex ops:", "Custom ops:"))]
    if missing:
        return BadInput(
            f"The model uses operators that TFLite lacks: {missing[0]}.",
            "Replace the layers that make them; edgekit uses no Flex operators.",
        )
    return BadInput(
        f"The TFLite converter refused the model: {lines[0] if lines else type(error).__name__}.",
        "Run again with --debug to see everything it said.",
    )
