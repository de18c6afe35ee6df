"""One scene as the frozen base and the adapted model make it: pictures, and Gaussians in 3D."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from mfl_adapt.data.certificate import certify
from mfl_adapt.report.certificate import certificate_picture
from mfl_adapt.report.packing import pack_splats
from mfl_adapt.report.run.markup import Html, el, join, show
from mfl_adapt.report.run.pictures import picture, to_tiles
from mfl_adapt.report.sheet import lay_out
from mfl_adapt.report.viewer import page_settings
from mfl_adapt.types import Gaussians

if TYPE_CHECKING:
    from torch import Tensor

    from mfl_adapt.types import Bytes, RigContract, Sample

MOST_SPLATS = 60_000
"""Gaussians of each set in a page, 43 bytes of text each."""
MOST_VIEWS = 6
SIDES = ("frozen base", "adapted")
# What the page's viewer leaves out anyway.
_LEAST_OPACITY = 1 / 255


class SceneBeside(Protocol):
    """What a measurement has to give; pictures are [V, 3, H, W] in [0, 1].

    Attributes:
        sample: The scene.
        contract: What the base assumes.
        unseen: Whether training never saw the scene.
        inputs: What the model was shown.
        truth: Photographs of the views that it was not shown.
        frozen: What the frozen base makes of these.
        adapted: What the adapted model makes of them.
        gaussians: Of both; None for a base that makes views.
    """

    sample: Sample
    contract: RigContract
    unseen: bool
    inputs: Tensor
    truth: Tensor
    frozen: Tensor
    adapted: Tensor
    gaussians: tuple[Gaussians, Gaussians] | None


class Scene(NamedTuple):
    """One scene, ready for a page.

    Attributes:
        told: Plain JSON values: ``name``, ``unseen``, ``counts`` (shown and all, per side) and
            ``settings`` of the viewer.
        beside: Photographs over what both make of them, [H, W, 3].
        inputs: What the model was shown, [H, W, 3].
        certificate: Picture of the scene's certificate, [H, W, 3].
        splats: Gaussians of both sides, 32 bytes each; empty for a base that makes views.
    """

    told: Mapping[str, Any]
    beside: Bytes
    inputs: Bytes
    certificate: Bytes
    splats: tuple[bytes, ...]


def pack_scene(found: SceneBeside) -> Scene:
    """Turn what was measured into what a page holds.

    Raises:
        RangeError: If a side has no Gaussian, or values that are not finite.
    """
    rows = {
        "photograph": to_tiles(found.truth, MOST_VIEWS),
        SIDES[0]: to_tiles(found.frozen, MOST_VIEWS),
        SIDES[1]: to_tiles(found.adapted, MOST_VIEWS),
    }
    splats, counts = [], []
    for side, one in zip(SIDES, found.gaussians or (), strict=False):
        visible = most_visible(one, MOST_SPLATS)
        splats.append(pack_splats(visible, f"{side} in {found.sample.id}"))
        counts.append([visible.means.shape[1], one.means.shape[1]])
    told = {
        "name": found.sample.id,
        "unseen": found.unseen,
        "counts": counts,
        "settings": page_settings(found.contract),
    }
    proof = certify(found.sample, found.contract)
    return Scene(
        told,
        lay_out(rows),
        lay_out({"input": to_tiles(found.inputs, MOST_VIEWS)}),
        certificate_picture(found.sample, proof, found.contract),
        tuple(splats),
    )


def most_visible(gaussians: Gaussians, most: int) -> Gaussians:
    """Return those of the first item that can be seen, at most so many, in their order.

    Args:
        gaussians: Activated values, [B, N, ...].
        most: Of more than these, those that cover most are kept: opacity times area.
    """
    opacities, scales = gaussians.opacities[0], gaussians.scales[0]
    weight = opacities * scales.prod(dim=-1).abs() ** (2 / 3)
    visible = opacities >= _LEAST_OPACITY
    if not visible.any():
        visible = visible | True  # one set must not be empty, and a white picture is a finding
    places = visible.nonzero()[:, 0]
    if len(places) > most:
        chosen = weight[places].topk(most).indices
        places = places[chosen].sort().values
    return Gaussians(*(getattr(gaussians, one.name)[:1, places] for one in fields(gaussians)))


def show_pictures(scene: Scene) -> Html:
    """Show photographs over what both models make of them."""
    kind = "training never saw it" if scene.told.get("unseen") else "training saw other views of it"
    name = show(scene.told.get("name"))
    words = f"Scene {name} ({kind}). Columns: views that the model was not shown."
    text = f"Scene {name}: photographs, below them what the frozen base and the adapted model make"
    inputs = el(
        "details",
        el("summary", "What the model was shown"),
        el("figure", picture(scene.inputs, f"Input views of scene {name}")),
    )
    return join([el("figure", picture(scene.beside, text), el("figcaption", words)), inputs])


def show_certificate(scene: Scene) -> Html:
    """Show the certificate of the scene as a picture."""
    name = show(scene.told.get("name"))
    words = (
        f"Scene {name}, measured for this report: the outline of each view's mask, and that of "
        "what the other views allow. Where cameras and pictures agree, the second encloses the "
        "first."
    )
    text = f"Certificate of scene {name}: outlines over every view, and the rig from two sides"
    return el("figure", picture(scene.certificate, text), el("figcaption", words))


def show_splats(scene: Scene) -> Html:
    """Return the Gaussians of both sides as data of the page, and where they will be drawn."""
    blocks, captions = [], []
    for side, data, pair in zip(SIDES, scene.splats, scene.told["counts"], strict=True):
        shown, every = pair
        words = f"{side}: {shown:,} of {every:,} Gaussians" if shown != every else side
        text = Html(base64.b64encode(data).decode("ascii"))
        captions.append(words)
        blocks.append(el("script", text, class_="splats", type="text/plain", data_caption=words))
    buttons = [
        el("button", sign, type="button", data_turn=turn, aria_label=name)
        for sign, turn, name in (
            ("\N{LEFTWARDS ARROW}", "15,0,1", "turn left"),
            ("\N{RIGHTWARDS ARROW}", "-15,0,1", "turn right"),
            ("\N{UPWARDS ARROW}", "0,15,1", "look from above"),
            ("\N{DOWNWARDS ARROW}", "0,-15,1", "look from below"),
            ("+", "0,0,0.85", "nearer"),
            ("\N{MINUS SIGN}", "0,0,1.18", "farther"),
            ("front", "", "back to the front"),
        )
    ]
    hint = "Drag to turn, shift-drag to move, Ctrl and wheel or the buttons to zoom."
    silent = el("noscript", el("p", "The 3-D view needs JavaScript.", class_="note"))
    return join([
        el("div", class_="stage", id="stage"),
        el("p", id="message", class_="warning", role="alert"),
        el("p", buttons, el("span", hint, class_="note"), class_="buttons"),
        silent,
        blocks,
    ])
