"""The bundle for microcontrollers: C++ with the model as an array, for TensorFlow Lite Micro."""

from __future__ import annotations

import math
from collections.abc import Iterable

from edgekit.bundles.archive import Files
from edgekit.bundles.literals import c_string, double, single, yes
from edgekit.bundles.resources import readme, templates
from edgekit.bundles.shipped import LOWEST, Shipped
from edgekit.errors import BadInput
from edgekit.preprocess import Preprocess
from edgekit.runtime.arena import ALIGNMENT
from edgekit.runtime.inspection import Port

VERSIONS: dict[str, str] = {}
FILTERS = {"nearest": "kNearest", "bilinear": "kBilinear", "bicubic": "kBicubic", "area": "kArea"}
# Methods of MicroMutableOpResolver that are not called after the operator, word by word.
METHODS = {
    "BATCH_MATMUL": "BatchMatMul", "CUMSUM": "CumSum", "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}  # fmt: skip
MARGIN = 0.03  # the estimate is within 2 % of what TensorFlow Lite Micro recorded (tests/runtime/test_arena.py)
A_LINE = 20  # bytes of an array
INCLUDES = '#include "model.h"\n\nnamespace edgekit {\n'


def files(shipped: Shipped) -> Files:
    """Raises BadInput where the arena cannot be estimated."""
    sources = ("preprocess.h", "preprocess.cc", "self_check.h", "self_check.cc", "model.h", "classifier.h",
               "classifier.cc", "check_on_host.cc")  # fmt: skip
    return {
        **templates("mcu", *sources),
        "model.cc": _model(shipped).encode(),
        "golden.cc": _golden(shipped).encode(),
        "operators.h": _operators(shipped).encode(),
        "README.md": readme("mcu", shipped, {"arena": f"{arena_bytes(shipped):,}"}),
    }


def arena_bytes(shipped: Shipped) -> int:
    found = shipped.inspection.arena
    if found is None:
        raise BadInput(f"The arena of {shipped.inspection.file} cannot be estimated.", "See: edgekit inspect FILE")
    return math.ceil(found.total * (1 + MARGIN) / ALIGNMENT) * ALIGNMENT


def _model(shipped: Shipped) -> str:
    labels = "".join(f"    {c_string(one)},\n" for one in shipped.labels)
    return f"""// Made by `edgekit bundle` for one model.
{INCLUDES}
{_preprocess(shipped.preprocess)}
const Codes kInput = {_codes(shipped.input)};
const Codes kOutput = {_codes(shipped.output)};
const size_t kArenaBytes = {arena_bytes(shipped)};
const float kTolerance = {single(shipped.tolerance)}f;
const int kClasses = {len(shipped.labels)};
const char* const kLabels[] = {{
{labels}}};

const size_t kModelBytes = {len(shipped.bare)};
alignas(16) const uint8_t kModel[] = {{
{_array(shipped.bare)}
}};

}}  // namespace edgekit
"""


def _preprocess(feed: Preprocess) -> str:
    filter, bgr, center = FILTERS[feed.resize], feed.channels == "bgr", feed.crop == "center"
    mean, std = (", ".join(f"{single(one)}f" for one in three) for three in (feed.mean, feed.std))
    return f"""const Preprocess kPreprocess = {{
    {feed.width}, {feed.height}, {yes(bgr)}, Filter::{filter}, {yes(feed.antialias)}, {yes(center)},
    {{{mean}}}, {{{std}}},
}};"""


def _codes(port: Port) -> str:
    scale = 0.0 if port.scale is None else port.scale
    return f"{{{double(scale)}, {port.zero_point or 0}, {LOWEST.get(port.dtype, 0)}}}"


def _golden(shipped: Shipped) -> str:
    """An array may not be empty in C++: where there are no golden vectors, one of nothing stands in."""
    arrays, rows = [], []
    for number, one in enumerate(shipped.examples):
        scores = ", ".join(f"{single(score)}f" for score in one.scores)
        arrays += [f"const uint8_t kRgb{number}[] = {{\n{_array(one.rgb.tobytes())}\n}};\n",
                   f"const float kScores{number}[] = {{{scores}}};\n"]  # fmt: skip
        height, width = one.rgb.shape[:2]
        rows.append(f"    {{kRgb{number}, {width}, {height}, {one.pixels_crc32}u, kScores{number}}},\n")
    inner = f"namespace {{\n\n{''.join(arrays)}\n}}  // namespace\n\n" if arrays else ""
    listed = "".join(rows) or "    {nullptr, 0, 0, 0u, nullptr},\n"
    return f"""// Made by `edgekit bundle` for one model: pictures with the scores that it gave for them.
{INCLUDES}
{inner}const int kGoldenCount = {len(shipped.examples)};
const Golden kGolden[] = {{
{listed}}};

}}  // namespace edgekit
"""


def _operators(shipped: Shipped) -> str:
    names = sorted({one.op for one in shipped.inspection.operators})
    added = " &&\n         ".join(f"operators.{method(name)}() == kTfLiteOk" for name in names)
    return f"""// Made by `edgekit bundle` for one model: the operators that it has.
#ifndef EDGEKIT_OPERATORS_H_
#define EDGEKIT_OPERATORS_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace edgekit {{

typedef tflite::MicroMutableOpResolver<{len(names)}> Operators;

inline bool Register(Operators& operators) {{
  return {added};
}}

}}  // namespace edgekit

#endif  // EDGEKIT_OPERATORS_H_
"""


def method(operator: str) -> str:
    """DEPTHWISE_CONV_2D -> AddDepthwiseConv2D, as tflite-micro's micro_mutable_op_resolver.h has it."""
    words = (word if word == "2D" else word.capitalize() for word in operator.split("_"))
    return f"Add{METHODS.get(operator) or ''.join(words)}"


def _array(content: bytes) -> str:
    return "\n".join(_lines(content))


def _lines(content: bytes) -> Iterable[str]:
    for start in range(0, len(content), A_LINE):
        yield "    " + "".join(f"{byte}," for byte in content[start : start + A_LINE])
