"""Puts the report of a run together and writes it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from mfl_adapt import __version__
from mfl_adapt.errors import DataError
from mfl_adapt.files import write_atomically
from mfl_adapt.report.run import findings, provenance, scores
from mfl_adapt.report.run.kept import Measured, Measurer, measured_of
from mfl_adapt.report.run.markup import Html, el, join, show
from mfl_adapt.report.run.pictures import sheets
from mfl_adapt.report.run.record import RunRecord, read_run
from mfl_adapt.report.run.scene import Scene, show_certificate, show_pictures, show_splats
from mfl_adapt.report.run.summary import judge, summary
from mfl_adapt.report.viewer import fill_page, to_script

PAGE = "report.html"


class Written(NamedTuple):
    """What was written.

    Attributes:
        path: The page.
        size: Its bytes.
        verdict: What the run is worth, in a few words.
        missing: What the page could not show, a sentence each.
    """

    path: Path
    size: int
    verdict: str
    missing: tuple[str, ...]


def write_report(
    run: Path,
    out: Path | None = None,
    *,
    measurer: Callable[[], Measurer] | None = None,
    asked: Mapping[str, Any] | None = None,
) -> Written:
    """Write the report of a run as one HTML file that loads nothing else.

    Whatever the run folder holds becomes escaped text, numbers, or pictures that were decoded and
    encoded again; the page itself lets a browser load nothing and run no script but its own.

    Args:
        run: Folder that ``mfl-adapt train`` wrote, finished or not.
        out: File to write; ``report.html`` in the run folder if None.
        measurer: Gives what measures gain and cost by strength and shows a scene; called only
            if that was not done before. None measures nothing.
        asked: What the user asked to have measured; None takes what was measured before.

    Returns:
        The page, and what it lacks.

    Raises:
        DataError: If it is no run folder, a file in it is broken, or ``out`` cannot be a page.
        AdapterError: If its adapter is broken.
        ConfigError: If the run's configuration cannot be read.
        StorageError: If the page cannot be written.
    """
    out = run / PAGE if out is None else out
    record = read_run(run)
    _check_out(out, run)
    measured = measured_of(run, record.passport, measurer, asked)
    missing = _missing(record, measured)
    verdict = judge(record)
    sections = _sections(record, measured, summary(record, verdict, missing))
    page = _page(record, sections, measured.scene)
    write_atomically(out, page)
    return Written(out, len(page), verdict.title, tuple(missing))


def _check_out(out: Path, run: Path) -> None:
    """Raise if a page there would be in the way.

    Raises:
        DataError: If it is a folder or no HTML file.
    """
    if out.is_dir() or out.suffix.lower() not in {".html", ".htm"}:
        raise DataError(
            f"{out}: expected a file to write that ends in .html, got something else. Write "
            f"-o {PAGE}, or leave it out for {run / PAGE}."
        )


def _missing(record: RunRecord, measured: Measured) -> list[str]:
    """Say what the run folder lacks, and how to get it."""
    absent = {
        "Scores: the run was not evaluated.": record.evaluation is None,
        "Curves: metrics.jsonl holds no step.": not record.metrics,
        "Contact sheets: samples/ is empty.": not record.samples,
        "Findings of the doctor: doctor.json is missing.": record.doctor is None,
        "Environment: environment.json is missing.": record.environment is None,
        "Adapter: the run left none.": record.passport is None,
        f"Gain by strength, scene and 3-D view. {measured.reason}": measured.scene is None,
    }
    return [text for text, holds in absent.items() if holds]


def _sections(record: RunRecord, measured: Measured, head: Html) -> list[tuple[str, str, Html]]:
    """All sections of the page: id, title and content."""
    scene, nothing = measured.scene, el("p", measured.reason, class_="note")
    beside = nothing if scene is None else show_pictures(scene)
    drawn = None if scene is None else show_certificate(scene)
    found = [
        ("summary", "Summary", head),
        ("scores", "Scores", scores.scores(record)),
        ("scene", "One scene, before and after", beside),
    ]
    if scene is not None and scene.splats:
        found.append(("splats", "The scene in 3-D", show_splats(scene)))
    return [
        *found,
        (
            "strength",
            "Gain and cost by strength",
            scores.strengths(measured.strengths, measured.reason),
        ),
        ("curves", "Curves", scores.curves(record)),
        ("pictures", "Contact sheets", sheets(record)),
        ("findings", "Findings", findings.findings(record)),
        ("certificate", "Certificate", findings.certificate(record, drawn)),
        ("adapter", "Adapter", provenance.adapter(record)),
        ("configuration", "Configuration", provenance.settings(record)),
        ("environment", "Environment", provenance.environment(record)),
    ]


def _page(record: RunRecord, sections: list[tuple[str, str, Html]], scene: Scene | None) -> bytes:
    """Fill the page; its own size stands in it."""
    folder = files("mfl_adapt.report") / "web"
    css = (folder / "report.css").read_text("utf-8")
    script = _script(scene)
    body = [el("section", el("h2", title), content, id=name) for name, title, content in sections]
    links = [el("li", el("a", title, href=f"#{name}")) for name, title, _ in sections]
    parts = {
        "POLICY": _policy(script, css),
        "TITLE": join([f"{record.name}: report of a run"]),
        "SUBTITLE": join([f"{show(record.setting('base.id'))}, {record.path.resolve().name}"]),
        "CSS": css,
        "CONTENTS": el("ul", links),
        "BODY": join(body),
        "SCRIPT": el("script", Html(script)) if script else "",
    }
    size = len("".join(parts.values()).encode()) / 1e6
    footer = (
        f"Written by mfl-adapt {__version__}. This file of about {size:.1f} MB holds everything "
        "that it shows and loads nothing from a network."
    )
    return fill_page("report.html", FOOTER=footer, **parts).encode()


def _script(scene: Scene | None) -> str:
    """The viewer of the 3-D view; none where there is nothing to view."""
    if scene is None or not scene.splats:
        return ""
    folder = files("mfl_adapt.report") / "web"
    viewer, page = ((folder / name).read_text("utf-8") for name in ("splats.js", "report.js"))
    return f"{viewer}\nconst settings = {to_script(scene.told['settings'])};\n{page}"


def _policy(script: str, css: str) -> str:
    """What a browser may do with the page: show its pictures, and run this very script."""
    allowed = f"'sha256-{_digest(script)}'" if script else "'none'"
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{_digest(css)}'; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
