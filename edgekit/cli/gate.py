"""edgekit gate: results against limits and against a baseline, for CI."""

from __future__ import annotations

from pathlib import Path

import click

from edgekit.cli.outcome import Outcome, shared_options

PATH = click.Path(path_type=Path)


@click.command("gate", no_args_is_help=True)
@click.argument("results", nargs=-1, required=True, type=PATH, metavar="RESULT...")
@click.option("--rules", type=PATH, metavar="FILE.yaml", help="The limits.  [default: those of the rule table]")
@click.option("--baseline", type=PATH, multiple=True, metavar="RESULT", help="Earlier results of files of these names.")
@click.option(
    "--file", "names", multiple=True, metavar="NAME",
    help="Judge this file.  [default: all but the first of several evaluated together]",
)  # fmt: skip
@click.option("--junit", type=PATH, metavar="FILE.xml", help="Write JUnit XML.")
@click.option("--sarif", type=PATH, metavar="FILE.sarif", help="Write SARIF 2.1.0.")
@click.option("--markdown", type=PATH, metavar="FILE.md", help="Write a table for a pull request.")
@shared_options
def command(
    results: tuple[Path, ...], rules: Path | None, baseline: tuple[Path, ...], names: tuple[str, ...],
    **outputs: Path | None,
) -> Outcome:  # fmt: skip
    """Exit code 1 where a file breaks a rule, and which one. Nothing is measured: a RESULT is what evaluate --out,
    bench --out or --json wrote, or a run directory of compress.

    \b
    edgekit evaluate float32.tflite int8.tflite --data photos/ --out now/
    edgekit bench int8.tflite --out now/bench.json
    edgekit gate now/ now/bench.json --rules gate.yaml
    edgekit gate now/ now/bench.json --baseline main/ --baseline main/bench.json --junit gate.xml
    """
    from edgekit.artifact import write_text
    from edgekit.gating.gate import gate
    from edgekit.gating.junit import junit
    from edgekit.gating.markdown import markdown
    from edgekit.gating.sarif import sarif
    from edgekit.report.wording import printable_lines

    found = gate(results, rules=rules, baseline=baseline, files=names)
    for name, write in (("junit", junit), ("sarif", sarif), ("markdown", markdown)):
        if (path := outputs[name]) is not None:
            write_text(path, write(found))
    table = found.to_frame().to_string(index=False, na_rep="-", float_format="{:.4g}".format)
    return Outcome(found.to_json(), printable_lines(table), found.failed)
