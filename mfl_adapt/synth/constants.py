"""Every fixed number of the generator that published scores depend on.

The shapes themselves are in ``heads.py`` and ``mice.py``. Whoever changes a number here or a shape
there changes the pictures, and must change ``GENERATOR_VERSION`` with it.
"""

from typing import Final, Literal

GENERATOR_VERSION: Final = "2"

Species = Literal["heads", "mice"]
Split = Literal["train", "validation", "test"]
RigName = Literal["ring", "slots", "lab", "random"]

# Scene seed = start of the split + SEEDS_PER_STREAM * stream + index. Index and stream are bounded,
# so the three blocks of seeds cannot overlap.
SPLIT_START: Final[dict[str, int]] = {
    "train": 0,
    "validation": 1_000_000_000,
    "test": 2_000_000_000,
}
SEEDS_PER_STREAM: Final = 1_000_000
STREAMS_PER_SPLIT: Final = 1_000

# Texture waves never exceed this, in cycles per world unit. A ring camera at 64 px sees 25 px per
# unit at the origin, so even the finest wave spans three pixels there.
MAX_CYCLES_PER_UNIT: Final = 8.0
# Gaussian colour patches are never narrower than this, in world units.
MIN_PATCH_SIGMA: Final = 0.03

# Light is fixed in the world, so a surface point has one colour from every side.
AMBIENT: Final = 0.50
LIGHT_DIRECTION: Final = (0.35, -0.65, 0.67)

# Samples per pixel and axis: a regular grid under a box filter.
SAMPLES_PER_AXIS: Final = 3

# Pose of the head about the neck, uniform in +- these angles.
HEAD_YAW_DEG: Final = 22.0
HEAD_PITCH_DEG: Final = 9.0
HEAD_ROLL_DEG: Final = 6.0
# Share of the picture that a head covers, averaged over the FaceLift ring; FaceLift's own sample
# covers 0.29 to 0.37. Held by a test.
HEAD_FOREGROUND: Final = (0.28, 0.38)

# Share of each coat among the mice; laboratory mice are mostly dark.
MOUSE_COATS: Final[dict[str, float]] = {
    "black": 0.45,
    "agouti": 0.2,
    "grey": 0.1,
    "white": 0.1,
    "pied": 0.15,
}
# Sideways bend of the whole spine and turn of the head, uniform in +- these angles.
MOUSE_BEND_DEG: Final = 55.0
MOUSE_HEAD_TURN_DEG: Final = 30.0
# Some mice rear: their back is raised by half of this angle or more.
MOUSE_REAR_DEG: Final = 60.0
MOUSE_REARING_SHARE: Final = 0.25
# Factor on the lengths in ``mice.py``. A mouse then covers about 8 % of a ring picture; the field
# prepares its recordings to 9 % (a size ratio of 0.30).
MOUSE_SIZE: Final = (1.17, 1.3)
MOUSE_TAIL_SEGMENTS: Final = 16
