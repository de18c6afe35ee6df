"""Cameras as angles: where each view stands around the subject, seen from view 0."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mfl_adapt.cameras import FACELIFT_DISTANCE, FACELIFT_FOCAL_RATIO
from mfl_adapt.errors import DataError
from mfl_adapt.types import Cameras

TURNS = 4
"""Sines and cosines of 1 to so many times the azimuth; with 4, slots 45 degrees apart differ."""

FEATURES = 2 * TURNS + 8

_OFF_DEG = 5.0
"""How far a camera may look past the subject, or lean, before angles no longer describe it."""


class AngleEmbedding(nn.Module):
    """Angles, distance and focal length of each view, as a term on the picture's embedding."""

    def __init__(self, width: int, *, hidden: int) -> None:
        """Build a network whose output is zero.

        Args:
            width: Of the embedding, E.
            hidden: Width in between.
        """
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            zeroed(nn.Linear(hidden, width)),
        )

    def forward(self, cameras: Cameras) -> Tensor:
        """Return [B * V, E] for cameras [B, V].

        Raises:
            DataError: If a camera does not look at the subject upright, or view 0 has no azimuth.
        """
        check_orbit(cameras)
        features: Tensor = angle_features(cameras).flatten(0, 1)
        embedded: Tensor = self.layers(features)
        return embedded


def angle_features(cameras: Cameras) -> Tensor:
    """Describe each view in numbers of order 1, [B, V, FEATURES].

    The azimuth is that from view 0, so that a turn of the world about +z has no say. Elevations
    are those above the horizon, of the view and of view 0: which way is up is known.

    Args:
        cameras: [B, V], world +z up, subject at the origin.

    Returns:
        Sines and cosines of the multiples of the azimuth, of the elevation and of that of view 0;
        logarithms of distance and focal length against the published rig's, of the view and of
        view 0.

    Raises:
        DataError: If view 0 is straight above or below the subject.
    """
    azimuth = relative_azimuths(cameras)
    multiples = azimuth[..., None] * torch.arange(1, TURNS + 1, device=azimuth.device)
    centers = cameras.centers
    distance = centers.norm(dim=-1)
    elevation = torch.asin((centers[..., 2] / distance).clamp(-1, 1))
    focal = cameras.fxfycxcy[..., 0] / cameras.width
    own = torch.stack(
        [
            elevation.sin(),
            elevation.cos(),
            (distance / FACELIFT_DISTANCE).log(),
            (focal / FACELIFT_FOCAL_RATIO).log(),
        ],
        dim=-1,
    )
    first = own[:, :1].expand_as(own)
    return torch.cat([multiples.sin(), multiples.cos(), own, first], dim=-1)


def relative_azimuths(cameras: Cameras) -> Tensor:
    """Return the azimuth of each view from view 0, in radians, [B, V]; only sin and cos count.

    Raises:
        DataError: If view 0 is straight above or below the subject.
    """
    x, y, z = cameras.centers.unbind(dim=-1)
    if bool((torch.hypot(x, y)[:, 0] <= 1e-3 * z[:, 0].abs()).any()):
        raise DataError(
            "cameras: expected view 0 beside the subject, got one straight above, below or on it. "
            "Choose another view as the input."
        )
    azimuth = torch.atan2(y, x)
    return azimuth - azimuth[:, :1]


def check_orbit(cameras: Cameras) -> None:
    """Raise unless every camera looks at the origin, with its picture upright.

    Raises:
        DataError: If one looks past the subject or leans.
    """
    inward = -cameras.centers / cameras.centers.norm(dim=-1, keepdim=True)
    past = (inward * cameras.forward).sum(dim=-1)
    lean = cameras.c2w[..., 2, 0].abs()  # of the axis to the right, which should be level
    limit = math.radians(_OFF_DEG)
    # Written so that the NaN of a camera on the subject is refused too.
    fits = (past >= math.cos(limit)) & (lean <= math.sin(limit)) & (cameras.c2w[..., 2, 1] < 0)
    if not bool(fits.all()):
        view = int((~fits).nonzero()[0, 1])
        raise DataError(
            f"cameras: expected every camera to look at the subject upright, within {_OFF_DEG:g} "
            f"degrees, got another one as view {view}. Normalise the cameras with "
            "facelift_cameras.virtual_camera, or train an adapter of kind pluecker."
        )


def zeroed(layer: nn.Module) -> nn.Module:
    """Return a layer whose output is zero until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
