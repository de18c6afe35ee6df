"""Rules about exporters: a file appears whole or not at all."""

from __future__ import annotations

import base64
import pickle
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.errors import MflAdaptError
from mfl_adapt.plugin.specs import ExporterSpec
from mfl_adapt.plugin.testing.outcome import fail, leave_unchecked, require
from mfl_adapt.plugin.testing.rule import Case, Rule, check_refusal
from mfl_adapt.plugin.testing.well_formed import tensors_digest
from mfl_adapt.plugin.testing.worker import apply_away

if TYPE_CHECKING:
    from mfl_adapt.types import Gaussians

_OLD = b"the file that was there before"
# Less than any format needs for what is written here, more than some write at first.
_DISK_BYTES = 256


def _spec(case: Case) -> ExporterSpec:
    assert isinstance(case.spec, ExporterSpec)
    return case.spec


def _content(case: Case) -> Any:
    """Something to write: Gaussians, or frames."""
    return _frames() if _spec(case).takes == "frames" else _gaussians()


def _frames() -> Any:
    return np.random.default_rng(0).integers(0, 256, (4, 34, 46, 3), dtype=np.uint8)


def _gaussians() -> Gaussians:
    import torch

    from mfl_adapt.types import Gaussians

    generator = torch.Generator().manual_seed(0)

    def draw(*sizes: int) -> Any:
        return torch.rand(1, 300, *sizes, generator=generator)

    quats = torch.nn.functional.normalize(draw(4) - 0.5, dim=-1)
    return Gaussians(draw(3) - 0.5, quats, 0.01 + 0.02 * draw(3), draw() * 0.98 + 0.01, draw(1, 3))


def _write(exporter: Any, content: Any, path: Path) -> None:
    if isinstance(content, np.ndarray):
        exporter(content, path, fps=10.0)
    else:
        exporter(content, path)


def check_written(case: Case) -> str:
    """It writes the file that was asked for, there and nowhere else, over an older one."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"scene{_spec(case).suffix}"
        path.write_bytes(_OLD)
        case.call("writing", partial(_write, case.built(), _content(case), path))
        found = sorted(one.name for one in Path(folder).iterdir())
        require(
            found == [path.name] and path.read_bytes() not in {_OLD, b""},
            f"{case.name}: the folder afterwards",
            expected=f"a new {path.name} and nothing else",
            got=", ".join(found) if found != [path.name] else "the old file, or an empty one",
            remedy="Write to the path that was given; hidden files must be gone.",
        )
        case.memory["written"] = path.read_bytes()
    return f"{len(case.memory['written'])} bytes"


def check_same_bytes(case: Case) -> None:
    """The same content gives the same bytes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"scene{_spec(case).suffix}"
        fresh = case.call("building it again", case.build)
        case.call("writing again", partial(_write, fresh, _content(case), path))
        require(
            path.read_bytes() == case.memory["written"],
            f"{case.name}: a second file",
            expected="the same bytes",
            got="others",
            remedy="Write no time, no random name and no order of sets.",
        )


def check_no_edits(case: Case) -> None:
    """What it was given stays as it was."""
    content = _content(case)
    before = _digest(content)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"scene{_spec(case).suffix}"
        case.call("writing", partial(_write, case.built(), content, path))
    require(
        _digest(content) == before,
        f"{case.name}: its argument",
        expected="no change",
        got="other values",
        remedy="Use no operation in place on what was given.",
    )


def _digest(content: Any) -> Any:
    if isinstance(content, np.ndarray):
        return content.tobytes()
    names = ("means", "quats", "scales", "opacities", "sh")
    return tensors_digest(*(getattr(content, name) for name in names))


def check_whole(case: Case) -> None:
    """Where the disk is full, an older file stays as it was and nothing is left behind."""
    try:
        import resource  # noqa: F401
    except ImportError:  # Windows
        leave_unchecked("needs a system that can limit the size of files")
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"scene{_spec(case).suffix}"
        path.write_bytes(_OLD)
        found = apply_away(
            case, _write_on_full_disk, exporter=case.built(), takes=_spec(case).takes, path=path
        )
        if found is None:
            leave_unchecked(f"its file fits into {_DISK_BYTES} bytes")
        left = sorted(one.name for one in Path(folder).iterdir())
        require(
            left == [path.name] and path.read_bytes() == _OLD,
            f"{case.name}: a full disk",
            expected="the older file as it was, and nothing else",
            got=", ".join(left) if left != [path.name] else "half of a new file",
            remedy="Write through mfl_adapt.files.write_atomically.",
        )
        error = pickle.loads(base64.b64decode(found))
        check_refusal(case, "a full disk", error, place=path.name)


def _write_on_full_disk(exporter: Any, takes: str, path: Path) -> str | None:
    """Write where no file may be larger than a few bytes; return the error, pickled."""
    import resource

    content = _frames() if takes == "frames" else _gaussians()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_DISK_BYTES, before[1]))
    try:
        _write(exporter, content, path)
    except (MflAdaptError, OSError, RuntimeError, ValueError) as error:
        return base64.b64encode(pickle.dumps(error)).decode()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return None


def check_errors(case: Case) -> None:
    """Content that cannot be shown is refused in one line, and an older file stays."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"scene{_spec(case).suffix}"
        for what, content in _spoiled(case).items():
            path.write_bytes(_OLD)
            found = case.attempt(what, partial(_write, case.built(), content, path))
            if found.error is None:
                fail(
                    f"{case.name}, {what}",
                    expected="a RangeError or ShapeError",
                    got=f"a file of {path.stat().st_size} bytes",
                    remedy="Check values and shapes before anything is written.",
                )
            check_refusal(case, what, found.error)
            left = sorted(one.name for one in Path(folder).iterdir())
            require(
                left == [path.name] and path.read_bytes() == _OLD,
                f"{case.name}, {what}: the folder afterwards",
                expected="the older file as it was, and nothing else",
                got=", ".join(left) if left != [path.name] else "another file",
                remedy="Write through mfl_adapt.files.write_atomically.",
            )


def _spoiled(case: Case) -> dict[str, Any]:
    from dataclasses import replace

    if _spec(case).takes == "frames":
        return {
            "no frames": _frames()[:0],
            "frames of floats": _frames() / 255.0,
            "frames without colours": _frames()[..., 0],
        }
    good = _gaussians()
    return {
        "means of NaN": replace(good, means=good.means * float("nan")),
        "opacities above 1": replace(good, opacities=good.opacities + 2.0),
        "scales of other Gaussians": replace(good, scales=good.scales[:, :7]),
    }


_EXPORTERS = (ExporterSpec,)
RULES = (
    Rule(
        "E01-written",
        _EXPORTERS,
        "It writes the file that was asked for and nothing else",
        check_written,
        ("C02-build",),
    ),
    Rule(
        "E02-same-bytes",
        _EXPORTERS,
        "The same content gives the same bytes",
        check_same_bytes,
        ("E01-written",),
    ),
    Rule(
        "E03-no-edits",
        _EXPORTERS,
        "What it was given stays as it was",
        check_no_edits,
        ("E01-written",),
    ),
    Rule(
        "E04-whole",
        _EXPORTERS,
        "On a full disk an older file stays and no part is left",
        check_whole,
        ("E01-written",),
    ),
    Rule(
        "E05-errors",
        _EXPORTERS,
        "What cannot be shown is refused, and an older file stays",
        check_errors,
        ("E01-written",),
    ),
)
