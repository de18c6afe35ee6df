"""More injuries of datasets, by what is injured; ``injured_data`` has those of any rig.

``injure`` takes the folder. Mice in rigs that are just like those of the base's own data, so that
even information is news (``HABITUAL``), mice in the six slots of a base that has slots
(``SLOTTED``), views that a model made (``GENERATED``), and six moments of which some are for
validation (``LISTED``).
"""

import json
from pathlib import Path

import injuries
import numpy as np
from injured_data import NO_PLACE
from injury import Injury, named


def another_unit(folder: Path) -> None:
    """The world in other units, subject and all: no failure at all."""

    def scale(index, c2w):
        c2w[:3, 3] *= 1.3

    injuries.edit_poses(folder, scale)


def another_lens(folder: Path) -> None:
    """A tighter crop with its cameras: no failure at all."""
    for sample in injuries.samples(folder):
        maps = [injuries.zoom(1.2, (48, 48), (48, 48))] * 6
        injuries.warp(sample, maps, with_cameras=True)


HABITUAL = (
    Injury(
        code="MFL036",
        severity="info",
        value="^2 different moments",
        injure=named("few_moments", lambda folder: None),
        where="^samples to train on$",
        failures=(36,),
    ),
    Injury(code="MFL101", severity="info", value=r"^distance 3\.\d+$", injure=another_unit),
    Injury(code="MFL102", severity="info", value="x width$", injure=another_lens),
    Injury(
        code="MFL010",
        severity="info",
        value=r"^azimuths \d+, ",
        injure=named("in_another_order", lambda folder: _reorder(folder, (0, 2, 4, 1, 3, 5))),
        failures=(10,),
    ),
)


def _reorder(folder: Path, order: tuple[int, ...]) -> None:
    """Name the views in another order; each keeps its picture and its camera."""
    for sample in injuries.samples(folder):
        file = sample / injuries.CAMERAS
        content = json.loads(file.read_text())
        content["frames"] = [content["frames"][index] for index in order]
        file.write_text(json.dumps(content))
        (sample / "provenance.json").unlink(missing_ok=True)


def _turn(folder: Path, degrees: float) -> None:
    """Turn the world about its axis upwards."""
    angle = np.radians(degrees)
    about = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

    def turn(index, c2w):
        c2w[:2] = about @ c2w[:2]

    injuries.edit_poses(folder, turn)


def a_ring(folder: Path) -> None:
    """Cameras 60 degrees apart, in the order of the slots that each is nearest to."""
    _reorder(folder, (0, 5, 4, 3, 2, 1))


def files_in_another_order(folder: Path) -> None:
    """Two cameras plugged in the other way round, a little beside their slots."""
    _turn(folder, 10.0)
    _reorder(folder, (1, 0, 2, 3, 4, 5))


def without_permutation(folder: Path) -> None:
    """FaceLift's inference file, with azimuths 180, 225, 270, 315, 0, 90."""
    _reorder(folder, (2, 1, 0, 5, 4, 3))


SLOTTED = (
    Injury(
        code="MFL009",
        severity="warning",
        value=r"^\d+\.\d degrees from its slot at azimuth \d+",
        injure=a_ring,
        failures=(9,),
    ),
    Injury(
        code="MFL010",
        severity="warning",
        value="^azimuths 235, 280, 190, ",
        injure=files_in_another_order,
        failures=(10,),
    ),
    Injury(
        code="MFL011",
        severity="law",
        value="^view 0 at azimuth 180 degrees$",
        injure=without_permutation,
        failures=(11,),
        also={"MFL010": "Views in FaceLift's order are not in the order of the slots."},
    ),
)


def one_camera_moved(folder: Path) -> None:
    """The camera file edited, the record of what made the views left."""
    file = injuries.samples(folder)[0] / injuries.CAMERAS
    content = json.loads(file.read_text())
    content["frames"][3]["w2c"][1][3] += 0.02
    file.write_text(json.dumps(content))


GENERATED = (
    Injury(
        code="MFL063",
        severity="law",
        value=r"0\.020 units .* worst in view cam_003$",
        injure=one_camera_moved,
        failures=(2,),
        also={"MFL048": "The record of the steps no longer leads to the cameras, either."},
    ),
)


def paths_of_another_machine(folder: Path) -> None:
    """A list that was written where the data lay before."""
    lines = [f"/mnt/localssd/mice/{sample.name}/" for sample in injuries.samples(folder)]
    (folder / "data_all.txt").write_text("\n".join(lines) + "\n")


def sizes_of_before(folder: Path) -> None:
    """Somebody wrote the size of the recording into the camera file."""
    file = injuries.samples(folder)[0] / injuries.CAMERAS
    content = json.loads(file.read_text())
    for frame in content["frames"]:
        frame["w"] = frame["h"] = 192
    file.write_text(json.dumps(content))


def every_other_frame(folder: Path) -> None:
    """Frames for validation taken between those for training."""
    names = [sample.name for sample in injuries.samples(folder)]
    for file, found in (("data_train.txt", names[::2]), ("data_val.txt", names[1::2])):
        (folder / file).write_text("\n".join(found) + "\n")


def one_camera_for_all(folder: Path) -> None:
    """The first pose written six times."""
    for sample in injuries.samples(folder):
        first = json.loads((sample / injuries.CAMERAS).read_text())["frames"][0]["w2c"]
        injuries.edit_frames(sample, lambda index, frame, w2c=first: frame.update(w2c=w2c))


LISTED = (
    Injury(
        code="MFL052",
        severity="law",
        value=r"another machine \(6 such\)$",
        injure=paths_of_another_machine,
        where=r"data_all\.txt:1$",
        failures=(52,),
    ),
    Injury(
        code="MFL064",
        severity="law",
        value="192 x 192",
        injure=sizes_of_before,
        failures=(4,),
    ),
    Injury(
        code="MFL065",
        severity="warning",
        value="^3 of 3 frames for validation are next",
        injure=every_other_frame,
        where="^session day 1$",
        failures=(20,),
    ),
    Injury(
        code="MFL037",
        severity="law",
        value="^camera of cam_000, with another picture$",
        injure=one_camera_for_all,
        failures=(37,),
        also={
            "MFL001": "Rays from one place meet in that place, which is out of reach.",
            "MFL004": NO_PLACE,
            "MFL005": NO_PLACE,
        },
    ),
)
