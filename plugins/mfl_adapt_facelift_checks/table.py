"""All checks, one a line.

A code repeats the number of the failure that its check prevents in the catalogue of failures seen
in the field. Not every failure has a row: some are refused where files are read, some can no longer
happen, and docs/checks.md says which. Codes from 63 on are of second checks of one failure, and of
adapters, runs and machines; from 101 on of habits.
"""

from typing import Literal, NamedTuple

from pydantic import BaseModel

from .config import (
    BoxCenterConfig,
    ClipConfig,
    DiskConfig,
    DistanceConfig,
    EqualSizeConfig,
    ExposureConfig,
    FewConfig,
    FocalAspectConfig,
    FocalLengthConfig,
    GeneratedConfig,
    HistoryConfig,
    InputGainConfig,
    LearningRateConfig,
    LookAtConfig,
    MarginConfig,
    MaskShareConfig,
    MemoryConfig,
    MovedConfig,
    NeighboursConfig,
    NoConfig,
    OriginConfig,
    ReachConfig,
    RotationConfig,
    SameSlotsConfig,
    SilhouettesConfig,
    SizeRangeConfig,
    SlotAngleConfig,
    TriangulationConfig,
    TwinConfig,
    UpAxisConfig,
)

Subject = Literal["config", "source", "sample", "dataset", "adapter", "run", "machine"]


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
    Row("twins", "MFL037", "No two views with one camera", TwinConfig, "twins:Twins"),
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
    Row("few", "MFL036", "Moments enough to learn from", FewConfig, "leakage:Few"),
    Row("missing_views", "MFL049", "No sample short of a view", NoConfig, "dataset:MissingViews"),
    Row("repeated", "MFL051", "No sample twice", NoConfig, "dataset:Repeated"),
    Row(
        "neighbours",
        "MFL065",
        "Frames for validation away from those for training",
        NeighboursConfig,
        "leakage:Neighbours",
    ),
)

CONFIG_CHECKS = (
    Row("perceptual", "MFL023", "No perceptual loss term", NoConfig, "settings:Perceptual"),
    Row("clip", "MFL025", "Gradients clipped", ClipConfig, "settings:Clip"),
    Row(
        "learning_rate",
        "MFL026",
        "A learning rate that adapters learn with",
        LearningRateConfig,
        "settings:LearningRate",
    ),
    Row("forced", "MFL027", "Broken laws not ignored", NoConfig, "settings:Forced"),
    Row(
        "background_term",
        "MFL028",
        "Loss terms on the subject and beside it",
        NoConfig,
        "settings:BackgroundTerm",
    ),
)

SOURCE_CHECKS = (
    Row("lists", "MFL052", "Lists whose entries are samples", NoConfig, "source:Lists"),
    Row("sizes", "MFL064", "Camera files with the pictures' sizes", NoConfig, "source:Sizes"),
)

ADAPTER_CHECKS = (
    Row("other_rig", "MFL066", "The base's own rig contract", NoConfig, "adapters:OtherRig"),
    Row("unproven", "MFL067", "A gain on held-out views", NoConfig, "adapters:Unproven"),
    Row("was_forced", "MFL068", "Nothing forced", NoConfig, "adapters:WasForced"),
)

RUN_CHECKS = (
    Row(
        "over_constant",
        "MFL021",
        "Better than a picture without a model",
        MarginConfig,
        "runs:OverConstant",
    ),
    Row(
        "input_views",
        "MFL022",
        "Gains not on input views alone",
        InputGainConfig,
        "runs:InputViews",
    ),
    Row("negative_terms", "MFL029", "No loss below zero", NoConfig, "runs:NegativeTerms"),
    Row("saved", "MFL043", "The adapter of a finished run", NoConfig, "runs:Saved"),
    Row("checkpoints", "MFL075", "Checkpoints as written", NoConfig, "runs:Checkpoints"),
    Row("unfinished", "MFL074", "All steps done", NoConfig, "runs:Unfinished"),
)

MACHINE_CHECKS = (
    Row("memory", "MFL040", "Memory for a step", MemoryConfig, "machine:Memory"),
    Row("disk", "MFL055", "Space for a run", DiskConfig, "machine:Disk"),
    Row("rasterizer", "MFL057", "One splat drawn rightly", NoConfig, "machine:Rasterizer"),
    Row("compiler", "MFL070", "nvcc of torch's CUDA", NoConfig, "machine:Compiler"),
    Row("threads", "MFL072", "Threads that fit the cores", NoConfig, "machine:Threads"),
    Row("kernel_cache", "MFL073", "Compiled kernels kept", NoConfig, "machine:KernelCache"),
)

CHECKS: dict[Subject, tuple[Row, ...]] = {
    "config": CONFIG_CHECKS,
    "source": SOURCE_CHECKS,
    "sample": SAMPLE_CHECKS,
    "dataset": DATASET_CHECKS,
    "adapter": ADAPTER_CHECKS,
    "run": RUN_CHECKS,
    "machine": MACHINE_CHECKS,
}
"""By what they look at, in the order in which a doctor comes to it."""
