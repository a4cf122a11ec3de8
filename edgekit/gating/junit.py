"""A gate as JUnit XML, which every CI system shows: a suite a file, a case a rule."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from xml.etree import ElementTree

from edgekit.gating.gate import Gate
from edgekit.rules import Checked


def junit(found: Gate) -> str:
    """The document, by the schema of Apache Ant's JUnit task, which is the strictest of those around."""
    root = ElementTree.Element("testsuites")
    for number, (file, checked) in enumerate(groupby(found.checked, key=lambda one: one.file)):
        _suite(root, number, file, list(checked))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True).decode() + "\n"


def _suite(root: ElementTree.Element, number: int, file: str, checked: Sequence[Checked]) -> None:
    suite = ElementTree.SubElement(root, "testsuite", {
        "name": _plain(file), "package": "edgekit.gate", "id": str(number), "hostname": socket.gethostname(),
        "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "time": "0", "tests": str(len(checked)),
        "failures": str(sum(one.failed for one in checked)), "errors": "0",
        "skipped": str(sum(one.state == "unclear" for one in checked)),
    })  # fmt: skip
    ElementTree.SubElement(suite, "properties")
    for one in checked:
        case = ElementTree.SubElement(
            suite, "testcase", {"name": one.rule.name, "classname": _plain(file), "time": "0"}
        )
        if one.failed:
            failure = ElementTree.SubElement(case, "failure", {"type": one.state, "message": _plain(one.sentence)})
            failure.text = _plain(one.sentence)
        elif one.state == "unclear":
            ElementTree.SubElement(case, "skipped")
    for name in ("system-out", "system-err"):
        ElementTree.SubElement(suite, name)


def _plain(text: str) -> str:
    """XML 1.0 has no control characters: they are escaped as in Python."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
