"""Read the directory that FaceLift publishes, part by part, and run nothing that it names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from diffusers import AutoencoderKL, DDIMScheduler, DDPMScheduler
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from mfl_adapt.errors import CheckpointError, ConfigError
from mfl_adapt.models.checkpoint import Checkpoint
from mfl_adapt.models.mvdiffusion.config import translate_config
from mfl_adapt.models.mvdiffusion.options import build_part, known_options, read_json
from mfl_adapt.models.mvdiffusion.parts import Normalizer, Parts, check_parts
from mfl_adapt.models.mvdiffusion.unet import MVUNet
from mfl_adapt.models.mvdiffusion.weights import (
    CLIP_WEIGHTS,
    DIFFUSERS_WEIGHTS,
    find_weights,
    load_part,
    read_weights,
)

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


class TextTower(NamedTuple):
    """What turns words into prompt embeddings.

    Attributes:
        tokenizer: Turns words into ids.
        encoder: Turns ids into embeddings.
        sha256: Of the encoder's weights file.
    """

    tokenizer: CLIPTokenizer
    encoder: CLIPTextModel
    sha256: str


def load_parts(folder: Path, *, dtype: torch.dtype = torch.float32, text: bool = True) -> Parts:
    """Load a published directory on the CPU.

    Args:
        folder: Holds ``unet/``, ``vae/`` and the others.
        dtype: float32, float16 or bfloat16, for all networks.
        text: Load the text tower too, which only new prompts need.

    Raises:
        CheckpointError: If a sub-folder or file is missing or damaged, weights do not fit or
            are not finite, parts do not fit each other, or the model is another variant.
        ConfigError: If the type is no choice.
    """
    if dtype not in DTYPES:
        raise ConfigError(
            f"dtype: expected one of {', '.join(map(str, DTYPES))}, got {dtype}. Choose one."
        )
    _check_folder(folder)
    reader = _Reader(folder, dtype)
    parts = Parts(
        unet=reader.unet(),
        vae=reader.diffusers_network(AutoencoderKL, "vae"),
        image_encoder=reader.clip(CLIPVisionModelWithProjection, CLIPVisionConfig, "image_encoder"),
        feature_extractor=reader.feature_extractor(),
        normalizer=reader.normalizer(),
        noising=reader.scheduler(DDPMScheduler, "image_noising_scheduler"),
        scheduler=reader.scheduler(DDIMScheduler, "scheduler"),
        text_encoder=reader.clip(CLIPTextModel, CLIPTextConfig, "text_encoder") if text else None,
        tokenizer=reader.tokenizer() if text else None,
        files=reader.files,
    )
    check_parts(parts, folder)
    return parts


def load_text_tower(folder: Path) -> TextTower:
    """Load only what new prompts need, in float32 on the CPU.

    Args:
        folder: A published directory; of its networks, only the text tower is read.

    Raises:
        CheckpointError: If a sub-folder or file is missing or damaged, or the tower does not fit
            the denoiser.
    """
    width = read_text_width(folder)
    reader = _Reader(folder, torch.float32)
    tokenizer = reader.tokenizer()
    encoder = reader.clip(CLIPTextModel, CLIPTextConfig, "text_encoder")
    if encoder.config.hidden_size != width:
        raise CheckpointError(
            f"{folder / 'unet'}: expected cross_attention_dim {encoder.config.hidden_size} to fit "
            f"the text tower, got {width}. The parts come from different models: fetch the whole "
            "folder again."
        )
    weights = next(name for name in reader.files if name.endswith((".safetensors", ".bin")))
    return TextTower(tokenizer, encoder.eval(), reader.files[weights])


def read_text_width(folder: Path) -> int:
    """Return D, the width of the prompt embeddings that a model takes; reads no weights.

    Raises:
        CheckpointError: If the folder or its ``unet/config.json`` is missing or says nothing.
    """
    _check_folder(folder)
    source, path = _Reader(folder, torch.float32).mapping("unet", "config.json")
    width = source.get("cross_attention_dim")
    if type(width) is not int or width < 1:
        raise CheckpointError(
            f"{path}: expected cross_attention_dim with a whole number, got {width!r}."
        )
    return width


def _check_folder(folder: Path) -> None:
    """Raise unless there is a folder.

    Raises:
        CheckpointError: If there is none.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"{folder}: expected the folder of a multi-view diffusion model, found none there. "
            "Check the path."
        )


class _Reader:
    """Reads parts and remembers the hash of each file."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        self.folder = folder
        self.dtype = dtype
        self.files: dict[str, str] = {}

    def mapping(self, part: str, name: str) -> tuple[dict[str, Any], Path]:
        """Read a JSON file of a part.

        Raises:
            CheckpointError: If the sub-folder or the file is missing, or the file is damaged.
        """
        folder = self.folder / part
        if not folder.is_dir():
            there = sorted(path.name for path in self.folder.iterdir() if path.is_dir())
            raise CheckpointError(
                f"{folder}: expected a sub-folder {part!r}, found none. "
                f"Sub-folders there: {', '.join(there) or 'none'}."
            )
        path = folder / name
        content = read_json(path)
        self._remember(path)
        return content, path

    def weights(self, part: str, names: Sequence[str]) -> Checkpoint:
        """Read the weights of a part."""
        path = find_weights(self.folder / part, names)
        checkpoint = read_weights(path, self.dtype)
        self.files[path.relative_to(self.folder).as_posix()] = checkpoint.sha256
        return checkpoint

    def unet(self) -> MVUNet:
        """Load the denoiser."""
        source, path = self.mapping("unet", "config.json")
        settings = translate_config(source, where=str(path))
        with torch.device("meta"):  # no point in drawing weights that are replaced at once
            module = build_part(lambda: MVUNet(settings, where=str(path)), path)
        load_part(module, self.weights("unet", DIFFUSERS_WEIGHTS))
        return module

    def diffusers_network(self, kind: Callable[..., Any], part: str) -> Any:
        """Load one of diffusers' own networks."""
        source, path = self.mapping(part, "config.json")
        options = known_options(kind, source, str(path))
        with torch.device("meta"):
            module = build_part(lambda: kind(**options), path)
        load_part(module, self.weights(part, DIFFUSERS_WEIGHTS))
        return module

    def clip(self, kind: Callable[..., Any], config: Callable[..., Any], part: str) -> Any:
        """Load one of transformers' CLIP towers."""
        source, path = self.mapping(part, "config.json")
        with torch.device("meta"):
            module = build_part(lambda: kind(config(**source)), path)
        load_part(module, self.weights(part, CLIP_WEIGHTS))
        return module

    def scheduler(self, kind: Callable[..., Any], part: str) -> Any:
        """Configure a schedule as the file says, whatever class the file names."""
        source, path = self.mapping(part, "scheduler_config.json")
        options = known_options(kind, source, str(path))
        return build_part(lambda: kind(**options), path)

    def feature_extractor(self) -> CLIPImageProcessorPil:
        """Configure the preparation of pictures, on Pillow as the published one was."""
        source, path = self.mapping("feature_extractor", "preprocessor_config.json")
        return build_part(lambda: CLIPImageProcessorPil(**source), path)

    def normalizer(self) -> Normalizer:
        """Read the statistics of image embeddings.

        Raises:
            CheckpointError: If they are missing, damaged or make no sense.
        """
        self.mapping("image_normalizer", "config.json")
        checkpoint = self.weights("image_normalizer", DIFFUSERS_WEIGHTS)
        path = checkpoint.path
        shapes = {name: list(value.shape) for name, value in checkpoint.tensors.items()}
        width = checkpoint.tensors["mean"].shape[-1] if "mean" in shapes else 0
        if shapes != {"mean": [1, width], "std": [1, width]}:
            raise CheckpointError(f"{path}: expected mean and std of [1, P], got {shapes}.")
        normalizer = Normalizer(checkpoint.tensors["mean"], checkpoint.tensors["std"])
        if not (normalizer.std > 0).all():
            raise CheckpointError(f"{path}: expected positive std, got {normalizer.std.min():g}.")
        return normalizer

    def tokenizer(self) -> CLIPTokenizer:
        """Load the tokenizer.

        Raises:
            CheckpointError: If one of its files is missing or damaged.
        """
        _, path = self.mapping("tokenizer", "tokenizer_config.json")
        vocabulary, _ = self.mapping("tokenizer", "vocab.json")
        merges = path.parent / "merges.txt"
        _check_merges(merges, vocabulary)
        self._remember(merges)
        return build_part(
            lambda: CLIPTokenizer.from_pretrained(path.parent, local_files_only=True), path
        )

    def _remember(self, path: Path) -> None:
        """Keep the hash of a file."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.files[path.relative_to(self.folder).as_posix()] = digest


def _check_merges(path: Path, vocabulary: Mapping[str, Any]) -> None:
    """Raise unless every line joins two known tokens: the tokenizer itself has no error class.

    Raises:
        CheckpointError: If the file is missing or does not belong to the vocabulary.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: expected the tokenizer's merges, got no readable text ({error})."
        ) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#version"):
            continue
        pair = line.split(" ")
        if len(pair) != 2 or not {*pair, "".join(pair)} <= vocabulary.keys():
            raise CheckpointError(
                f"{path}:{number}: expected two tokens of vocab.json whose sum is one too, got "
                f"{line!r}. Fetch the tokenizer again."
            )
