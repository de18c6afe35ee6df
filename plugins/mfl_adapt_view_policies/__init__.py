"""Which views the network sees, which it is trained on, and which it never meets before a test."""

from mfl_adapt.plugin import Spec, ViewPolicySpec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer seven ways to choose views."""
    from . import config

    return [
        ViewPolicySpec(
            name="fixed",
            summary="The same listed views every time",
            config=config.FixedConfig,
            build="mfl_adapt_view_policies.fixed:Fixed",
        ),
        ViewPolicySpec(
            name="sorted",
            summary="The same evenly spaced views every time, in their order around the subject",
            config=config.SortedConfig,
            build="mfl_adapt_view_policies.sorted_views:Sorted",
        ),
        ViewPolicySpec(
            name="held_out",
            summary="Random inputs and targets, with some views kept for the test",
            config=config.HeldOutConfig,
            build="mfl_adapt_view_policies.held_out:HeldOut",
        ),
        ViewPolicySpec(
            name="rotating",
            summary="Every example leaves out other inputs, every fold holds out other views",
            config=config.RotatingConfig,
            build="mfl_adapt_view_policies.rotating:Rotating",
        ),
        ViewPolicySpec(
            name="maximize_view_overlap",
            summary="Random inputs, and targets near some input, as FaceLift was trained",
            config=config.OverlapConfig,
            build="mfl_adapt_view_policies.overlap:MaximizeViewOverlap",
        ),
        ViewPolicySpec(
            name="reference",
            summary="View 0 is always the first input, and no target is ever an input",
            config=config.ReferenceConfig,
            build="mfl_adapt_view_policies.reference:Reference",
        ),
        ViewPolicySpec(
            name="camera_dropout",
            summary="Inputs that fail at random, so that fewer cameras are enough",
            config=config.CameraDropoutConfig,
            build="mfl_adapt_view_policies.dropout:CameraDropout",
        ),
    ]
