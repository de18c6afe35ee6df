"""A small dataset in the layout of ``sound_reader``."""

import json

from mfl_adapt.images import save_picture
from mfl_adapt.plugin.testing.probes import make_probe

SAMPLES = 3


def write_aviary(folder):
    """Write the raw probe several times, each sample a little darker than the one before."""
    for index in range(SAMPLES):
        content = {}
        place = folder / f"perch_{index}"
        place.mkdir(parents=True)
        for view in make_probe("raw").sample.views:
            rgb = view.rgb - (view.rgb > 200) * index
            save_picture(place / f"{view.name}.png", rgb.astype(view.rgb.dtype), view.mask)
            content[f"{view.name}.png"] = {
                "c2w": view.c2w.tolist(),
                "fxfycxcy": view.fxfycxcy.tolist(),
            }
        (place / "cameras.json").write_text(json.dumps(content))
    return folder
