"""A detection on the screen."""

from __future__ import annotations

from edgekit.evaluation.detect import Detection, Ranked

SHOWN = 12


def detect_text(found: Detection) -> str:
    import pandas as pd

    table = pd.DataFrame([_row(one) for one in found.ranked[:SHOWN]]).to_string(index=False)
    lines = [f"{found.file}: {len(found.ranked)} preprocessings on {found.n} images", "", table, ""]
    lines.append(f"Most likely: {flags(found.chosen)}")
    if found.undecided:
        open_ = "; ".join(f"{name} {' or '.join(map(str, values))}" for name, values in found.undecided.items())
        lines.append(f"These images do not tell apart: {open_}")
    return "\n".join(lines)


def flags(one: Ranked) -> str:
    """What to write on the command line for it."""
    feed, preset = one.candidate.preprocess, one.candidate.preset
    if preset:
        return f"--preprocess {preset}"
    mean, std = (",".join(f"{value:g}" for value in values) for values in (feed.mean, feed.std))
    said = f"--mean {mean} --std {std} --channels {feed.channels} --resize {feed.resize} --crop {feed.crop}"
    return said + ("" if feed.antialias else " --no-antialias")


def _row(one: Ranked) -> dict[str, str]:
    feed = one.candidate.preprocess
    return {
        "scaling": one.candidate.scaling,
        "channels": feed.channels,
        "resize": feed.resize + ("" if feed.antialias else ", no antialias"),
        "crop": feed.crop,
        "top1": f"{one.top1.value:.1%}",
        "log likelihood": f"{one.log_likelihood:.3f}",
        "confidence": f"{one.confidence:.2f}",
        "": "worse" if one.told_apart else "",
    }
