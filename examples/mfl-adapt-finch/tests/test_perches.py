"""The check: silent on true calibrations, and naming the camera that moved."""

import numpy as np
import pytest
from mfl_adapt.errors import ConfigError
from mfl_adapt.plugin import Facts
from mfl_adapt.types import Provenance, RawCamera, Sample
from pydantic import ValidationError

from mfl_adapt_finch.config import PerchesConfig, SessionsConfig
from mfl_adapt_finch.make_dataset import Choices, make_dataset
from mfl_adapt_finch.perches import Perches
from mfl_adapt_finch.sessions import Sessions


def findings(samples, **settings):
    return list(Perches(PerchesConfig(**settings))(Facts(dataset=tuple(samples))))


def look(folder, **settings):
    return findings(Sessions(SessionsConfig(path=folder)), **settings)


def seen(*offsets_px, z=0.0):
    """Samples of one camera 1000 mm before the origin, with f = 500 px: a pixel is 2 mm there."""
    camera = RawCamera(
        c2w=((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, -1000), (0, 0, 0, 1)),
        fxfycxcy=(500, 500, 80, 60),
        height=120,
        width=160,
    )
    marks = [
        {
            "camera": "a",
            "perch": "p",
            "end": 1,
            "point_mm": [0.0, 0.0, z],
            "pixel": [80.0 + x, 60.0],
        }
        for x in offsets_px
    ]
    params = {"cameras": ["a"], "marks": marks}
    first = Provenance(step="finch.sessions", params=params, raw_cameras=(camera,))
    return [Sample("one", (), (first,)), Sample("two", (), (first,))]


def test_is_silent_on_a_true_calibration(drawn):
    assert look(drawn) == []


@pytest.mark.parametrize(
    ("offset", "severity"), [(1.4, None), (1.6, "warning"), (4.9, "warning"), (5.1, "law")]
)
def test_thresholds_are_millimetres_at_the_perch(offset, severity):
    found = findings(seen(0.0, offset))
    assert [one.severity for one in found] == ([severity] if severity else [])
    for one in found:
        assert one.where == "camera a"
        assert one.value.startswith(f"ends of perches {offset:.1f} px from")
        assert one.excess == pytest.approx(2 * offset / 3)


def test_a_perch_behind_the_camera_is_a_law():
    (found,) = findings(seen(0.0, 0.0, z=-2000.0))
    assert (found.severity, found.excess) == ("law", np.inf)
    assert "out of sight" in found.value


def test_a_knocked_camera_is_named(tmp_path):
    folder = make_dataset(tmp_path / "a", Choices(1, 1, 5, 160, bump="cam144"))
    (found,) = look(folder)
    assert (found.code, found.severity, found.where) == ("FINCH001", "law", "camera cam144")
    # 3 degrees at 700 to 1150 mm, of 3 mm that are allowed.
    assert 700 * np.tan(np.radians(3)) / 3 < found.excess < 1150 * np.tan(np.radians(3.3)) / 3


def test_exchanged_rows_are_both_named(aviary):
    file = aviary / "calibration.csv"
    text = file.read_text()
    for old, new in (("cam072", "other"), ("cam144", "cam072"), ("other", "cam144")):
        text = text.replace(old, new)
    file.write_text(text)
    laws = {one.where for one in look(aviary) if one.severity == "law"}
    assert laws == {"camera cam072", "camera cam144"}


def test_a_calibration_in_metres_is_a_law_everywhere(aviary):
    file = aviary / "calibration.csv"
    head, *rows = file.read_text().splitlines()
    metres = []
    for row in rows:
        *rest, x, y, z = row.split(",")
        metres.append(",".join([*rest, *(str(float(one) / 1000) for one in (x, y, z))]))
    file.write_text("\n".join([head, *metres]))
    assert [one.severity for one in look(aviary)] == ["law"] * 5


def test_says_that_nobody_clicked(aviary):
    (aviary / "perches.csv").unlink()
    found = look(aviary)
    assert [(one.severity, one.value) for one in found] == [("info", "0 ends of perches")] * 5


def test_marks_that_cannot_be_read_are_a_warning():
    (one, _) = seen(0.0)
    broken = Provenance(step="finch.sessions", params={"cameras": ["a"], "marks": 3})
    (found,) = findings([Sample("odd", (), (broken,)), one], least_marks=1)
    assert (found.severity, found.where) == ("warning", "odd")


def test_leaves_samples_of_other_readers_alone():
    other = Sample("a", (), (Provenance(step="facelift_reader"),))
    assert findings([other, Sample("b", ())]) == []


def test_asks_for_a_dataset():
    with pytest.raises(ConfigError, match="expected facts with a dataset"):
        list(Perches(PerchesConfig())(Facts()))


def test_thresholds_are_in_order():
    with pytest.raises(ValidationError, match="warn_above_mm up to law_above_mm"):
        PerchesConfig(warn_above_mm=12)
