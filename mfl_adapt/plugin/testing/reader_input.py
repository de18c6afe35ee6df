"""What a reader makes of paths that are not its own, and of damaged files."""

from __future__ import annotations

from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mfl_adapt.plugin.discovery import resolve
from mfl_adapt.plugin.specs import ReaderSpec
from mfl_adapt.plugin.testing.damage import damaged_copies
from mfl_adapt.plugin.testing.outcome import fail, not_applicable, require
from mfl_adapt.plugin.testing.rule import Case, check_refusal, describe_error


def check_recognition(case: Case) -> None:
    """``can_read`` says yes to its own data and no, without an error, to everything else."""
    spec = case.spec
    assert isinstance(spec, ReaderSpec)
    if not spec.needs_path:
        not_applicable("makes its samples itself")
    source, module = case.plugin.source, case.plugin.module
    assert module is not None
    can_read: Any = case.call("can_read", lambda: resolve(source, module, spec.can_read))
    with TemporaryDirectory() as folder:
        places = {
            "an empty folder": Path(folder) / "empty",
            "a missing path": Path(folder) / "missing",
            "a text file": Path(folder) / "notes.txt",
            "a folder of other files": Path(folder),
        }
        places["an empty folder"].mkdir()
        places["a text file"].write_text("nothing of yours")
        for file in ("calibration.json", "data.bin"):
            (Path(folder) / file).write_bytes(b"\x00\xff nothing of yours")
        asked = [(name, path, False) for name, path in places.items()]
        if case.data is not None and _recognized_alone(case):
            asked.append(("its own data", case.data, True))
        for name, path, wanted in asked:
            found = case.attempt("can_read", partial(can_read, path))
            got = describe_error(found.error) if found.error else repr(found.value)
            require(
                found.error is None and found.value is wanted,
                f"{case.name}: can_read of {name}",
                expected=str(wanted),
                got=got,
                remedy="Look for your own files alone, and answer True or False.",
            )


def _recognized_alone(case: Case) -> bool:
    """Other readers of the plugin may be the ones that the data are meant for."""
    readers = [one for one in case.plugin.components if isinstance(one, ReaderSpec)]
    return len([one for one in readers if one.needs_path]) == 1


def check_errors(case: Case) -> str:
    """Missing and damaged files end in one line that names them."""
    spec = case.spec
    assert isinstance(spec, ReaderSpec)
    if not spec.needs_path:
        not_applicable("reads no files")
    assert case.data is not None
    refused = 0
    with TemporaryDirectory() as folder:
        bare = {"a missing path": Path(folder) / "missing", "an empty folder": Path(folder) / "no"}
        bare["an empty folder"].mkdir()
        for action, path in bare.items():
            found = case.attempt(action, partial(_read_some, case, path))
            if found.error is None:
                fail(
                    f"{case.name}, {action}",
                    expected="a DataError that names the path",
                    got=f"{found.value} samples",
                    remedy="Check the path before anything else.",
                )
            check_refusal(case, action, found.error, place=path.name)
        for action, copy in damaged_copies(case.data, Path(folder)):
            found = case.attempt(action, partial(_read_some, case, copy))
            if found.error is not None:
                refused += 1
                check_refusal(case, action, found.error, place=copy.name)
    return f"{refused} damaged copies refused"


def _read_some(case: Case, path: Path) -> int:
    reader = case.build(path=path)
    return len([sample.views for sample in islice(reader, 2)])
