"""All checks, one a line.

Some failures of the catalogue have no row. Default cameras that nobody asked for (12) and lists
with wrong paths (52) are refused by the readers, as are pictures without the alpha that a step
needs (49) and samples that cannot be read (51); here is only what a lenient reader leaves behind.
Codes from 63 on are of second checks of one failure: 63 is of failure 2, generated views stored
with the cameras of a rig.
"""

from typing import NamedTuple

from pydantic import BaseModel

from .config import (
    BoxCenterConfig,
    DistanceConfig,
    EqualSizeConfig,
    ExposureConfig,
    FocalAspectConfig,
    FocalLengthConfig,
    GeneratedConfig,
    HistoryConfig,
    LookAtConfig,
    MaskShareConfig,
    MovedConfig,
    NoConfig,
    OriginConfig,
    ReachConfig,
    RotationConfig,
    SameSlotsConfig,
    SilhouettesConfig,
    SizeRangeConfig,
    SlotAngleConfig,
    TriangulationConfig,
    UpAxisConfig,
)


class Row(NamedTuple):
    """One check.

    Attributes:
        name: What the user types after the plugin's name.
        code: Of its findings.
        summary: What holds where it finds nothing.
        config: Model of its settings.
        build: Module and class in this package.
        samples: Most samples that it looks at; None for all.
    """

    name: str
    code: str
    summary: str
    config: type[BaseModel]
    build: str
    samples: int | None = None


# A visual hull takes a quarter of a second at 512 px, so checks that may need one look at no more
# samples than this; all at the same ones, as the hull of the last sample is remembered.
_WITH_HULL = 24

SAMPLE_CHECKS = (
    Row(
        "reach",
        "MFL001",
        "Subject within the depth that the model can decode",
        ReachConfig,
        "subject:Reach",
    ),
    Row(
        "silhouettes",
        "MFL002",
        "Masks that one solid body can cast",
        SilhouettesConfig,
        "silhouettes:Silhouettes",
        _WITH_HULL,
    ),
    Row(
        "rotation", "MFL003", "Rotations orthonormal with det +1", RotationConfig, "poses:Rotation"
    ),
    Row(
        "triangulation",
        "MFL004",
        "Mask centres that meet in one point",
        TriangulationConfig,
        "subject:Agreement",
    ),
    Row("origin", "MFL005", "Subject at the world origin", OriginConfig, "subject:Origin"),
    Row(
        "per_view_scale",
        "MFL006",
        "No view zoomed on its own",
        EqualSizeConfig,
        "steps:PerViewScale",
        _WITH_HULL,
    ),
    Row(
        "moved_cameras",
        "MFL007",
        "No camera moved without its picture",
        MovedConfig,
        "steps:MovedCameras",
        _WITH_HULL,
    ),
    Row("up_axis", "MFL008", "World z upwards in the pictures", UpAxisConfig, "poses:UpAxis"),
    Row(
        "slot_angles",
        "MFL009",
        "Cameras near the view slots they fill",
        SlotAngleConfig,
        "slots:SlotAngles",
    ),
    Row(
        "file_order",
        "MFL010",
        "Views in the order of slots or azimuths",
        NoConfig,
        "slots:FileOrder",
    ),
    Row(
        "permuted_slots",
        "MFL011",
        "FaceLift's own cameras in slot order",
        SameSlotsConfig,
        "slots:PermutedSlots",
    ),
    Row("look_at", "MFL013", "Cameras that look at the origin", LookAtConfig, "poses:LookAt"),
    Row(
        "mirrored",
        "MFL014",
        "No picture flipped without its camera",
        NoConfig,
        "silhouettes:Mirrored",
        _WITH_HULL,
    ),
    Row(
        "focal_aspect",
        "MFL015",
        "Equal focal lengths along x and y",
        FocalAspectConfig,
        "intrinsics:FocalAspect",
    ),
    Row(
        "border_contact", "MFL016", "Subject not cut by the frame", NoConfig, "masks:BorderContact"
    ),
    Row(
        "box_centered",
        "MFL017",
        "Not centred by bounding boxes",
        BoxCenterConfig,
        "steps:BoxCentered",
    ),
    Row(
        "size_range",
        "MFL018",
        "Sizes that differ little between views",
        SizeRangeConfig,
        "steps:SizeRange",
    ),
    Row(
        "principal_point",
        "MFL019",
        "Centred principal point",
        NoConfig,
        "intrinsics:PrincipalPoint",
    ),
    Row(
        "mask_share",
        "MFL032",
        "Mask neither empty nor the whole picture",
        MaskShareConfig,
        "masks:MaskShare",
    ),
    Row(
        "history",
        "MFL048",
        "Cameras that the recorded steps lead to",
        HistoryConfig,
        "history:History",
    ),
    Row(
        "exposure",
        "MFL058",
        "Subject neither all white nor all black",
        ExposureConfig,
        "masks:Exposure",
    ),
    Row(
        "generated_cameras",
        "MFL063",
        "Generated views with the cameras that made them",
        GeneratedConfig,
        "generated:GeneratedCameras",
    ),
    Row(
        "distance",
        "MFL101",
        "Camera distance of the training data",
        DistanceConfig,
        "habits:Distance",
    ),
    Row(
        "focal_length",
        "MFL102",
        "Focal length of the training data",
        FocalLengthConfig,
        "habits:FocalLength",
    ),
)

DATASET_CHECKS = (
    Row(
        "out_of_time",
        "MFL020",
        "Samples in the order of time where split by order",
        NoConfig,
        "dataset:OutOfTime",
    ),
    Row("missing_views", "MFL049", "No sample short of a view", NoConfig, "dataset:MissingViews"),
    Row("repeated", "MFL051", "No sample twice", NoConfig, "dataset:Repeated"),
)
