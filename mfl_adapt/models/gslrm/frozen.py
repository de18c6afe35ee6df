"""The frozen GS-LRM base: what adapters are attached to and what ``reconstruct`` runs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

import torch
from torch import Tensor

from mfl_adapt.cameras import orbit
from mfl_adapt.errors import CheckpointError
from mfl_adapt.models.checkpoint import fingerprint, load_into, read_checkpoint
from mfl_adapt.models.gslrm.config import GSLRMConfig, read_config
from mfl_adapt.models.gslrm.gaussians import RawGaussians
from mfl_adapt.models.gslrm.inputs import check_cameras, check_rgb, to_tensor
from mfl_adapt.models.gslrm.model import GSLRM
from mfl_adapt.models.gslrm.patches import to_images
from mfl_adapt.models.probing import probing, ramp
from mfl_adapt.types import Cameras, Gaussians


class FrozenGSLRM:
    """A GS-LRM with fixed weights, in evaluation mode.

    Attributes:
        id: Name that the user types, ``facelift.tiny``.
        module: The network. Adapters are put into it; its own weights take no gradient.
        contract: What it assumes about pictures and cameras.
        sha256: Of the checkpoint file.
        fingerprint: Of the architecture.
    """

    def __init__(self, module: GSLRM, *, id: str, sha256: str) -> None:
        """Freeze a network.

        Args:
            module: With its weights and without adapters.
            id: Name that the user types.
            sha256: Of the file the weights come from.
        """
        self.id = id
        self.module = module.eval().requires_grad_(requires_grad=False)
        self.contract = module.architecture.contract()
        self.sha256 = sha256
        # The picture size is a habit of the training data; no number in the network depends on it.
        options = module.architecture.model_dump(mode="json", exclude={"image_size"})
        self.fingerprint = fingerprint(module, options)

    def describe(self) -> dict[str, str]:
        """Return what only this kind of base has to say."""
        options = self.module.architecture
        least, most = self.contract.input_views
        return {
            "network": f"depth {options.n_layer}, width {options.d}, patch {options.patch_size}",
            "views": f"{least} to {most} pictures with cameras",
        }

    def probe(self) -> Tensor:
        """Return all stored Gaussians of two fixed pictures of 2 x 2 patches, as a vector.

        They are taken before activation, where a change is not lost in saturation. The same
        network gives the same numbers whatever its mode; at the published size this takes less
        than a second on one core.

        Returns:
            [N], float32, on the CPU.
        """
        size = 2 * self.contract.patch
        rig = orbit(
            (270.0, 0.0),
            (0.0, 20.0),
            (self.contract.distance,) * 2,
            (self.contract.focal_ratio,) * 2,
            size,
        )
        cameras = replace(rig, c2w=rig.c2w[None], fxfycxcy=rig.fxfycxcy[None])
        with probing(self.module):
            made = self.reconstruct_raw(ramp(1, 2, 3, size, size), cameras)
        fields = (made.xyz, made.features, made.scaling, made.rotation, made.opacity)
        return torch.cat([field.flatten() for field in fields]).float().cpu()

    def reconstruct(
        self, rgb: Tensor, cameras: Cameras, *, round_rays: torch.dtype | None = None
    ) -> Gaussians:
        """Return what a renderer draws; see ``reconstruct_raw``.

        Gradients flow to whatever in the module or in ``rgb`` asks for them. Where nothing
        should be kept for a backward pass, call it under ``torch.inference_mode()``.
        """
        return self.reconstruct_raw(rgb, cameras, round_rays=round_rays).activate()

    def pixel_positions(self, gaussians: Gaussians, views: int, height: int, width: int) -> Tensor:
        """Return where the Gaussians that belong to input pixels are, as pictures.

        Args:
            gaussians: As ``reconstruct`` returned them.
            views: Number of input views, V.
            height: Of the inputs, in pixels.
            width: Of the inputs, in pixels.

        Returns:
            World positions with gradient, [B, V, 3, H, W].
        """
        free = gaussians.means.shape[1] - views * height * width
        return to_images(gaussians.means[:, free:], views, height, width, self.contract.patch)

    def reconstruct_raw(
        self, rgb: Tensor, cameras: Cameras, *, round_rays: torch.dtype | None = None
    ) -> RawGaussians:
        """Return Gaussians before activation, as FaceLift's files store them.

        Args:
            rgb: [B, V, 3, H, W] in [0, 1], on the contract's background. H and W need only be
                multiples of the patch.
            cameras: [B, V], numpy or torch. Pictures and cameras go to the module's device.
            round_rays: Imitate programs that rotate rays in this half-precision type.

        Raises:
            ShapeError: If pictures and cameras do not fit each other or the patch.
            RangeError: If colours leave [0, 1], a rotation is not orthonormal, a focal length
                not positive, or a number not finite.
        """
        rgb = to_tensor(rgb)
        cameras = replace(cameras, c2w=to_tensor(cameras.c2w), fxfycxcy=to_tensor(cameras.fxfycxcy))
        check_rgb(rgb, self.contract.patch)
        check_cameras(cameras, rgb)
        device = next(self.module.parameters()).device
        cameras = replace(cameras, c2w=cameras.c2w.to(device), fxfycxcy=cameras.fxfycxcy.to(device))
        return self.module(rgb.to(device, torch.float32), cameras, round_rays=round_rays)


def load_gslrm(
    checkpoint: Path,
    config: GSLRMConfig,
    *,
    id: str,
    expected_sha256: str | None = None,
) -> FrozenGSLRM:
    """Load a checkpoint into the network that a configuration describes.

    Args:
        checkpoint: `.pt` or `.safetensors` file.
        config: Architecture.
        id: Name that the user types.
        expected_sha256: Refuse any other file.

    Raises:
        CheckpointError: If the file cannot be read or does not fit the architecture.
    """
    weights = read_checkpoint(checkpoint, expected_sha256=expected_sha256)
    with torch.device("meta"):  # no point in drawing weights that are replaced at once
        module = GSLRM(config)
    load_into(module, weights)
    return FrozenGSLRM(module, id=id, sha256=weights.sha256)


def outline_gslrm(config: GSLRMConfig, *, id: str) -> FrozenGSLRM:
    """Return the network that a configuration describes without weights, to plan its memory.

    Args:
        config: Architecture.
        id: Name that the user types.
    """
    with torch.device("meta"):
        module = GSLRM(config)
    return FrozenGSLRM(module, id=id, sha256="")


def load_shipped(name: str, *, id: str) -> FrozenGSLRM:
    """Load a model that ships with the package: ``weights/<name>.safetensors`` and ``.json``.

    Raises:
        CheckpointError: If the installation lacks one of the two files.
    """
    folder = files("mfl_adapt.models.gslrm").joinpath("weights")
    shipped = [folder.joinpath(name + suffix) for suffix in (".json", ".safetensors")]
    for file in shipped:
        if not file.is_file():
            raise CheckpointError(
                f"{id}: expected the installed package to hold {file.name}, found nothing at "
                f"{file}. Install mfl-adapt again."
            )
    with ExitStack() as stack:
        config, weights = (stack.enter_context(as_file(file)) for file in shipped)
        return load_gslrm(weights, read_config(config), id=id)
