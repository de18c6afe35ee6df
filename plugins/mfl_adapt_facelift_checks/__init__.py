"""Checks of one sample against FaceLift's rig contract.

A code repeats the number of the failure that its check prevents in the catalogue of failures
seen in the field; habits, which prevent none, count from 101.
"""

from mfl_adapt.plugin import CheckSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer the geometry and mask checks, laws first."""
    from . import config

    rows = [
        ("reach", "MFL001", "Subject within the depth that the model can decode", "subject:Reach"),
        ("silhouettes", "MFL002", "Masks that one solid body can cast", "silhouettes:Silhouettes"),
        ("rotation", "MFL003", "Rotations orthonormal with det +1", "poses:Rotation"),
        ("triangulation", "MFL004", "Mask centres that meet in one point", "subject:Agreement"),
        ("origin", "MFL005", "Subject at the world origin", "subject:Origin"),
        ("up_axis", "MFL008", "World z upwards in the pictures", "poses:UpAxis"),
        ("look_at", "MFL013", "Cameras that look at the origin", "poses:LookAt"),
        ("focal_aspect", "MFL015", "Equal focal lengths along x and y", "intrinsics:FocalAspect"),
        ("border_contact", "MFL016", "Subject not cut by the frame", "masks:BorderContact"),
        ("principal_point", "MFL019", "Centred principal point", "intrinsics:PrincipalPoint"),
        ("mask_share", "MFL032", "Mask neither empty nor the whole picture", "masks:MaskShare"),
        ("distance", "MFL101", "Camera distance of the training data", "habits:Distance"),
        ("focal_length", "MFL102", "Focal length of the training data", "habits:FocalLength"),
    ]
    return [
        CheckSpec(
            name=name,
            summary=summary,
            config=config.CONFIGS[name],
            build=f"mfl_adapt_facelift_checks.{attribute}",
            code=code,
            subject="sample",
        )
        for name, code, summary, attribute in rows
    ]
