"""The report as GitHub-flavoured Markdown, to paste into a pull request: verdict, table, and what both rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgekit.report import facts, steps, wording
from edgekit.report.accuracy import CLASS_COLUMNS, accuracy_facts, class_rows
from edgekit.report.across import ACROSS_COLUMNS, Across, footnote_across
from edgekit.report.inside import INSIDE_TITLES, inside_facts, inside_rows
from edgekit.report.tables import MOST_DAMAGED, THREAD_COLUMNS, Column, footnote, shown_columns, thread_rows
from edgekit.report.trials import trial_facts
from edgekit.report.verdict import verdict

Results = Mapping[str, Any]
MOST_CLASSES = 20  # rows of the class table
LEDGER = "What each step brought, as files of the same kind, measured side by side:"
MOST_EPOCHS = 6  # rows of the training table


def markdown_report(results: Results) -> str:
    """Everything in it comes from `results`; names of files and classes are shown as code, which disarms them."""
    found = verdict(results)
    parts = [
        f"# {text(results['model'])} on {code(results['data'])}",
        f"**{text(found.headline)}**",
        _bullets(found.sentences),
        _failures(results),
        "## Variants",
        _columns(shown_columns(results), results["variants"]),
        text(footnote(results)),
        _columns(THREAD_COLUMNS, thread_rows(results)),
        *_accuracy(results),
        "## Verification",
        "Each file against the model, on the same held-out samples.",
        table(facts.PARITY_TITLES, facts.parity(results)),
        *_steps(results),
        *_inside(results),
        "## Training",
        _facts(facts.training(results)),
        _epochs(results["training"]),
        _bullets(results["training"]["advice"]),
        "## Data",
        _facts(facts.data(results)),
        _classes(results["dataset"]),
        _damaged(results["dataset"]["damaged"]),
        "## Conditions",
        _facts(facts.conditions(results)),
        "## How to use the file",
        _facts(facts.usage(results)),
        "## How it was made",
        _facts(facts.made(results)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_across(found: Across, made: Sequence[tuple[str, facts.Facts]] = ()) -> str:
    """Several runs: verdict, what is missing, one table, how each was made."""
    parts = [
        f"# {text(', '.join(found.names))} on {code(found.data)}",
        f"**{text(found.verdict.headline)}**",
        _bullets(found.verdict.sentences),
        "**Missing**" if found.missing else "",
        _bullets(found.missing),
        "## All variants",
        _columns(ACROSS_COLUMNS, found.rows),
        text(footnote_across(found)),
        _bullets(found.notes),
        *(part for name, told in made for part in (f"## How {text(name)} was made", _facts(told))),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text(words: str) -> str:
    """On one line, every character that Markdown or HTML would take for its own escaped, and nobody mentioned by @."""
    flat = wording.printable(" ".join(words.split()))
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", flat)
    return re.sub(r"@(?=\w)", "@\N{ZERO WIDTH SPACE}", escaped)


def code(name: str) -> str:
    """A code span that no backtick in `name` can end, and that fits a table cell."""
    flat = wording.printable(" ".join(name.split())) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}".replace("|", "\\|")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells of text; numbers to the right. Nothing for no rows."""
    if not rows:
        return ""
    return _raw_table([text(title) for title in titles], [[text(cell) for cell in row] for row in rows])


def _raw_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in titles[1:])]
    return "\n".join(f"| {' | '.join(line)} |" for line in (titles, rule, *rows))


def _columns(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> str:
    return table([column.title for column in columns], [[column.show(row) for column in columns] for row in rows])


def _bullets(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {text(said)}" for said in sentences)


def _steps(results: Results) -> list[str]:
    taken = [part for title, told in steps.steps(results) for part in (f"### {text(title)}", _facts(told))]
    mixed, diagnosis, costs = steps.mixed(results), steps.diagnosis(results), steps.costs(results)
    parts = ["## Steps", *taken] if taken else []
    brought = steps.ledger(results)
    parts += [LEDGER, table(steps.LEDGER_TITLES, brought)] if brought else []
    parts += ["## The mixed variant", _facts(mixed)] if mixed else []
    parts += ["## Where quantization loses"] if diagnosis or costs else []
    parts += [_facts(diagnosis)] if diagnosis else []
    if costs:
        said = "The layers that lose most, each quantized alone with all others in float:"
        parts += [said, table(steps.COST_TITLES, costs)]
    return parts


def _accuracy(results: Results) -> list[str]:
    """The facts and the weakest classes."""
    told = accuracy_facts(results)
    if not told:
        return []
    rows = class_rows(results)[:MOST_CLASSES]
    told = [*told, *trial_facts(results)]
    return [f"## How good {results['evidence']['variant']} is", _facts(told), _columns(CLASS_COLUMNS, rows)]


def _inside(results: Results) -> list[str]:
    told = inside_facts(results)
    return ["## Where the time goes", _facts(told), table(INSIDE_TITLES, inside_rows(results))] if told else []


def _facts(pairs: facts.Facts) -> str:
    return "\n".join(f"- {text(term)}: {text(said)}" for term, said in pairs)


def _failures(results: Results) -> str:
    failed = _bullets(results["failures"])
    return f"**Failed checks**\n\n{failed}" if failed else ""


def _epochs(training: Mapping[str, Any]) -> str:
    """Some epochs from the first to the last, the one whose weights were kept among them."""
    history = training["history"]
    if not history:
        return ""
    last = len(history) - 1
    places = {round(step * last / (MOST_EPOCHS - 1)) for step in range(MOST_EPOCHS)}
    places |= {place for place, row in enumerate(history) if row["epoch"] == training["best_epoch"]}
    rows = [
        [
            f"{row['epoch']:.0f}" + (" (kept)" if row["epoch"] == training["best_epoch"] else ""),
            f"{row['train_loss']:.4f}",
            f"{row['val_loss']:.4f}",
            wording.percent(row["train_top1"]),
            wording.percent(row["val_top1"]),
        ]
        for row in (history[place] for place in sorted(places))
    ]
    return table(("Epoch", "Training loss", "Validation loss", "Training top-1", "Validation top-1"), rows)


def _classes(dataset: Mapping[str, Any]) -> str:
    counts, names = dataset["class_counts"], dataset["class_names"]
    rows = [
        [code(name), *(f"{counts[split][place]:,}" for split in counts)]
        for place, name in enumerate(names[:MOST_CLASSES])
    ]
    rest = len(names) - MOST_CLASSES
    more = f"\n\nand {wording.counted(rest, 'class', 'classes')} more, in results/results.json" if rest > 0 else ""
    return _raw_table(["Class", *counts], rows) + more if rows else ""


def _damaged(damaged: Sequence[Mapping[str, str]]) -> str:
    if not damaged:
        return ""
    rest = len(damaged) - MOST_DAMAGED
    lines = [f"- {code(one['name'])}: {text(one['reason'])}" for one in damaged[:MOST_DAMAGED]]
    lines += [f"- and {rest:,} more, named in results/results.json"] if rest > 0 else []
    return "Damaged files, left out:\n\n" + "\n".join(lines)
