"""An adapter that tells the multi-view diffusion model where its views stand."""

from mfl_adapt.plugin import AdapterSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``pose``."""
    from .config import PoseConfig

    return [
        AdapterSpec(
            name="pose",
            summary="cameras as a condition, for rigs other than the six slots, with LoRA",
            config=PoseConfig,
            build="mfl_adapt_pose_mvdiffusion.pose:Pose",
            any_rig=True,
        )
    ]
