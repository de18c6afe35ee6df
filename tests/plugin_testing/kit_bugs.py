"""One realistic bug each, as a change of a few lines to a sound plugin, and the rule it breaks."""

from typing import NamedTuple


class Bug(NamedTuple):
    """A seeded bug.

    The text may use ``dataclasses.replace``, which the test imports.

    Attributes:
        name: What is wrong, as an identifier.
        plugin: Stem of the sound plugin.
        rule: The rule that it breaks, and the only one.
        old: Text of the sound plugin; every place where it occurs is changed.
        new: What the author wrote instead.
    """

    name: str
    plugin: str
    rule: str
    old: str
    new: str


READ = """        views = [self.view(folder / name, content[name]) for name in sorted(content)]
"""
BEGIN = """        return begin_sample(
            folder.name, views, step="sound_reader.aviary", params={}, session=self.session
        )
"""
PICTURE = "        rgb, mask = picture.rgb, picture.mask\n"
CROP = (
    "        return warp_sample(sample, step=STEP, params=params, pixel_maps=maps, sizes=sizes)\n"
)
CALL = "        margin = self.margin\n"


def _after_reading(edit):
    """Change every view once the sample is whole."""
    return BEGIN.replace("return", "sample =") + (
        f"        views = tuple(replace(view, {edit}) for view in sample.views)\n"
        "        return replace(sample, views=views)\n"
    )


def _after_crop(lines):
    """Change the sample that the crop made."""
    return CROP.replace("return", "result =") + lines


PLUGIN = [
    Bug(
        "import_error", "sound_loss", "P01-import", "MFL_API = 1", "import whiskers\n\nMFL_API = 1"
    ),
    Bug("no_api", "sound_loss", "P02-api", "MFL_API = 1", ""),
    Bug("next_api", "sound_loss", "P02-api", "MFL_API = 1", "MFL_API = 99"),
    Bug(
        "defaulted_hook_parameter",
        "sound_loss",
        "P03-hooks",
        "@hookimpl\ndef register",
        "@hookimpl\ndef step_finished(run, step=0):\n    pass\n\n\n@hookimpl\ndef register",
    ),
    Bug(
        "misspelt_hook",
        "sound_loss",
        "P03-hooks",
        "@hookimpl\ndef register",
        "@hookimpl\ndef run_ended(run):\n    pass\n\n\n@hookimpl\ndef register",
    ),
    Bug("summary_of_two_lines", "sound_loss", "P04-records", "Mean absolute", "Mean\\nabsolute"),
    Bug("code_of_another", "sound_check", "P04-records", "SOUND001", "MFL003"),
    Bug(
        "torch_at_the_top", "sound_loss", "P05-light", "MFL_API = 1", "import torch\n\nMFL_API = 1"
    ),
    Bug(
        "opencv_at_the_top",
        "sound_stage",
        "P05-light",
        "import numpy as np",
        "import cv2\nimport numpy as np",
    ),
]
COMPONENT = [
    Bug(
        "settings_that_json_cannot_hold",
        "sound_stage",
        "C01-settings",
        "    margin: int = 6\n",
        "    margin: int = 6\n    weigh: object = abs\n",
    ),
    Bug("no_context", "sound_loss", "C02-build", "mask, context):", "mask):"),
    Bug("no_getitem", "sound_reader", "C02-build", "def __getitem__", "def get"),
    Bug(
        "build_names_nothing",
        "sound_loss",
        "C02-build",
        '"sound_loss:MaskedL1"',
        '"sound_loss:MaskedL2"',
    ),
    Bug(
        "validator_raises_key_error",
        "sound_stage",
        "C03-bad-settings",
        "    margin: int = 6\n",
        "    margin: int = 6\n\n"
        '    @__import__("pydantic").field_validator("margin", mode="before")\n'
        "    @classmethod\n"
        "    def known(cls, margin):\n"
        "        return {6: 6}[margin] if isinstance(margin, int) else {}[repr(margin)]\n",
    ),
]
READER = [
    Bug(
        "channels_first",
        "sound_reader",
        "R01-samples",
        BEGIN,
        _after_reading("rgb=view.rgb.transpose(2, 0, 1)"),
    ),
    Bug(
        "mask_of_booleans",
        "sound_reader",
        "R01-samples",
        BEGIN,
        _after_reading("mask=view.mask > 127"),
    ),
    Bug(
        "mask_of_ones",
        "sound_reader",
        "R01-samples",
        BEGIN,
        _after_reading("mask=view.mask // 255"),
    ),
    Bug(
        "poses_of_float32",
        "sound_reader",
        "R01-samples",
        BEGIN,
        _after_reading("c2w=view.c2w.astype('float32')"),
    ),
    Bug(
        "length_of_views",
        "sound_reader",
        "R01-samples",
        "return len(self.folders)",
        "return 6 * len(self.folders)" + " if self.folders else 0",
    ),
    Bug(
        "order_turned_by_every_pass",
        "sound_reader",
        "R02-order",
        "        return (self.read(folder) for folder in self.folders)\n",
        "        self.folders = self.folders[::-1]\n"
        "        return (self.read(folder) for folder in self.folders)\n",
    ),
    Bug(
        "index_from_the_end",
        "sound_reader",
        "R02-order",
        "self.folders[index]",
        "self.folders[-index]",
    ),
    Bug(
        "premultiplied_afterwards",
        "sound_reader",
        "R03-history",
        BEGIN,
        _after_reading("rgb=view.rgb * (view.mask[..., None] > 0)"),
    ),
    Bug(
        "intrinsics_scaled_afterwards",
        "sound_reader",
        "R03-history",
        BEGIN,
        BEGIN.replace("return", "sample =")
        + "        from mfl_adapt.images.digest import digest_views\n\n"
        "        views = tuple(\n"
        "            replace(view, fxfycxcy=view.fxfycxcy * [1, 1, 1.01, 1])\n"
        "            for view in sample.views\n"
        "        )\n"
        "        first = replace(sample.provenance[0], digest=digest_views(views))\n"
        "        return replace(sample, views=views, provenance=(first,))\n",
    ),
    Bug(
        "mask_turned_over",
        "sound_reader",
        "R04-masks",
        PICTURE,
        "        rgb, mask = picture.rgb, 255 - picture.mask\n",
    ),
    Bug(
        "mask_of_everything",
        "sound_reader",
        "R04-masks",
        PICTURE,
        "        rgb, mask = picture.rgb, picture.mask | 255\n",
    ),
    Bug(
        "opengl_axes",
        "sound_reader",
        "R05-cameras",
        'RawCamera(entry["c2w"]',
        'RawCamera([[a, -b, -c, d] for a, b, c, d in entry["c2w"][:3]] + [[0, 0, 0, 1]]',
    ),
    Bug(
        "world_to_camera",
        "sound_reader",
        "R05-cameras",
        'RawCamera(entry["c2w"]',
        'RawCamera(__import__("numpy").linalg.inv(entry["c2w"])',
    ),
    Bug(
        "flipped_pictures",
        "sound_reader",
        "R05-cameras",
        PICTURE,
        "        rgb, mask = picture.rgb[:, ::-1].copy(), picture.mask[:, ::-1].copy()\n",
    ),
    Bug(
        "cameras_in_another_order",
        "sound_reader",
        "R05-cameras",
        READ,
        "        names = sorted(content)\n"
        "        pairs = zip(names, names[1:] + names[:1])\n"
        "        views = [self.view(folder / name, content[other]) for name, other in pairs]\n",
    ),
    Bug(
        "can_read_raises",
        "sound_reader",
        "R06-can-read",
        '    return any(path.glob("*/cameras.json"))',
        '    return any((one / "cameras.json").is_file() for one in path.iterdir())',
    ),
    Bug(
        "can_read_anything",
        "sound_reader",
        "R06-can-read",
        '    return any(path.glob("*/cameras.json"))',
        "    return path.exists()",
    ),
    Bug(
        "bare_json_error",
        "sound_reader",
        "R07-errors",
        '        content = read_json(folder / "cameras.json")\n',
        '        text = (folder / "cameras.json").read_text()\n'
        "        content = __import__('json').loads(text)\n",
    ),
    Bug(
        "error_without_a_place",
        "sound_reader",
        "R07-errors",
        'f"{config.path}: expected folders with cameras.json, got none. Check data.path."',
        '"no data"',
    ),
    Bug(
        "lambda_kept",
        "sound_reader",
        "R08-workers",
        '        self.session = "aviary"\n',
        '        self.session = "aviary"\n        self.key = lambda view: view.name\n',
    ),
    Bug(
        "state_of_the_class",
        "sound_reader",
        "R08-workers",
        '        self.session = "aviary"\n',
        '        type(self).session = "aviary"\n',
    ),
]
STAGE = [
    Bug(
        "another_name",
        "sound_stage",
        "S01-sample",
        CROP,
        _after_crop('        return replace(result, id=result.id + "-cropped")\n'),
    ),
    Bug(
        "pictures_of_floats",
        "sound_stage",
        "S01-sample",
        CROP,
        _after_crop(
            "        views = tuple(replace(v, rgb=v.rgb / 255.0) for v in result.views)\n"
            "        return replace(result, views=views)\n"
        ),
    ),
    Bug(
        "edit_in_place",
        "sound_stage",
        "S02-no-edits",
        CALL,
        CALL + "        for view in sample.views:\n            view.rgb[view.mask == 0] = 0\n",
    ),
    Bug(
        "jitter_without_seed",
        "sound_stage",
        "S03-same-twice",
        "        shift = np.array(",
        "        margin = margin + np.random.default_rng().uniform(-1, 1)\n"
        "        shift = np.array(",
    ),
    Bug(
        "mask_turned_over",
        "sound_stage",
        "S04-masks",
        CALL,
        CALL + "        turned = tuple(replace(v, mask=255 - v.mask) for v in sample.views"
        " if v.mask is not None)\n"
        "        sample = replace(sample, views=turned or sample.views)\n",
    ),
    Bug(
        "mask_lost",
        "sound_stage",
        "S04-masks",
        CROP,
        "        bare = replace(sample, views=tuple(replace(v, mask=None) for v in sample.views))\n"
        + CROP.replace("(sample,", "(bare,"),
    ),
    Bug(
        "principal_point_left_behind",
        "sound_stage",
        "S05-geometry",
        CROP,
        "        cut = slice(margin, -margin)\n"
        "        views = tuple(\n"
        "            replace(v, rgb=v.rgb[cut, cut], mask=v.mask[cut, cut]) for v in sample.views\n"
        "        )\n"
        "        return warp_sample(replace(sample, views=views), step=STEP, params=params)\n",
    ),
    Bug(
        "flipped_without_its_camera",
        "sound_stage",
        "S05-geometry",
        CALL,
        CALL + "        flipped = tuple(\n"
        "            replace(v, rgb=v.rgb[:, ::-1], mask=None if v.mask is None else"
        " v.mask[:, ::-1])\n"
        "            for v in sample.views\n        )\n"
        "        sample = replace(sample, views=flipped)\n",
    ),
    Bug(
        "picture_flipped_without_mask",
        "sound_stage",
        "S05-geometry",
        CALL,
        CALL + "        flipped = tuple(\n"
        "            replace(v, rgb=v.rgb[::-1]) for v in sample.views\n        )\n"
        "        sample = replace(sample, views=flipped)\n",
    ),
    Bug(
        "no_step",
        "sound_stage",
        "S06-step",
        CROP,
        _after_crop("        return replace(result, provenance=sample.provenance)\n"),
    ),
    Bug(
        "params_of_numpy",
        "sound_stage",
        "S06-step",
        '"least_seen": int(least_seen)',
        '"least_seen": least_seen',
    ),
    Bug(
        "map_not_recorded",
        "sound_stage",
        "S07-round-trip",
        CROP,
        _after_crop(
            "        last = replace(result.provenance[-1], pixel_maps=())\n"
            "        return replace(result, provenance=(*sample.provenance, last))\n"
        ),
    ),
    Bug("no_mask_not_expected", "sound_stage", "S08-errors", "if view.mask is None:", "if False:"),
    Bug(
        "generator_kept",
        "sound_stage",
        "S09-workers",
        "        self.margin = config.margin\n",
        "        self.margin = config.margin\n        self.names = (str(i) for i in range(3))\n",
    ),
]
LOSS = [
    Bug(
        "one_value_per_sample",
        "sound_loss",
        "L01-shape",
        "        return error.sum(dim=(2, 3, 4)) / total",
        "        return (error.sum(dim=(2, 3, 4)) / total).mean(dim=1)",
    ),
    Bug("empty_mask_divides_by_zero", "sound_loss", "L01-shape", ".clamp_min(1)", ""),
    Bug("root_at_zero", "sound_loss", "L02-gradients", ".abs() * mask", ".square().sqrt() * mask"),
    Bug("detached", "sound_loss", "L02-gradients", "(pred - target)", "(pred.detach() - target)"),
    Bug(
        "pred_edited",
        "sound_loss",
        "L03-no-edits",
        "        error = ",
        "        pred.mul_(mask)\n        error = ",
    ),
    Bug(
        "count_over_all_views",
        "sound_loss",
        "L04-views-apart",
        "mask.sum(dim=(2, 3, 4)).clamp_min(1)",
        "mask.sum().clamp_min(1)",
    ),
    Bug(
        "noise",
        "sound_loss",
        "L05-same-twice",
        "        return error.sum(dim=(2, 3, 4)) / total",
        "        noise = 0.1 * pred.new_empty(()).uniform_()\n"
        "        return error.sum(dim=(2, 3, 4)) / total * (1 + noise)",
    ),
    Bug(
        "mask_forgotten",
        "sound_loss",
        "L06-outside",
        ".masked_fill(mask == 0, 0).abs() * mask",
        ".abs()",
    ),
    Bug(
        "broadcast_by_luck",
        "sound_loss",
        "L07-errors",
        '        check_pictures("masked_l1", pred, target, mask)\n',
        "",
    ),
    Bug(
        "opacity_beyond_the_reach",
        "sound_loss",
        "L08-reach",
        "        return error.sum(dim=(2, 3, 4)) / total",
        "        return error.sum(dim=(2, 3, 4)) / total + context.alpha.mean(dim=(2, 3, 4))",
    ),
    Bug("negative_reach", "sound_loss", "L08-reach", "reach_px = 0", "reach_px = -1"),
]
POLICY = [
    Bug(
        "indices_of_numpy",
        "sound_policy",
        "V01-indices",
        "tuple(int(view) for view in inputs)",
        "tuple(inputs)",
    ),
    Bug(
        "held_out_in_training",
        "sound_policy",
        "V02-apart",
        "return ViewSplit(tuple(int(view) for view in inputs), tuple(kept))",
        "return ViewSplit(tuple(int(view) for view in inputs), tuple(range(len(cameras))))",
    ),
    Bug("seed_ignored", "sound_policy", "V03-seeded", "default_rng(seed)", "default_rng()"),
    Bug(
        "too_few_not_expected",
        "sound_policy",
        "V04-errors",
        "if len(cameras) <= self.inputs:",
        "if False:",
    ),
    Bug(
        "lambda_in_a_policy",
        "sound_policy",
        "V05-workers",
        "        self.inputs = 4\n",
        "        self.inputs = 4\n        self.rank = lambda view: -view\n",
    ),
]
CHECK = [
    Bug(
        "empty_mask_not_expected",
        "sound_check",
        "D01-no-crash",
        "if view.mask is None or not view.mask.any():",
        "if view.mask is None:",
    ),
    Bug(
        "no_mask_not_expected",
        "sound_check",
        "D01-no-crash",
        "if view.mask is None or not view.mask.any():",
        "if not view.mask.any():",
    ),
    Bug(
        "another_code",
        "sound_check",
        "D02-code",
        'code="SOUND001",\n                    sev',
        'code="SOUND002",\n                    sev',
    ),
    Bug("no_remedy", "sound_check", "D02-code", '"Use more light."', '""'),
    Bug(
        "edits_what_it_sees",
        "sound_check",
        "D03-quiet",
        "            inside = ",
        "            view.rgb[view.mask == 0] = 7\n            inside = ",
    ),
]
WRITE = "        write_atomically(path, data)\n"
EXPORTER = [
    Bug(
        "another_file",
        "sound_exporter",
        "E01-written",
        "write_atomically(path,",
        'write_atomically(path.with_suffix(".txt"),',
    ),
    Bug(
        "rubbish_left",
        "sound_exporter",
        "E01-written",
        WRITE,
        WRITE + '        (path.parent / "log.txt").write_text("done")\n',
    ),
    Bug(
        "time_in_the_file",
        "sound_exporter",
        "E02-same-bytes",
        '"\\n".join(rows).encode()',
        '("\\n".join(rows) + str(__import__("time").perf_counter_ns())).encode()',
    ),
    Bug(
        "opacities_clamped_in_place",
        "sound_exporter",
        "E03-no-edits",
        WRITE,
        WRITE + "        gaussians.opacities.clamp_(0.1, 0.9)\n",
    ),
    Bug("half_a_file", "sound_exporter", "E04-whole", WRITE, "        path.write_bytes(data)\n"),
    Bug(
        "nan_written",
        "sound_exporter",
        "E05-errors",
        '        check_finite("sound_exporter.xyz: means", gaussians.means)\n',
        "",
    ),
    Bug(
        "gone_when_refused",
        "sound_exporter",
        "E05-errors",
        "        check_range(",
        "        if most > 1:\n            path.unlink()\n        check_range(",
    ),
]
ADAPTER = [
    Bug(
        "effect_at_the_start",
        "sound_adapter",
        "A02-starts-at-nothing",
        "init_lora_weights=True",
        "init_lora_weights=False",
    ),
    Bug(
        "layers_at_random",
        "sound_adapter",
        "A04-same-seed",
        "r=self.r,",
        "r=__import__('random').choice(range(2, 999)),",
    ),
]

BUGS = [
    *PLUGIN,
    *COMPONENT,
    *READER,
    *STAGE,
    *LOSS,
    *POLICY,
    *CHECK,
    *EXPORTER,
    *ADAPTER,
]
