"""What a scene looks like in a few numbers; ``python tests/synth/generator_summary.py`` writes
``generator.json``, which a test compares with, and which may change only with GENERATOR_VERSION.
"""

import json
from pathlib import Path

import numpy as np

from mfl_adapt.synth import GENERATOR_VERSION, make_rig, make_scene

GOLDEN = Path(__file__).with_name("generator.json")


def summarize_scene(species, seed):
    """Sums over all parts that no change of a shape, pose, colour or texture leaves alone."""
    parts = make_scene(species, seed).ellipsoids
    weights = np.arange(1, len(parts) + 1)
    waves = [wave for part in parts for wave in part.waves]
    patches = [patch for part in parts for patch in part.patches]
    return {
        "parts": len(parts),
        "center": list(weights @ np.stack([part.center for part in parts])),
        "radii": list(weights @ np.stack([part.radii for part in parts])),
        "axes": list(weights @ np.stack([part.rotation[:, 2] for part in parts])),
        "color": list(weights @ np.array([part.color for part in parts])),
        "waves": list(np.sum([[*w.vector, w.phase, *w.amplitude] for w in waves], axis=0)),
        "patches": list(
            np.sum([[*p.center, *p.sigma, *p.color, p.strength] for p in patches], axis=0)
        ),
    }


def summarize():
    """The first scenes of both species, and the cameras of the two random rigs."""
    seeds = [0, 1, 2, 3, 4, 1_000_000_000, 2_000_000_000]
    scenes = {
        f"{species} {seed}": summarize_scene(species, seed)
        for species in ("heads", "mice")
        for seed in seeds
    }
    rigs = {
        rig: list(make_rig("mice", 0, rig, num_views=3, elevation_deg=(0.0, 30.0)).centers.ravel())
        for rig in ("ring", "random")
    }
    return {"version": GENERATOR_VERSION, "scenes": scenes, "rigs": rigs}


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(summarize(), indent=1) + "\n")
