"""Injuries of datasets, each done on disk to a copy of mice in the rig of a laboratory.

``injure`` takes the folder; ``injured_rigs`` has what is done to others.
"""

from pathlib import Path

import injuries
import numpy as np
from injury import Injury

from mfl_adapt.images import load_picture, save_picture

CONTRADICTS = "Masks and cameras that contradict one another are outlines that no body casts."
NO_PLACE = "Rays that meet nowhere, or behind the cameras, are no place near the origin."


def mask_of_everything(folder: Path) -> None:
    """A threshold under which the grey wall is foreground too."""
    _change_masks(folder, lambda mask: np.full_like(mask, 255))


def mask_of_nothing(folder: Path) -> None:
    """One view in which nothing was found."""
    path = injuries.pictures(injuries.samples(folder)[0])[2]
    rgb, mask = load_picture(path)
    save_picture(path, rgb, np.zeros_like(mask))


def _change_masks(folder: Path, change) -> None:
    for sample in injuries.samples(folder):
        for path in injuries.pictures(sample):
            rgb, mask = load_picture(path)
            save_picture(path, rgb, change(mask))


def lost_camera_file(folder: Path) -> None:
    """One camera file was not copied."""
    (injuries.samples(folder)[1] / injuries.CAMERAS).unlink()


def no_reader_for_it(folder: Path) -> None:
    """Pictures in a layout that no reader knows."""
    for sample in injuries.samples(folder):
        (sample / injuries.CAMERAS).unlink()


def stretched_picture(folder: Path) -> None:
    """A picture of another aspect than its camera's."""
    path = injuries.pictures(injuries.samples(folder)[0])[1]
    rgb, mask = load_picture(path)
    save_picture(path, rgb[:80].copy(), mask[:80].copy())


def as_recorded(folder: Path) -> None:
    """Whole frames with the right cameras, which nobody has prepared."""
    for sample in injuries.samples(folder):
        for path in injuries.pictures(sample):
            rgb, mask = load_picture(path)
            save_picture(path, rgb[8:88].copy(), mask[8:88].copy())
        injuries.edit_frames(sample, lambda index, frame: frame.update(h=80, cy=frame["cy"] - 8))


def without_alpha(folder: Path) -> None:
    """Pictures of one sample as an export without alpha leaves them."""
    for path in injuries.pictures(injuries.samples(folder)[1]):
        save_picture(path, load_picture(path).rgb)


def cut_picture(folder: Path) -> None:
    """A copy that broke off."""
    path = injuries.pictures(injuries.samples(folder)[2])[0]
    path.write_bytes(path.read_bytes()[:200])


LAB = (
    Injury(
        code="MFL001",
        severity="law",
        value=r"subject reaches \d+ from",
        injure=injuries.millimetres,
        failures=(1,),
        also={"MFL005": "The calibration's own origin is beside the animal, too."},
    ),
    Injury(
        code="MFL001",
        severity="law",
        value=r"nearest camera 0\.\d+ .* subject 0\.\d+ across",
        injure=injuries.metres,
        failures=(1,),
    ),
    Injury(
        code="MFL002",
        severity="law",
        value=r"\d+\.\d % of the mask fits",
        injure=injuries.cameras_of_another_rig,
        failures=(2, 35),
    ),
    Injury(
        code="MFL002",
        severity="law",
        value=r"\d+\.\d % of the mask fits",
        injure=injuries.without_camera_files,
        failures=(12,),
    ),
    Injury(
        code="MFL003",
        severity="law",
        value="^det -1$",
        injure=injuries.mirrored_pose,
        where=r"frames\[0\]\.w2c$",
        failures=(3,),
    ),
    Injury(
        code="MFL004",
        severity="law",
        value=r"error \d+\.\d px at 512",
        injure=injuries.intrinsics_overwritten,
        failures=(4, 35),
        also={"MFL002": CONTRADICTS},
    ),
    Injury(
        code="MFL005",
        severity="warning",
        value=r"0\.\d+ from the origin",
        injure=injuries.subject_off_the_origin,
        failures=(5,),
    ),
    Injury(
        code="MFL006",
        severity="warning",
        value=r"equal within 0\.\d+ %",
        injure=injuries.zoomed_one_by_one,
        failures=(6,),
        also={"MFL002": CONTRADICTS},
    ),
    Injury(
        code="MFL007",
        severity="warning",
        value=r"distance 2\.700 .* by \d\.\d %",
        injure=injuries.pulled_to_one_distance,
        failures=(7,),
        also={"MFL002": CONTRADICTS},
    ),
    Injury(
        code="MFL008",
        severity="warning",
        value=r"cosine -?0\.\d+",
        injure=injuries.y_up,
        failures=(8,),
    ),
    Injury(
        code="MFL012",
        severity="law",
        value=".",
        injure=lost_camera_file,
        where="mice-train-0-000001/opencv_cameras.json$",
        failures=(12,),
    ),
    Injury(
        code="MFL013",
        severity="law",
        value=r"cosine -1\.000",
        injure=injuries.looking_away,
        failures=(3,),
        also={"MFL002": CONTRADICTS, "MFL004": NO_PLACE},
    ),
    Injury(
        code="MFL013",
        severity="law",
        value=r"cosine -1\.000",
        injure=injuries.opengl,
        failures=(13,),
        also={
            "MFL002": CONTRADICTS,
            "MFL004": NO_PLACE,
            "MFL008": "The y axis of OpenGL points up, so that pictures stand on their heads.",
        },
    ),
    Injury(
        code="MFL014",
        severity="warning",
        value=r"100\.0 % once this one is flipped",
        injure=injuries.one_picture_flipped,
        failures=(14,),
        also={"MFL002": CONTRADICTS},
    ),
    Injury(
        code="MFL014",
        severity="warning",
        value=r"100\.0 % once all are flipped",
        injure=injuries.all_pictures_flipped,
        failures=(14,),
        also={"MFL002": CONTRADICTS},
    ),
    Injury(
        code="MFL015",
        severity="warning",
        value=r"fx = 153\.\d+, fy = 172\.\d+",
        injure=injuries.stretched_pixels,
        failures=(15,),
    ),
    Injury(
        code="MFL015",
        severity="law",
        value="^96 x 80$",
        injure=stretched_picture,
        where="images/cam_001.png$",
        failures=(15,),
    ),
    Injury(
        code="MFL016",
        severity="warning",
        value=r"\d+ px on ",
        injure=injuries.zoomed_out_of_the_frame,
        failures=(16,),
    ),
    Injury(
        code="MFL017",
        severity="warning",
        value=r"centres of mass up to \d+\.\d px",
        injure=injuries.centred_by_boxes,
        failures=(17,),
        also={"MFL002": CONTRADICTS},
    ),
    Injury(
        code="MFL018",
        severity="info",
        value=r"largest over smallest size \d\.\d\d",
        injure=injuries.unequal_sizes,
        failures=(18,),
    ),
    Injury(
        code="MFL019",
        severity="law",
        value=r"6\.00 px off the middle",
        injure=injuries.principal_points_shifted,
        failures=(19,),
    ),
    Injury(
        code="MFL020",
        severity="warning",
        value="1 of 2 steps go back",
        injure=injuries.shuffled,
        where="^session day 1$",
        failures=(20,),
    ),
    Injury(
        code="MFL032",
        severity="law",
        value=r"^mask covers 100\.00 % of the picture$",
        injure=mask_of_everything,
        failures=(32,),
        also={
            "MFL001": "The whole picture is taken for the subject, which is as large as the scene.",
            "MFL016": "A mask of the whole picture touches every edge of it.",
            "MFL058": "The white wall is taken for the subject, which is white.",
        },
    ),
    Injury(
        code="MFL032",
        severity="law",
        value=r"^mask covers 0\.00 % of the picture$",
        injure=mask_of_nothing,
        where="/cam_002$",
        failures=(32,),
    ),
    Injury(
        code="MFL047",
        severity="law",
        value="^none$",
        injure=no_reader_for_it,
        failures=(47,),
    ),
    Injury(
        code="MFL048",
        severity="law",
        value=r"up to 0\.\d+ px apart",
        injure=injuries.moved_after_preparation,
        failures=(48,),
    ),
    Injury(
        code="MFL048",
        severity="law",
        value=r"^\[80, 96\]$",
        injure=as_recorded,
        failures=(48,),
    ),
    Injury(
        code="MFL049",
        severity="warning",
        value="5 views, without cam_002",
        injure=injuries.one_view_dropped,
        failures=(49,),
    ),
    Injury(
        code="MFL049",
        severity="law",
        value=".",
        injure=without_alpha,
        where="mice-train-0-000001/images/cam_000.png$",
        failures=(39, 49),
    ),
    Injury(
        code="MFL051",
        severity="law",
        value="same bytes as mice-train-0-000000",
        injure=injuries.one_sample_for_another,
        failures=(51,),
        also={"MFL020": "The copy has the time of its original, which is earlier."},
    ),
    Injury(
        code="MFL051",
        severity="law",
        value=".",
        injure=cut_picture,
        where="mice-train-0-000002/images/cam_000.png$",
        failures=(51,),
    ),
    Injury(
        code="MFL058",
        severity="warning",
        value=r"\d+\.\d % of the subject is",
        injure=injuries.clipped_from_16_bits,
        failures=(58,),
    ),
    Injury(
        code="MFL058",
        severity="warning",
        value=r"level \d+\.\d of 255",
        injure=injuries.twelve_bits_in_sixteen,
        failures=(58,),
    ),
)
OF_THE_DATASET = {
    *(injuries.shuffled, injuries.one_view_dropped, injuries.one_sample_for_another),
    *(lost_camera_file, no_reader_for_it, without_alpha, cut_picture),
}
"""Those that one sample alone does not show."""
