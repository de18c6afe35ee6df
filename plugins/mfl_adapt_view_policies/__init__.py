"""Which views the network sees, which it is trained on, and which it never meets before a test."""

from mfl_adapt.plugin import Spec, ViewPolicySpec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer ``fixed`` and ``held_out``."""
    from .config import FixedConfig, HeldOutConfig

    return [
        ViewPolicySpec(
            name="fixed",
            summary="The same listed views every time",
            config=FixedConfig,
            build="mfl_adapt_view_policies.fixed:Fixed",
        ),
        ViewPolicySpec(
            name="held_out",
            summary="Random inputs and targets, with some views kept for the test",
            config=HeldOutConfig,
            build="mfl_adapt_view_policies.held_out:HeldOut",
        ),
    ]
