"""The kinds of plugin that can be written, each with what its example offers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of plugin.

    Attributes:
        component: Name of the example's component.
        summary: One line about it.
        usage: How ``mfl-adapt train`` uses it, after ``--plugins NAME``.
    """

    component: str
    summary: str
    usage: str


KINDS: dict[str, Kind] = {
    "dataset": Kind(
        "recording",
        "Reads recordings of several calibrated cameras with masks",
        "--data take",
    ),
    "loss": Kind(
        "masked_charbonnier",
        "Charbonnier difference over the pixels that the mask keeps",
        "--set losses.NAME.masked_charbonnier.weight=1",
    ),
    "camera": Kind(
        "focus",
        "Moves the origin to the point that all cameras look at, and scales the world",
        "--set data.cameras=NAME.focus",
    ),
    "preprocessor": Kind(
        "trim",
        "Cuts a border off every picture, with its mask and its camera",
        "--set 'data.preprocess=[{use: NAME.trim}]'",
    ),
    "check": Kind(
        "exposure",
        "The subject is about equally bright in all views",
        "",
    ),
    "adapter": Kind(
        "last_layers",
        "LoRA on the last layers of the transformer",
        "--set adapter=NAME.last_layers",
    ),
}
"""Every kind, by the word that ``--kind`` takes."""

LICENCES = ("Apache-2.0", "MIT", "BSD-3-Clause")
"""Licences whose text is written, by their SPDX names."""
