"""What a model card says of scores: the gain with its interval, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mfl_adapt.adapter.markdown import code, count, number, plain, row, section

_GAINS = {
    "gain_over_base_foreground_db": "Foreground PSNR above the frozen base",
    "gain_over_constant_db": "PSNR above the best picture without a model",
}
_COLUMNS = {
    "psnr_db": ("PSNR, dB", ".2f"),
    "foreground_psnr_db": ("foreground PSNR, dB", ".2f"),
    "masked_ssim": ("masked SSIM", ".3f"),
    "iou": ("mask IoU", ".3f"),
}


def describe_metrics(passport: Mapping[str, Any]) -> str:
    """Word the scores of a passport, with the command that made them."""
    metrics = section(passport, "metrics")
    if not metrics:
        return "No metrics were recorded."
    lines = []
    scores = section(metrics, "scores")
    if scores:
        kind = "held-out" if metrics.get("scenes_held_out", True) else "training"
        counts = [count(metrics[key], key) for key in ("views", "scenes") if key in metrics]
        lines.append(
            f"Means over {' of '.join(counts) or 'views'} ({kind} scenes); in brackets 95 % "
            "bootstrap intervals over scenes, where they were recorded."
        )
        lines.append(_scores(scores, section(metrics, "intervals")))
        for key, text in _GAINS.items():
            if isinstance(metrics.get(key), int | float):
                interval = _interval(metrics, "gain", "foreground_psnr_db") if "base" in key else ""
                lines.append(f"{text}: {metrics[key]:+.2f} dB{interval}.")
    else:
        lines.append(f"```json\n{json.dumps(metrics, indent=2, sort_keys=True)}\n```")
    if passport.get("config") and not passport.get("made_by"):
        lines.append(
            "Measured by `mfl-adapt train` with the configuration in `passport.json`; "
            "`mfl-adapt adapter reproduce FOLDER` runs it again and measures again."
        )
    elif passport.get("made_by"):
        lines.append(f"Measured by {code(passport['made_by'])}.")
    return "\n\n".join(lines)


def describe_retention(passport: Mapping[str, Any]) -> str:
    """Word what an adapter costs where its base came from."""
    retention = section(passport, "retention")
    scores = {name: one for name, one in retention.items() if isinstance(one, Mapping)}
    if not scores:
        reason = plain(retention.get("not_measured")).rstrip(".")
        return f"What it costs there was not measured{f': {reason}' if reason else ''}."
    counts = f" ({count(retention['scenes'], 'scenes')})" if "scenes" in retention else ""
    domain = plain(retention.get("domain")) or "the base's own domain"
    parts = [f"On {domain}{counts}:", _scores(scores, {})]
    change = retention.get("change_foreground_db")
    if isinstance(change, int | float) and not isinstance(change, bool):
        pair = retention.get("change_interval_db")
        interval = _interval({"intervals": {"change": {"db": pair}}}, "change", "db")
        parts.append(f"Change of foreground PSNR by the adapter there: {change:+.2f} dB{interval}.")
    return "\n\n".join(parts)


def _scores(scores: Mapping[str, Any], intervals: Mapping[str, Any]) -> str:
    """Table of scores by predictor."""
    head = ["", *(title for title, _ in _COLUMNS.values())]
    lines = [row(head), row(["---", *("---:" for _ in _COLUMNS)])]
    for name, one in scores.items():
        if isinstance(one, Mapping):
            cells = [
                number(one.get(key), form) + _interval({"intervals": intervals}, name, key)
                for key, (_, form) in _COLUMNS.items()
            ]
            lines.append(row([plain(name), *cells]))
    return "\n".join(lines)


def _interval(metrics: Mapping[str, Any], name: str, key: str) -> str:
    """Word an interval as `` [low, high]``; empty if there is none."""
    pair = section(section(metrics, "intervals"), name).get(key)
    if not isinstance(pair, list) or len(pair) != 2:
        return ""
    low, high = (number(end, ".2f") for end in pair)
    return f" [{low}, {high}]"
