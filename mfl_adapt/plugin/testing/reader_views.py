"""Whether the masks and cameras that a reader gives belong to its pictures."""

from __future__ import annotations

import numpy as np

from mfl_adapt.plugin.testing.outcome import leave_unchecked, not_applicable, require
from mfl_adapt.plugin.testing.reader_samples import samples_of
from mfl_adapt.plugin.testing.rule import Case

# The certificate calls less than this a broken law; true cameras and masks keep 0.98 and more.
_LEAST_COVERAGE = 0.8


def check_masks(case: Case) -> str:
    """Masks keep the subject: neither nothing, nor everything, nor what is around it."""
    masks = [view.mask for sample in samples_of(case) for view in sample.views]
    given = [mask for mask in masks if mask is not None]
    if not given:
        not_applicable("gives no masks")
    shares = [float((mask > 127).mean()) for mask in given]
    for word, broken in (("nothing", max(shares) == 0.0), ("everything", min(shares) == 1.0)):
        require(
            not broken,
            f"{case.name}: masks",
            expected="masks of the subject",
            got=f"{len(given)} masks that keep {word}",
            remedy="Give None where nobody made a mask.",
        )
    corners = [np.array([m[0, 0], m[0, -1], m[-1, 0], m[-1, -1]]) > 127 for m in given]
    around = sum(
        bool(four.all()) and share < 1 for four, share in zip(corners, shares, strict=True)
    )
    require(
        around < len(given) / 2,
        f"{case.name}: masks",
        expected="255 on the subject",
        got=f"{around} of {len(given)} masks that keep all four corners of the picture",
        remedy="Turn them over: 255 is inside, 0 outside.",
    )
    return f"mean share {np.mean(shares):.2f}"


def check_cameras(case: Case) -> str:
    """Pictures and cameras belong together, in OpenCV axes: masks fit one solid body."""
    from mfl_adapt.cameras import nearest_point
    from mfl_adapt.errors import DataError
    from mfl_adapt.images.hull import fit_hull

    notes: list[float] = []
    for sample in samples_of(case)[:3]:
        where = f"{case.name}, sample {sample.id}"
        centers = np.stack([view.c2w[:3, 3] for view in sample.views])
        forward = np.stack([view.c2w[:3, 2] for view in sample.views])
        try:
            meeting = nearest_point(centers, forward, np.ones(len(centers)))
        except DataError:  # one view, or parallel ones
            leave_unchecked("needs a sample of several cameras that look at one subject")
        ahead = np.einsum("vi,vi->v", meeting - centers, forward) > 0
        require(
            bool(ahead.mean() > 0.5),
            f"{where}: c2w",
            expected="OpenCV axes (x right, y down, z forward), so that cameras look at a subject",
            got=f"{int((~ahead).sum())} of {len(ahead)} cameras with their back to it",
            remedy="Turn OpenGL's y and z axes over, or invert a pose that is world to camera.",
        )
        covered = fit_hull(sample.views).coverage
        known = np.isfinite(covered)
        if not known.any():
            continue
        least = int(np.nanargmin(covered))
        notes.append(float(covered[least]))
        require(
            bool(covered[least] >= _LEAST_COVERAGE),
            f"{where}, view {sample.views[least].name}: camera",
            expected=f"masks of one solid body: at least {_LEAST_COVERAGE:.0%} of each is held "
            "by the other views",
            got=f"{covered[least]:.0%}",
            remedy="Look for a picture of another camera, a flip or crop without its camera, or "
            "another convention of axes.",
        )
    if not notes:
        leave_unchecked("needs masks in two views; cameras look towards one point")
    return f"least hull coverage {min(notes):.2f}"
