"""One HTML file that shows Gaussians in 3D, without a network and without a server."""

from __future__ import annotations

import base64
import html
import json
import re
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.cameras import FACELIFT_DISTANCE, FACELIFT_FOCAL_RATIO
from mfl_adapt.files import write_atomically
from mfl_adapt.report.packing import pack_splats

if TYPE_CHECKING:
    from mfl_adapt.types import Gaussians, RigContract

_PLACE = re.compile("__([A-Z]+)__")


def write_viewer(
    path: Path,
    gaussians: Gaussians,
    *,
    title: str = "",
    before: Gaussians | None = None,
    contract: RigContract | None = None,
) -> None:
    """Write a page in which a set of Gaussians can be turned and zoomed.

    The page holds its own viewer and the Gaussians (32 bytes each, a third more as text) and
    loads nothing else. It starts at the front, as the base's cameras see the subject.

    Args:
        path: File to write, ``.html``; replaced if it exists.
        gaussians: Activated values, [B, N, ...]; the first item is shown.
        title: Heading; the file's name if empty.
        before: A second set, shown beside the first and turned with it.
        contract: Gives the first camera's distance and focal length, and the background;
            FaceLift's and white if None.

    Raises:
        RangeError: If a set is empty or holds values that are not finite.
        StorageError: If the file cannot be written.
    """
    path = Path(path)
    sets = {"": gaussians} if before is None else {"before": before, "after": gaussians}
    blocks = [_data_block(caption, one, str(path)) for caption, one in sets.items()]
    page = fill_page(
        "viewer.html",
        TITLE=html.escape(title or path.stem),
        DATA="\n".join(blocks),
        SETTINGS=to_script(page_settings(contract)),
    )
    write_atomically(path, page.encode())


def page_settings(contract: RigContract | None) -> dict[str, Any]:
    """What a page needs to know about the first camera and the background."""
    camera = {
        "azimuth": 270.0,
        "elevation": 0.0,
        "distance": contract.distance if contract else FACELIFT_DISTANCE,
        "focalRatio": contract.focal_ratio if contract else FACELIFT_FOCAL_RATIO,
    }
    return {"camera": camera, "background": contract.background if contract else 1.0}


def fill_page(template: str, **parts: str) -> str:
    """Put parts, the style sheet and the viewer into a page of this package.

    Args:
        template: Its file name.
        **parts: Text for each ``__NAME__`` in it.
    """
    folder = files("mfl_adapt.report") / "web"
    read = {
        name: (folder / name).read_text("utf-8") for name in (template, "page.css", "splats.js")
    }
    known = {"CSS": read["page.css"], "SPLATS": read["splats.js"], **parts}
    # In one pass, so that nothing is looked for within what a user wrote.
    return _PLACE.sub(lambda found: known[found[1]], read[template])


def to_script(value: Any) -> str:
    """Plain data as JavaScript that cannot end the script it stands in."""
    return json.dumps(value).replace("<", "\\u003c")


def encode_splats(gaussians: Gaussians, where: str) -> str:
    """Gaussians as the text that a page holds."""
    return base64.b64encode(pack_splats(gaussians, where)).decode("ascii")


def _data_block(caption: str, gaussians: Gaussians, where: str) -> str:
    count = gaussians.means.shape[1]
    words = f"{caption}: {count:,} Gaussians" if caption else f"{count:,} Gaussians"
    data = encode_splats(gaussians, where)
    return f'<script class="splats" type="text/plain" data-caption="{words}">{data}</script>'
