"""What a plugin author imports: the hook marker, one record per slot, and what they must build.

    from mfl_adapt.plugin import LossSpec, Spec, hookimpl

Importing this package imports neither torch nor OpenCV, and a plugin's own package must not
either: whatever is heavy goes into the module that a record's ``build`` names. A plugin states
the interface it was written for as a number of its own, ``MFL_API = 1``; the constant here is the
one that this release speaks.
"""

from mfl_adapt.plugin.hookspecs import MFL_API, hookimpl
from mfl_adapt.plugin.specs import (
    AdapterMethod,
    AdapterSpec,
    Base,
    BaseSpec,
    CameraNormalizerSpec,
    Check,
    CheckSpec,
    ComponentConfig,
    Describes,
    Exporter,
    ExporterSpec,
    ExtraMethod,
    ExtraModule,
    Facts,
    Finding,
    FrameExporter,
    Licence,
    Loss,
    LossContext,
    LossSpec,
    Pace,
    PacedMethod,
    PreprocessorSpec,
    Probed,
    PublishedWeights,
    Reader,
    ReaderSpec,
    Reconstructor,
    Spec,
    Stage,
    ViewPolicy,
    ViewPolicySpec,
)

__all__ = [
    "MFL_API",
    "AdapterMethod",
    "AdapterSpec",
    "Base",
    "BaseSpec",
    "CameraNormalizerSpec",
    "Check",
    "CheckSpec",
    "ComponentConfig",
    "Describes",
    "Exporter",
    "ExporterSpec",
    "ExtraMethod",
    "ExtraModule",
    "Facts",
    "Finding",
    "FrameExporter",
    "Licence",
    "Loss",
    "LossContext",
    "LossSpec",
    "Pace",
    "PacedMethod",
    "PreprocessorSpec",
    "Probed",
    "PublishedWeights",
    "Reader",
    "ReaderSpec",
    "Reconstructor",
    "Spec",
    "Stage",
    "ViewPolicy",
    "ViewPolicySpec",
    "hookimpl",
]
