import numpy as np
import pytest

from mfl_adapt.cameras import facelift_slots, lab_rig, look_at
from mfl_adapt.cameras.table import describe_cameras, directions_deg, format_cameras
from mfl_adapt.types import Sample, View


def sample_of(cameras):
    picture = np.zeros((cameras.height, cameras.width, 3), np.uint8)
    return Sample(
        "one",
        tuple(
            View(f"cam_{k}", picture, None, cameras.c2w[k], cameras.fxfycxcy[k])
            for k in range(len(cameras))
        ),
    )


def test_slots_have_their_azimuths():
    rows = describe_cameras(sample_of(facelift_slots(512)))
    assert [row.azimuth_deg for row in rows] == pytest.approx([270, 225, 180, 90, 0, 315])
    for row in rows:
        assert row.distance == pytest.approx(2.7)
        assert row.elevation_deg == pytest.approx(0.0, abs=1e-9)
        assert row.fov_deg == pytest.approx(50.0)
        assert row.off_axis_deg == pytest.approx(0.0, abs=1e-4)
        assert row.off_center_px == 0.0


def test_the_published_elevations_of_a_real_rig():
    rows = describe_cameras(sample_of(lab_rig(64)))
    assert [row.elevation_deg for row in rows] == pytest.approx([
        14.9,
        20.6,
        11.3,
        10.7,
        26.5,
        30.8,
    ])


def test_a_camera_that_looks_past_the_origin():
    rows = describe_cameras(
        sample_of(
            type(facelift_slots(8))(
                look_at([[0.0, -1.0, 0.0]], (1.0, 0.0, 0.0)), np.array([[8.0, 9.0, 7.0, 4.0]]), 8, 8
            )
        )
    )
    assert rows[0].off_axis_deg == pytest.approx(45.0)
    assert rows[0].off_center_px == pytest.approx(3.0)
    assert rows[0].fy / rows[0].fx == pytest.approx(9 / 8)


def test_directions():
    assert directions_deg(np.array([0.0, 0.0, 2.0]))[1] == pytest.approx(90.0)
    assert directions_deg(np.array([-1.0, -1.0, 0.0])) == pytest.approx((225.0, 0.0))


@pytest.mark.parametrize(
    ("center", "up", "expected"),
    [
        ([3.0, 3.0, 3 * 2**0.5], (0, 0, 5), (45.0, 45.0)),
        ([0.0, 0.0, 1.0], (0, -2, 0), (90.0, 0.0)),
        ([1.0, -1.0, 0.0], (0, -1, 0), (0.0, 45.0)),
        ([0.0, 2.0, 0.0], (1, 0, 0), (0.0, 0.0)),
        ([1.0, 0.0, -1.0], (1, 0, 0), (270.0, 45.0)),
    ],
)
def test_directions_about_another_up(center, up, expected):
    """Worked by hand: with -y up, x ahead and then z; with +x up, y ahead and then z."""
    assert directions_deg(np.array(center), up) == pytest.approx(expected)


def test_the_table_names_its_convention():
    lines = format_cameras(describe_cameras(sample_of(facelift_slots(512))))
    assert "world z up" in lines[0]
    assert "270.0°" in lines[2]
    assert "548.99" in lines[2]
