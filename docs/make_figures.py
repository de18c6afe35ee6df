"""Draws the figures of ``cameras.md`` with the package's own camera functions.

Run it after a change of one:

    python docs/make_figures.py

A test fails where a figure is not what this would write. Everything is seen from above, in the
plane z = 0, where cameras, rays and outlines can be drawn as they are.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

IMAGES = Path(__file__).resolve().parent / "images"
sys.path.insert(0, str(Path(__file__).resolve().parent))

from svg import BLUE, GREEN, GREY, INK, ORANGE, RED, Figure, Panel  # noqa: E402 - needs the line above

from mfl_adapt.cameras import (  # noqa: E402
    FACELIFT_SLOT_NAMES,
    FACELIFT_SLOTS_DEG,
    look_at,
    orbit,
    project,
    ray_directions,
)
from mfl_adapt.types import Cameras  # noqa: E402

SIZE = 512
RATIO = 1.6
HUES = (BLUE, ORANGE, GREEN)


def mouse(scale: float = 1.0, turn_deg: float = 25.0) -> np.ndarray:
    """Outline of an animal from above, [N, 3]: a long body with a pointed head."""
    angle = np.linspace(0, 2 * np.pi, 96, endpoint=False)
    taper = 1 - 0.35 * np.clip(np.cos(angle), 0, 1) ** 3
    x, y = 0.85 * np.cos(angle), 0.28 * np.sin(angle) * taper
    turn = np.deg2rad(turn_deg)
    flat = np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y], -1)
    return np.concatenate([scale * flat, np.zeros((len(flat), 1))], axis=-1)


def draw_animal(figure: Figure, panel: Panel, outline: np.ndarray) -> None:
    """Fill the outline."""
    figure.area([panel.to_px(one) for one in outline], GREY, 0.45, outline=INK)


def draw_camera(figure: Figure, panel: Panel, c2w: np.ndarray, colour: str, name: str = "") -> None:
    """Draw a camera's centre and the picture before it."""
    center, right, forward = c2w[:2, 3], c2w[:2, 0], c2w[:2, 2]
    corners = [center + 0.42 * forward + side * 0.21 * right for side in (-1, 1)]
    figure.area([panel.to_px(one) for one in (center, *corners)], colour, 0.2, outline=colour)
    figure.line([panel.to_px(one) for one in corners], colour, 4)
    figure.dot(panel.to_px(center), colour)
    if name:
        x, y = panel.to_px(center - 0.3 * forward)
        figure.text((x, y + 4), name, colour, anchor="middle")


def edges(cameras: Cameras, outline: np.ndarray) -> np.ndarray:
    """Left and right edge of the outline in every picture, [V, 2] in pixels."""
    pixels, _ = project(outline, cameras.c2w, cameras.fxfycxcy)
    return np.stack([pixels[..., 0].min(axis=-1), pixels[..., 0].max(axis=-1)], axis=-1)


def outside(cameras: Cameras, outline: np.ndarray, x: np.ndarray) -> list[np.ndarray]:
    """Pieces of the outline that some camera's silhouette does not allow."""
    pixels, _ = project(outline, cameras.c2w, cameras.fxfycxcy)
    columns = pixels[..., 0]
    out = ((columns < x[:, :1] - 1e-6) | (columns > x[:, 1:] + 1e-6)).any(axis=0)
    # Begin inside, so that no piece runs over the end of the list.
    start = int(np.argmin(out))
    order = np.roll(np.arange(len(out)), -start)
    breaks = np.flatnonzero(np.diff(out[order].astype(int))) + 1
    return [outline[part] for part in np.split(order, breaks) if out[part[0]]]


def draw_wedge(
    figure: Figure, panel: Panel, c2w: np.ndarray, k: np.ndarray, x: np.ndarray, colour: str
) -> None:
    """Draw what a silhouette between two columns allows: all that its rays pass."""
    pixels = np.stack([x, np.full(2, k[3])], axis=-1)
    rays = ray_directions(pixels, c2w, k)
    ends = [panel.to_px(c2w[:3, 3] + 4.6 * ray) for ray in rays]
    figure.area([panel.to_px(c2w[:3, 3]), *ends], colour, 0.13)
    for end in ends:
        figure.line([panel.to_px(c2w[:3, 3]), end], colour, 1.2)


def three_cameras() -> Cameras:
    """Three cameras at different distances, as laboratories have them."""
    return orbit([205.0, 310.0, 85.0], [0.0] * 3, [2.5, 2.2, 2.6], [RATIO] * 3, SIZE)


def camera_figure() -> Figure:
    """What a calibration says: where a camera stands, how it is turned, which ray a pixel is."""
    figure = Figure(720, 300, "A camera as a centre, a direction and rays through pixels")
    panel = Panel(60, -130, 560, 4.6, (0.55, 0.0))
    outline = mouse(1.0, 60) + np.array([1.9, 0.0, 0.0])
    c2w = look_at([-1.0, 0.0, 0.0], [1.9, 0.0, 0.0])
    center = np.array([-1.0, 0.0])
    draw_animal(figure, panel, outline)
    figure.line([panel.to_px(center), panel.to_px((3.1, 0.0))], GREY, 1.2, dash="5 4")
    figure.line([panel.to_px((0.1, -0.55)), panel.to_px((0.1, 0.55))], BLUE, 4)
    for column in (-0.26, 0.0, 0.33):
        end = center + (np.array([0.1, column]) - center) * 3.1
        figure.line([panel.to_px(center), panel.to_px(end)], BLUE, 1.3)
        figure.dot(panel.to_px((0.1, column)), ORANGE)
    figure.dot(panel.to_px(center), INK, 5)
    x, y = panel.to_px(center)
    figure.text((x, y + 24), "camera centre", anchor="middle")
    figure.text((x, y + 41), "(pose: where it stands,", GREY, size=12, anchor="middle")
    figure.text((x, y + 56), "how it is turned)", GREY, size=12, anchor="middle")
    x, y = panel.to_px((0.1, 0.55))
    figure.text((x, y - 12), "picture", BLUE, anchor="middle")
    low = panel.to_px((0.1, -0.78))[1]
    start, end = panel.to_px(center)[0], panel.to_px((0.1, 0))[0]
    figure.arrow(((start + end) / 2, low), (start, low), GREY)
    figure.arrow(((start + end) / 2, low), (end, low), GREY)
    figure.text(((start + end) / 2, low + 18), "focal length, in pixels", GREY, anchor="middle")
    x, y = panel.to_px((0.1, 0.0))
    figure.text((x + 9, y - 6), "principal point", ORANGE, size=12)
    figure.text(panel.to_px((0.62, 0.2)), "one pixel is one ray", BLUE)
    assert np.isclose(c2w[0, 2], 1.0), "the figure's camera looks along +x"
    return figure


def axes_figure() -> Figure:
    """The two customs for the axes of a camera."""
    figure = Figure(720, 230, "Axes of a camera in OpenCV and in OpenGL")
    for left, name, down, ahead, note in (
        (40, "OpenCV, here, COLMAP, Anipose", 1, 1, "x right, y down, z forward"),
        (400, "OpenGL, Blender, NeRF", -1, -1, "x right, y up, z back"),
    ):
        x, y = left + 150, 120
        figure.text((x, 26), name, anchor="middle", size=14)
        figure.text((x, 212), note, GREY, anchor="middle")
        figure.area(
            [(x - 46, y - 18), (x + 14, y - 18), (x + 14, y + 22), (x - 46, y + 22)], GREY, 0.4
        )
        figure.area(
            [(x + 14, y - 8), (x + 34, y - 18), (x + 34, y + 22), (x + 14, y + 12)], GREY, 0.6
        )
        figure.arrow((x - 10, y), (x - 10 + 62 * 0.5, y + 52), BLUE)
        figure.text((x + 27, y + 62), "x", BLUE)
        figure.arrow((x - 10, y), (x - 10, y + down * 62), ORANGE)
        figure.text((x - 28, y + down * 62 + 4), "y", ORANGE)
        figure.arrow((x - 10, y), (x - 10 + ahead * 118, y), GREEN)
        figure.text((x - 10 + ahead * 130, y + 4), "z", GREEN, anchor="middle")
        figure.text((x + 120, y + 26), "scene", GREY, size=12, anchor="middle")
    return figure


def agreement_figure() -> Figure:
    """True silhouettes fit one body; silhouettes zoomed one by one fit none."""
    figure = Figure(720, 345, "Silhouettes of three cameras before and after a zoom per view")
    cameras, outline = three_cameras(), mouse()
    true = edges(cameras, outline)
    width = float((true[:, 1] - true[:, 0]).mean())
    middle = cameras.fxfycxcy[:, 2]
    zoomed = np.stack([middle - width / 2, middle + width / 2], axis=-1)
    for left, columns, title in (
        (10, true, "as recorded: all silhouettes fit one body"),
        (370, zoomed, "each picture zoomed to one size: none fits"),
    ):
        panel = Panel(left, 20, 340, 6.0, (0.0, 0.0))
        for index, colour in enumerate(HUES):
            k = cameras.fxfycxcy[index]
            draw_wedge(figure, panel, cameras.c2w[index], k, columns[index], colour)
        draw_animal(figure, panel, outline)
        for part in outside(cameras, outline, columns):
            figure.line([panel.to_px(one) for one in part], RED, 5)
        for index, colour in enumerate(HUES):
            draw_camera(figure, panel, cameras.c2w[index], colour)
        figure.text((left + 170, 26), title, anchor="middle", size=14)
    figure.line([(360, 40), (360, 330)], "#d0d7de", 1)
    return figure


def virtual_figure() -> Figure:
    """A camera turned about its own centre, and the picture that it then sees."""
    figure = Figure(720, 290, "A camera turned about its centre sees the same rays")
    panel = Panel(120, -110, 520, 5.0, (0.4, 0.05))
    subject = np.array([1.75, 0.55, 0.0])
    center = np.array([-1.4, -0.25, 0.0])
    outline = mouse(0.75, 100) + subject
    raw = look_at(center, center + np.array([1.0, -0.12, 0.0]))
    turned = look_at(center, subject)
    draw_animal(figure, panel, outline)
    columns = edges(
        Cameras(
            c2w=raw[None], fxfycxcy=np.array([[500.0, 500, 256, 256]]), height=SIZE, width=SIZE
        ),
        outline,
    )
    pixels = np.stack([columns[0], [256.0, 256.0]], axis=-1)
    for ray in ray_directions(pixels, raw, np.array([500.0, 500.0, 256.0, 256.0])):
        figure.line([panel.to_px(center), panel.to_px(center + 3.9 * ray)], GREY, 1.2)
    for pose, colour, reach in ((raw, BLUE, 1.0), (turned, ORANGE, 1.0)):
        forward, right = pose[:3, 2], pose[:3, 0]
        ends = [center + reach * forward + side * 0.5 * right for side in (-1, 1)]
        figure.line([panel.to_px(one) for one in ends], colour, 4)
        end = center + 4.0 * forward
        figure.line([panel.to_px(center), panel.to_px(end)], colour, 1.2, dash="6 4")
    figure.dot(panel.to_px(center), INK, 5)
    x, y = panel.to_px(center)
    figure.text((x - 6, y + 26), "one centre", anchor="middle")
    x, y = panel.to_px(center + 1.0 * raw[:3, 2] - np.array([0.0, 0.5, 0.0]))
    figure.text((x, y + 24), "recorded: looks past the animal", BLUE)
    x, y = panel.to_px(center + 1.0 * turned[:3, 2] + np.array([0.0, 0.5, 0.0]))
    figure.text((x, y - 10), "virtual: looks at it", ORANGE, anchor="middle")
    x, y = panel.to_px(center + np.array([2.0, 0.1, 0.0]))
    figure.text((x - 20, y + 30), "the same rays", GREY)
    return figure


def reach_figure() -> Figure:
    """Depth is counted from the point of each ray nearest to the origin."""
    figure = Figure(720, 330, "The reach of the depth decoder around the origin")
    panel = Panel(130, -100, 520, 7.6, (-0.1, 0.0))
    cameras = orbit([180.0, 205.0], [0.0] * 2, [3.5, 2.3], [RATIO] * 2, SIZE)
    figure.circle(panel.to_px((0, 0)), 1.8 * panel.scale, GREEN, dash="6 4")
    draw_animal(figure, panel, mouse(1.0, 20))
    draw_animal(figure, panel, mouse(0.7, 20) + np.array([2.9, -0.25, 0.0]))
    for index, colour in ((0, BLUE), (1, ORANGE)):
        center = cameras.c2w[index, :3, 3]
        pixels = np.array([[256.0 + (60.0 if index else -46.0), 256.0]])
        ray = ray_directions(pixels, cameras.c2w[index], cameras.fxfycxcy[index])[0]
        nearest = center - float(center @ ray) * ray
        figure.line([panel.to_px(center), panel.to_px(center + 7.2 * ray)], colour, 1.2, dash="4 4")
        ends = [nearest - 1.8 * ray, nearest + 1.8 * ray]
        figure.line([panel.to_px(one) for one in ends], colour, 3.5)
        figure.dot(panel.to_px(nearest), colour, 5)
        draw_camera(figure, panel, cameras.c2w[index], colour)
    figure.dot(panel.to_px((0, 0)), INK, 3)
    x, y = panel.to_px((0, -1.8))
    figure.text((x, y + 20), "1.8 units around the origin", GREEN, anchor="middle")
    x, y = panel.to_px((2.9, -0.25))
    figure.text((x, y + 38), "out of reach:", anchor="middle")
    figure.text((x, y + 54), "becomes white", anchor="middle")
    x, y = panel.to_px((0.0, 1.8))
    figure.text((x, y - 12), "thick: where this ray's Gaussian can lie", GREY, anchor="middle")
    return figure


def slots_figure() -> Figure:
    """The six slots of FaceLift's views, which are no ring of 60 degrees."""
    figure = Figure(720, 380, "Azimuths of the six view slots")
    panel = Panel(190, 30, 330, 7.2, (0.0, 0.0))
    figure.circle(panel.to_px((0, 0)), 2.7 * panel.scale, "#d0d7de")
    draw_animal(figure, panel, mouse(1.0, -90))
    cameras = orbit(list(FACELIFT_SLOTS_DEG), [0.0] * 6, [2.7] * 6, [RATIO] * 6, SIZE)
    for index, (name, azimuth) in enumerate(
        zip(FACELIFT_SLOT_NAMES, FACELIFT_SLOTS_DEG, strict=True)
    ):
        draw_camera(figure, panel, cameras.c2w[index], BLUE)
        direction = cameras.c2w[index, :2, 3] / 2.7
        x, y = panel.to_px(3.35 * direction)
        anchor = "middle" if abs(direction[0]) < 0.3 else "start" if direction[0] > 0 else "end"
        label = f"{index}  {name.replace('_', ' ')}, {azimuth:g}°"
        figure.text((x, y + 4), label, BLUE, anchor=anchor)
    origin = panel.to_px((0, 0))
    figure.arrow(origin, panel.to_px((1.3, 0)), ORANGE)
    figure.text((panel.to_px((1.4, 0))[0], origin[1] + 4), "x, 0°", ORANGE, size=12)
    figure.arrow(origin, panel.to_px((0, 1.3)), ORANGE)
    figure.text((origin[0] + 6, panel.to_px((0, 1.35))[1] - 2), "y, 90°", ORANGE, size=12)
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "camera.svg": camera_figure,
    "axes.svg": axes_figure,
    "agreement.svg": agreement_figure,
    "virtual-camera.svg": virtual_figure,
    "reach.svg": reach_figure,
    "slots.svg": slots_figure,
}
"""File in ``images``, and what draws it."""


def main() -> None:
    """Draw all figures."""
    for name, draw in FIGURES.items():
        (IMAGES / name).write_text(draw().render(), encoding="utf-8")
        sys.stdout.write(f"{IMAGES / name}\n")


if __name__ == "__main__":
    main()
