"""Options that several commands share, and how they become a configuration with its plugins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mfl_adapt.adapter import AdapterChoice
    from mfl_adapt.config import LoadedConfig
    from mfl_adapt.plugin.registry import PluginHost

ConfigArgument = Annotated[
    str, typer.Argument(metavar="CONFIG", help="Preset, or path of a .yaml file.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a key, e.g. train.steps=100; repeatable."),
]
PluginsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--plugins", metavar="A,B", help="Plugins or ./files.py to add; -NAME removes; repeatable."
    ),
]
ReaderOption = Annotated[
    str | None,
    typer.Option("--reader", metavar="NAME", help="Reader to use; else the one that knows PATH."),
]
AdapterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter",
        metavar="FOLDER[@STRENGTH]",
        help="Adapter of the base, e.g. mouse or mouse@0.5; repeatable.",
    ),
]
DeviceOption = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option("--device", help="Where to compute.")
]
ViewsBaseOption = Annotated[
    str | None,
    typer.Option(
        "--views-base", metavar="NAME", help="Makes the views; default facelift.tiny_views."
    ),
]
BackgroundOption = Annotated[
    str,
    typer.Option(
        "--background",
        metavar="HOW",
        help="Of pictures: auto, alpha, white[:THRESHOLD], mask file or folder, or a function.",
    ),
]
LargestOption = Annotated[
    bool, typer.Option("--largest", help="Of several subjects, take the largest.")
]
ShareOption = Annotated[
    float | None,
    typer.Option("--share", help="Share of the picture that the subject shall cover."),
]
SeedOption = Annotated[
    int,
    typer.Option("--seed", min=0, max=2**32 - 1, help="Of the noise, the same for every picture."),
]
StepsOption = Annotated[int, typer.Option("--steps", help="Denoising steps.")]
GuidanceOption = Annotated[
    float, typer.Option("--guidance", help="How strongly the picture guides; 1 is off.")
]
EveryOption = Annotated[
    int, typer.Option("--every", min=1, metavar="N", help="Of a video, take every Nth frame.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]


def new_app(summary: str | None = None) -> typer.Typer:
    """Make the app of a command's module; plain help keeps it fast."""
    return typer.Typer(
        help=summary, add_completion=False, no_args_is_help=bool(summary), rich_markup_mode=None
    )


def read_adapters(named: list[str] | None) -> list[AdapterChoice]:
    """Read what followed each ``--adapter``.

    Raises:
        RangeError: If a strength is no finite number of at least 0.
    """
    from mfl_adapt.adapter import read_choice

    return [read_choice(one) for one in named or ()]


def read_config(
    source: str | None,
    *,
    overrides: list[str] | None = None,
    plugins: list[str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> LoadedConfig:
    """Load a configuration alone, with the environment of this process."""
    import os

    from mfl_adapt.config import load_config

    return load_config(
        source,
        environ=os.environ,
        overrides=overrides or [],
        flags=flags,
        plugins=plugins or [],
    )


def open_config(
    source: str | None,
    *,
    overrides: list[str] | None = None,
    plugins: list[str] | None = None,
    flags: Mapping[str, object] | None = None,
) -> tuple[LoadedConfig, PluginHost]:
    """Load a configuration and its plugins, and let plugins that were named take their slots.

    Args:
        source: Preset or path; the preset ``base`` if None.
        overrides: What followed each ``--set``.
        plugins: What followed each ``--plugins``.
        flags: Dotted key to value of dedicated options; None where one was not given.

    Raises:
        ConfigError: If the configuration cannot be used.
        PluginError: If an active plugin cannot be used, or one that was named is disabled.
    """
    from mfl_adapt.config import claim_slots
    from mfl_adapt.plugin.disabled import refuse_disabled
    from mfl_adapt.plugin.registry import load_plugins

    loaded = read_config(source, overrides=overrides, plugins=plugins, flags=flags)
    refuse_disabled(loaded.named)
    host = load_plugins(loaded.config.plugins, disabled=loaded.removed)
    return claim_slots(loaded, host), host
