"""Camera normalizers: from a laboratory's rig to the frame that FaceLift's models expect."""

from mfl_adapt.plugin import CameraNormalizerSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``virtual_camera``, ``scene_scale``, ``up_axis`` and ``slots``."""
    from .config import SceneScaleConfig, SlotsConfig, UpAxisConfig, VirtualCameraConfig

    return [
        CameraNormalizerSpec(
            name="virtual_camera",
            summary="Turns every camera to the subject, cuts a square around it, scales the world",
            config=VirtualCameraConfig,
            build="mfl_adapt_facelift_cameras.virtual_camera:VirtualCamera",
        ),
        CameraNormalizerSpec(
            name="scene_scale",
            summary="Scales the world to a mean camera distance; pictures stay as they are",
            config=SceneScaleConfig,
            build="mfl_adapt_facelift_cameras.scene_scale:SceneScale",
        ),
        CameraNormalizerSpec(
            name="up_axis",
            summary="Rotates the world so that up is +z; pictures stay as they are",
            config=UpAxisConfig,
            build="mfl_adapt_facelift_cameras.up_axis:UpAxis",
        ),
        CameraNormalizerSpec(
            name="slots",
            summary="Orders the views as the slots of multi-view diffusion and turns the world",
            config=SlotsConfig,
            build="mfl_adapt_facelift_cameras.slots:Slots",
        ),
    ]
