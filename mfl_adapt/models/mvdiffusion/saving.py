"""Write a model in the published layout, so that FaceLift's own program reads it as well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from mfl_adapt.errors import StorageError
from mfl_adapt.models.mvdiffusion.parts import Parts

_INDEX = {
    "_class_name": "StableUnCLIPImg2ImgPipeline",
    "feature_extractor": ["transformers", "CLIPImageProcessor"],
    "image_encoder": ["transformers", "CLIPVisionModelWithProjection"],
    "image_noising_scheduler": ["diffusers", "DDPMScheduler"],
    "image_normalizer": ["stable_diffusion", "StableUnCLIPImageNormalizer"],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "unet": ["mvdiffusion.models.unet_mv2d_condition", "UNetMV2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
_TEXT = {
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
}


def save_parts(parts: Parts, folder: Path) -> None:
    """Write all parts into a new folder, whole or not at all.

    Args:
        parts: Without adapters.
        folder: Where ``unet/``, ``vae/`` and the others go; absent or empty.

    Raises:
        StorageError: If the folder holds something, or cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StorageError(
            f"{folder}: expected a new or empty folder, got one that holds something. "
            "Name another one."
        )
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        partial.mkdir(parents=True)
        _write_all(parts, partial)
        partial.replace(folder)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"{folder}: expected to write a model there: {error}.") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write_all(parts: Parts, folder: Path) -> None:
    """Write every part."""
    has_text = parts.text_encoder is not None and parts.tokenizer is not None
    _write_json(folder / "model_index.json", {**_INDEX, **(_TEXT if has_text else {})})
    parts.vae.save_pretrained(folder / "vae")
    parts.scheduler.save_pretrained(folder / "scheduler")
    parts.noising.save_pretrained(folder / "image_noising_scheduler")
    unet = {**parts.unet.settings.source, "num_views": parts.unet.num_views}
    _write_part(folder / "unet", unet, parts.unet.state_dict(), "diffusion_pytorch_model")
    clip = parts.image_encoder
    _write_part(folder / "image_encoder", clip.config.to_dict(), clip.state_dict(), "model")
    extractor = {**parts.feature_extractor.to_dict(), "image_processor_type": "CLIPImageProcessor"}
    _write_json(folder / "feature_extractor" / "preprocessor_config.json", extractor)
    width = {"embedding_dim": parts.normalizer.mean.shape[-1]}
    statistics = parts.normalizer._asdict()
    _write_part(folder / "image_normalizer", width, statistics, "diffusion_pytorch_model")
    if parts.text_encoder is not None and parts.tokenizer is not None:
        _write_text(folder, parts.text_encoder, parts.tokenizer)


def _write_text(folder: Path, encoder: CLIPTextModel, tokenizer: CLIPTokenizer) -> None:
    """Write the text tower and its tokenizer."""
    # The published name of every tensor has this prefix, whatever transformers calls it.
    tensors = {
        f"text_model.{name.removeprefix('text_model.')}": value
        for name, value in encoder.state_dict().items()
    }
    _write_part(folder / "text_encoder", encoder.config.to_dict(), tensors, "model")
    _write_tokenizer(folder / "tokenizer", tokenizer)


def _write_part(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Tensor], stem: str
) -> None:
    """Write a configuration and its weights."""
    _write_json(folder / "config.json", config)
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_file(contiguous, folder / f"{stem}.safetensors", metadata={"format": "pt"})


def _write_tokenizer(folder: Path, tokenizer: CLIPTokenizer) -> None:
    """Write vocabulary, merges and settings; current versions of transformers join the three."""
    special = ("bos_token", "eos_token", "unk_token", "pad_token", "model_max_length")
    settings = {name: getattr(tokenizer, name) for name in special}
    settings["tokenizer_class"] = "CLIPTokenizer"
    _write_json(folder / "tokenizer_config.json", settings)
    tokenizer.backend_tokenizer.model.save(str(folder))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping, sorted."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(dict(content), indent=2, sort_keys=True, default=str)
    path.write_text(text + "\n", encoding="utf-8")
