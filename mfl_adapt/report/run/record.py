"""What a run folder holds, read within bounds; a file that is missing is said, not mourned.

A stopped or killed run lacks some of its files, and its log may end in half a line. A file that is
there and broken is another matter: leaving it out would make a run look better than it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mfl_adapt.adapter.intact import read_intact
from mfl_adapt.config import RunConfig, shorten_paths, to_plain
from mfl_adapt.config.yaml_file import read_layer
from mfl_adapt.errors import AdapterError, DataError
from mfl_adapt.files import read_bounded, read_json
from mfl_adapt.report.run import forms

CONFIG, ORIGINS, METRICS, EVALUATION = (
    *("config.yaml", "origins.json", "metrics.jsonl", "evaluation.json"),
)
_LARGEST_LOG = 256 * 2**20
_STEP = re.compile(r"step-(\d{1,12})")


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of the configuration.

    Attributes:
        key: Dotted key.
        value: Plain value; a path of the machine of the run is shortened.
        kind: Sort of source: ``default``, ``preset``, ``file``, ``--set``, ...; ``chosen`` where
            the run folder does not tell.
        place: File and line, or the setting as typed.
    """

    key: str
    value: Any
    kind: str
    place: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run folder.

    Attributes:
        path: The folder.
        name: Of the run.
        settings: Every value of its configuration, in order.
        metrics: Rows of its log.
        evaluation: Scores; None if it was not evaluated.
        doctor: What checks found; None if that was not kept.
        guards: What guards found, row by row.
        environment: Of its machine; None if that was not kept.
        passport: Of its adapter; None if it left none.
        checkpoints: Steps that were saved.
        samples: Pictures by step.
        certificate: What is known of its dataset's geometry; None if nothing is.
    """

    path: Path
    name: str
    settings: tuple[Setting, ...]
    metrics: tuple[Mapping[str, Any], ...]
    evaluation: Mapping[str, Any] | None
    doctor: Mapping[str, Any] | None
    guards: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, Any] | None
    passport: Mapping[str, Any] | None
    checkpoints: tuple[int, ...]
    samples: tuple[tuple[int, Path], ...]
    certificate: Mapping[str, Any] | None

    def setting(self, key: str) -> Any:
        """Return a value of the configuration; None if it has none."""
        return next((one.value for one in self.settings if one.key == key), None)

    @property
    def steps_done(self) -> int:
        """The last step that is known of."""
        logged = [row["number"] for row in self.metrics if isinstance(row.get("number"), int)]
        return max([0, *logged, *self.checkpoints])


def read_run(path: Path) -> RunRecord:
    """Read a run folder without opening its data or weights.

    Raises:
        DataError: If it is no run folder, or a file in it is broken.
        AdapterError: If its adapter is broken.
        ConfigError: If its configuration cannot be read.
    """
    if not path.is_dir():
        got = "something that is no folder" if path.exists() else "no such folder"
        raise DataError(f"{path}: expected the folder of a run, got {got}. Check the path.")
    if not (path / CONFIG).is_file():
        raise DataError(
            f"{path}: expected the folder of a run, got one without {CONFIG}. Name the folder that "
            "mfl-adapt train wrote."
        )
    data = read_layer(path / CONFIG, "file").data
    forms.check_form(data, forms.SETTINGS, path / CONFIG)
    ended = (path / EVALUATION).exists()
    return RunRecord(
        path=path,
        name=str(data.get("name") or path.resolve().name),
        settings=tuple(_settings(data, _read_origins(path / ORIGINS))),
        metrics=_read_lines(path / METRICS, forms.STEP, ended=ended),
        evaluation=_read_mapping(path / EVALUATION, forms.EVALUATION),
        doctor=_read_mapping(path / "doctor.json", forms.DOCTOR),
        guards=_read_lines(path / "guards.jsonl", forms.GUARD, ended=ended),
        environment=_read_mapping(path / "environment.json", forms.ENVIRONMENT),
        passport=_read_passport(path / "adapter"),
        checkpoints=tuple(sorted(step for step, _ in _steps(path / "checkpoints", "step-*"))),
        samples=tuple(sorted(_steps(path / "samples", "step-*.png"))),
        certificate=_read_certificate(data),
    )


def section(value: Any, *names: str) -> Mapping[str, Any]:
    """Return a mapping inside mappings; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def items(value: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the mappings of a list inside a mapping; empty where there is none."""
    inner = value.get(name) if isinstance(value, Mapping) else None
    return [one for one in inner if isinstance(one, Mapping)] if isinstance(inner, list) else []


def _settings(data: Mapping[str, Any], origins: Mapping[str, Any] | None) -> Iterator[Setting]:
    defaults = dict(_leaves(to_plain(RunConfig())))
    for key, value in _leaves(shorten_paths(data)[0]):
        origin = section(origins, key)
        if origin:
            place = str(shorten_paths({"place": origin.get("place")})[0]["place"])
            yield Setting(key, value, str(origin.get("kind")), place)
        else:
            # A file of all origins names those that are no defaults.
            same = origins is not None or (key in defaults and defaults[key] == value)
            yield Setting(key, value, "default" if same else "chosen", "")


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Walk over the values of a configuration; a list is one value."""
    if isinstance(value, Mapping) and (value or not key):
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def _read_mapping(path: Path, form: forms.Form) -> Mapping[str, Any] | None:
    """Read a JSON file of a run, if it is there.

    Raises:
        DataError: If it is broken.
    """
    if not path.exists():
        return None
    found = read_json(path, advice="Mend it, or remove it to have a report without it.")
    if not isinstance(found, Mapping):
        raise DataError(
            f"{path}: expected names and values, got {type(found).__name__}. Mend it, or remove it "
            "to have a report without it."
        )
    forms.check_form(found, form, path)
    return found


def _read_origins(path: Path) -> Mapping[str, Any] | None:
    """Read where the settings of a run came from.

    Raises:
        DataError: If the file is broken.
    """
    found = _read_mapping(path, {})
    for key, origin in (found or {}).items():
        forms.check_form({"origin": origin}, forms.ORIGIN, f"{path}: {key}")
    return found


def _read_lines(path: Path, form: forms.Form, *, ended: bool) -> tuple[Mapping[str, Any], ...]:
    """Read a log of one JSON object a line.

    Args:
        path: The file.
        form: Of a line.
        ended: Whether the run came to its end; if not, a sudden end may have cut off the last line.

    Raises:
        DataError: If another line is broken.
    """
    if not path.exists():
        return ()
    try:
        lines = read_bounded(path, _LARGEST_LOG).splitlines()
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable log, got {error.strerror or error}. Check the file."
        ) from error
    rows: list[Mapping[str, Any]] = []
    for place, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if isinstance(row, Mapping):
            forms.check_form(row, form, f"{path}:{place}")
            rows.append(row)
        elif ended or place < len(lines):
            raise DataError(
                f"{path}:{place}: expected one JSON object, got {line[:40]!r}. Mend the line, or "
                "remove the file to have a report without it."
            )
    return tuple(rows)


def _read_passport(folder: Path) -> Mapping[str, Any] | None:
    """Read what the adapter says of itself, once its weights and settings are known to be whole.

    Raises:
        AdapterError: If they are not.
    """
    if not folder.exists():
        return None
    try:
        return read_intact(folder).passport
    except AdapterError as error:
        raise AdapterError(
            f"{error} To have a report without the adapter, move {folder} away."
        ) from error


def _steps(folder: Path, pattern: str) -> list[tuple[int, Path]]:
    found = [(_STEP.fullmatch(one.name.partition(".")[0]), one) for one in folder.glob(pattern)]
    return [(int(match[1]), one) for match, one in found if match]


def _read_certificate(data: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read the certificate that a prepared dataset brings along.

    Raises:
        DataError: If it is broken.
    """
    path = section(data, "data").get("path")
    usable = isinstance(path, str) and "\0" not in path and len(path) < 1000
    file = Path(str(path)) / "certificate.json"
    return _read_mapping(file, forms.CERTIFICATE) if usable else None
