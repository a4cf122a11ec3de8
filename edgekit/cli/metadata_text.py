"""A file's metadata on the screen. Texts come out of an untrusted file and are escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekit.preprocess import Preprocess
from edgekit.runtime.contract import Contract
from edgekit.runtime.described import Described
from edgekit.runtime.escape import escaped

FIELDS = ("name", "description", "version", "author", "license", "min_parser_version")
SHOWN = 8  # labels in a line


def metadata_text(found: Described) -> str:
    held = found.embedded
    lines = [f"{escaped(found.file)}"]
    lines += _standard(held.standard) if held.standard else ["  no TFLite metadata"]
    if held.labels:
        more = f" and {len(held.labels) - SHOWN:,} more" if len(held.labels) > SHOWN else ""
        lines.append(f"  labels       {len(held.labels):,}: {', '.join(map(escaped, held.labels[:SHOWN]))}{more}")
    lines += _contract(held.contract) if held.contract else ["  no contract of edgekit"]
    lines += [f"  file         {escaped(name)}: {len(content):,} bytes" for name, content in held.files.items()]
    lines += [f"  MediaPipe's ImageClassifier refuses it: {one}" for one in found.refused_by_mediapipe]
    return "\n".join(lines)


def _standard(standard: Mapping[str, Any]) -> list[str]:
    said = [(name, escaped(str(standard[name]))) for name in FIELDS if standard.get(name)]
    for graph in standard.get("subgraph_metadata", [])[:1]:
        for end in ("input", "output"):
            said += [(end, _tensor(one)) for one in graph.get(f"{end}_tensor_metadata", [])]
    return [f"  {name.replace('min_parser_version', 'parser from'):<12} {text}" for name, text in said]


def _tensor(one: Mapping[str, Any]) -> str:
    parts = [escaped(one.get("name", "?")), escaped(one.get("description", ""))]
    for unit in one.get("process_units", []):
        options = unit.get("options", {})
        if options.get("type") == "NormalizationOptions":
            parts.append(f"mean {options['value'].get('mean')}, std {options['value'].get('std')}")
    return ", ".join(part for part in parts if part)


def _contract(contract: Contract) -> list[str]:
    kind = f"{contract.variant or 'a variant nobody named'}, input and output {contract.io or 'as they are'}"
    lines = [
        f"  contract     edgekit {escaped(contract.edgekit)}: {escaped(contract.model)}, {kind}",
        f"  prepared     {_prepared(contract.preprocessing)}",
        f"  gives        {contract.output_meaning or 'nobody said what'}",
    ]
    if contract.golden:
        tolerance = ", ".join(f"{one:.3g}" for one in contract.golden.tolerance[:SHOWN])
        lines.append(f"  golden       {len(contract.golden.vectors)} vectors, tolerance {tolerance}")
    return [*lines, f"  model        SHA-256 {contract.model_sha256[:16]}… without metadata"]


def _prepared(feed: Preprocess | None) -> str:
    if feed is None:
        return "nobody said how"
    crop = "largest centred square, " if feed.crop == "center" else ""
    smooth = "antialiased" if feed.antialias else "not antialiased"
    scaled = f"(x - {list(feed.mean)}) / {list(feed.std)}"
    return f"{feed.channels.upper()}, {crop}{feed.height}x{feed.width} {feed.resize} {smooth}, {scaled}"
