"""Makes and mends masks, and centres and scales the subject without breaking the cameras."""

from mfl_adapt.plugin import PreprocessorSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer the mask steps, the exact ``com_center`` and ``sample_scale``, and the classic zoom."""
    from .config import (
        AutoMaskConfig,
        CleanMaskConfig,
        ComCenterConfig,
        CompositeConfig,
        PixelScaleConfig,
        SampleScaleConfig,
    )

    return [
        PreprocessorSpec(
            name="auto_mask",
            summary="Masks from alpha, a white background, or files; before any change of colours",
            config=AutoMaskConfig,
            build="mfl_adapt_preprocess.auto_mask:AutoMask",
        ),
        PreprocessorSpec(
            name="clean_mask",
            summary="Keep the largest piece of each mask, fill holes, open and close",
            config=CleanMaskConfig,
            build="mfl_adapt_preprocess.clean_mask:CleanMask",
        ),
        PreprocessorSpec(
            name="com_center",
            summary="Turn each camera to the centre of mass; square, centred and exact",
            config=ComCenterConfig,
            build="mfl_adapt_preprocess.com_center:ComCenter",
        ),
        PreprocessorSpec(
            name="sample_scale",
            summary="One zoom for all views of a sample, within a safe margin; exact",
            config=SampleScaleConfig,
            build="mfl_adapt_preprocess.sample_scale:SampleScale",
        ),
        PreprocessorSpec(
            name="pixel_scale",
            summary="Classic zoom and shift per view under unchanged cameras; inexact",
            config=PixelScaleConfig,
            build="mfl_adapt_preprocess.pixel_scale:PixelScale",
        ),
        PreprocessorSpec(
            name="composite",
            summary="Put one colour behind the subject; masks stay",
            config=CompositeConfig,
            build="mfl_adapt_preprocess.composite:Composite",
        ),
    ]
