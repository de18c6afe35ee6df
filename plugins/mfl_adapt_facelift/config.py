"""Settings of the bases, free of torch."""

from pathlib import Path
from typing import Any

from pydantic import Field

from mfl_adapt.plugin import ComponentConfig


class TinyBaseConfig(ComponentConfig):
    """The shipped model has nothing to set."""


class GSLRMBaseConfig(ComponentConfig):
    """Where the weights are and which network they belong to."""

    checkpoint: Path = Field(description="FaceLift checkpoint, .pt or .safetensors")
    config: Path | dict[str, Any] | None = Field(
        None,
        description="FaceLift's configuration: a YAML or JSON file, or its mapping; "
        "null is the published one",
    )
    sha256: str | None = Field(None, description="refuse a checkpoint with another SHA-256")
