"""Settings of the bases, free of torch."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


class TinyBaseConfig(ComponentConfig):
    """The shipped model has nothing to set."""


class GSLRMBaseConfig(ComponentConfig):
    """Where the weights are and which network they belong to."""

    checkpoint: Path | None = Field(
        None,
        description="FaceLift checkpoint, .pt or .safetensors; null takes the fetched one",
    )
    config: Path | dict[str, Any] | None = Field(
        None,
        description="FaceLift's configuration: a YAML or JSON file, or its mapping; "
        "null is the published one",
    )
    sha256: str | None = Field(None, description="refuse a checkpoint with another SHA-256")


class MVDiffusionBaseConfig(ComponentConfig):
    """Where the model's folder is, and how it is loaded."""

    checkpoint: Path | None = Field(
        None,
        description="folder with unet/, vae/ and the others; null takes the fetched one",
    )
    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        "float32", description="of all networks; half precision is for a GPU"
    )
    text: bool = Field(
        True, description="load the text tower too; ready-made prompt embeddings do not need it"
    )
    prompts: Path | None = Field(
        None,
        description="prompt embeddings, one row per view; null makes the published ones",
    )
    sha256: str | None = Field(None, description="refuse a model with another SHA-256")


class TinyViewsBaseConfig(ComponentConfig):
    """What may differ in the shipped model of views."""

    prompts: Path | None = Field(
        None,
        description="prompt embeddings, one row per view; null makes those it was trained with",
    )
