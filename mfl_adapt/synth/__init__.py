"""Analytic scenes: a float64 ray-ellipsoid renderer in numpy, heads, mice and their samples.

It shares no code with ``mfl_adapt.render``, so each can judge the other.
"""

from mfl_adapt.synth.constants import GENERATOR_VERSION, RigName, Species, Split
from mfl_adapt.synth.ellipsoids import Ellipsoid, Patch, Wave
from mfl_adapt.synth.renderer import Picture, render_view
from mfl_adapt.synth.samples import make_rig, render_sample, render_scene
from mfl_adapt.synth.scenes import Scene, make_scene, scene_seed

__all__ = [
    "GENERATOR_VERSION",
    "Ellipsoid",
    "Patch",
    "Picture",
    "RigName",
    "Scene",
    "Species",
    "Split",
    "Wave",
    "make_rig",
    "make_scene",
    "render_sample",
    "render_scene",
    "render_view",
    "scene_seed",
]
