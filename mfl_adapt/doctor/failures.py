"""The catalogue of failures seen in the field, and what holds each of them off.

People who taught FaceLift a new animal met all of these. Every entry names the codes under which
this program speaks of it. Where a failure can no longer happen, or another part refuses it,
``answer`` says so and ``shown`` names tests that prove it; where no program can see it, ``answer``
says why.
"""

from mfl_adapt.doctor.failure import Failure
from mfl_adapt.doctor.failures_of_files import FILES
from mfl_adapt.doctor.failures_of_geometry import GEOMETRY
from mfl_adapt.doctor.failures_of_training import TRAINING

__all__ = ["FAILURES", "Failure"]

FAILURES = (*GEOMETRY, *TRAINING, *FILES)
"""All of them, by number."""
