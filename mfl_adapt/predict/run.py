"""Many pictures through one predictor; what is finished is not done again."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from mfl_adapt import __version__
from mfl_adapt.data.writer import write_json
from mfl_adapt.errors import DataError, PluginError
from mfl_adapt.predict.adapters import describe_adapters
from mfl_adapt.predict.folder import (
    PLY,
    Outputs,
    Writers,
    build_writers,
    check_place,
    describe_base,
    new_folder,
    read_record,
    settings_of,
    with_ply,
    write_gaussians,
    write_prediction,
    write_record,
    write_sheet,
)
from mfl_adapt.predict.framing import frame_picture, mask_scale
from mfl_adapt.predict.outcome import Outcome, Progress
from mfl_adapt.predict.predictor import resize_views
from mfl_adapt.predict.preparation import Preparation

if TYPE_CHECKING:
    from mfl_adapt.plugin.registry import PluginHost
    from mfl_adapt.predict.framed import Framed
    from mfl_adapt.predict.inputs import Inputs, Item, Sequence4D
    from mfl_adapt.predict.picture import RawPicture
    from mfl_adapt.predict.predictor import Prediction, Predictor, Report

log = logging.getLogger(__name__)

SEQUENCE = "sequence.json"
# So many frames, spread evenly, decide how large a sequence's subject becomes.
_SCALE_FRAMES = 24


class _Way(NamedTuple):
    """How items are predicted: what happens before the models, and which files come after."""

    preparation: Preparation
    outputs: Outputs
    writers: Writers


class Batch:
    """Predicts items into folders below one folder.

    Attributes:
        predictor: The models.
        out: Folder of all results.
        preparation: Of each picture.
        outputs: Files of each result.
    """

    def __init__(
        self,
        predictor: Predictor,
        host: PluginHost,
        out: Path,
        *,
        preparation: Preparation,
        outputs: Outputs,
    ) -> None:
        """Build the exporters.

        Raises:
            ConfigError: If a format is named twice or takes frames.
            PluginError: If there is no such exporter.
        """
        self.predictor = predictor
        self.out = out
        self.preparation = preparation
        self.outputs = outputs
        self._writers = build_writers(host, outputs)
        # Of a sequence each frame has the PLY that the page plays, and no film of its own.
        self._frame_outputs = outputs._replace(
            formats=with_ply(outputs.formats), video=False, viewer=False
        )
        self._frame_writers = build_writers(host, self._frame_outputs)

    def run(self, inputs: Inputs, report: Report | None = None) -> Outcome:
        """Predict everything.

        One picture that cannot be used does not stop the others.

        Args:
            inputs: What to predict.
            report: Told about pictures and denoising steps.

        Raises:
            DataError: If a picture cannot be used and it is the only one.
            MflAdaptError: If something concerns all pictures, such as a full disk.
        """
        items = [*inputs.pictures, *(one for each in inputs.sequences for one in each.items)]
        for item in items:
            check_place(self.out / item.name)
        progress = Progress(len(items), report)
        way = _Way(self.preparation, self.outputs, self._writers)
        for item in inputs.pictures:
            self._try(item, way, progress)
        for sequence in inputs.sequences:
            self._run_sequence(sequence, progress)
        return progress.outcome

    def _run_sequence(self, sequence: Sequence4D, progress: Progress) -> None:
        try:
            preparation = self._steady(sequence)
        except (DataError, PluginError) as error:
            progress.fail(sequence.name, error)
            return
        way = _Way(preparation, self._frame_outputs, self._frame_writers)
        for item in sequence.items:
            self._try(item, way, progress)
        page = self._write_sequence(sequence)
        if page is not None:
            progress.outcome.pages.append(page)

    def _steady(self, sequence: Sequence4D) -> Preparation:
        """Fix the scale of a sequence; the subject would pulse if each frame had its own."""
        framing = self.preparation.framing
        if framing.by != "mask" or framing.scale is not None:
            return self.preparation
        scale = self._common_scale(sequence.items)
        log.info("%s: one scale for all frames, %.4g", sequence.name, scale)
        return replace(self.preparation, framing=replace(framing, scale=scale))

    def _common_scale(self, items: Sequence[Item]) -> float:
        """Median scale of some frames.

        Raises:
            DataError: If no frame shows a subject.
        """
        step = max(1, len(items) // _SCALE_FRAMES)
        framing, contract = self.preparation.framing, self.predictor.views_base.contract
        scales, problem = [], ""
        for item in items[::step]:
            try:
                mask = self.preparation.mask(item.read())
            except DataError as error:
                problem = str(error)
                continue
            scales.append(mask_scale(mask, contract, framing.share))
        if not scales:
            raise DataError(f"expected a subject in some frame, got none. The last one: {problem}")
        return median(scales)

    def _write_sequence(self, sequence: Sequence4D) -> Path | None:
        """List the finished frames and write the page that plays them; None if there are none."""
        from mfl_adapt.report.player import write_player

        folder = self.out / sequence.name
        names = [Path(item.name).name for item in sequence.items]
        frames = [
            {"name": name, "folder": name, "ply": PLY}
            for name in names
            if read_record(folder / name) is not None
        ]
        if not frames:
            return None
        write_json(folder / SEQUENCE, {"fps": sequence.fps, "frames": frames})
        return write_player(folder, contract=self.predictor.base.contract)

    def _try(self, item: Item, way: _Way, progress: Progress) -> None:
        try:
            self._predict(item, way, progress)
        except (DataError, PluginError) as error:
            progress.fail(item.name, error)
        progress.next()

    def _predict(self, item: Item, way: _Way, progress: Progress) -> None:
        started = time.perf_counter()
        folder = self.out / item.name
        picture, digest = item.read(), item.digest()
        described = self._describe(way, picture)
        key = _hash({"input": digest, **described})
        earlier = read_record(folder)
        if earlier is not None and earlier.get("key") == key:
            progress.outcome.skipped.append(folder)
            return
        mask = way.preparation.mask(picture)
        contract = self.predictor.views_base.contract
        framed = frame_picture(picture, mask, contract, way.preparation.framing)
        made = self.predictor.predict(framed, report=progress.steps)
        with new_folder(folder) as partial:
            self._write(partial, item, made, described, way)
            seconds = {**made.reconstruction.seconds, "all": time.perf_counter() - started}
            content = {
                "made_by": "predict",
                "key": key,
                "input": _describe_input(item, digest, picture),
                **_geometry(picture, framed),
                **described,
                **_result(made),
                "seconds": {name: round(value, 3) for name, value in seconds.items()},
            }
            write_record(partial, content)
        progress.outcome.done.append(folder)

    def _write(
        self,
        folder: Path,
        item: Item,
        made: Prediction,
        described: dict[str, Any],
        way: _Way,
    ) -> None:
        base = self.predictor.base
        params = {name: described[name] for name in ("views_base", "adapters", "settings")}
        name = Path(item.name).name
        write_prediction(folder, name, made, params)
        found = made.reconstruction
        write_gaussians(folder, name, found, base.contract, way.writers, way.outputs)
        picture = resize_views(made.framed.rgb[None], base.contract.size)[0]
        write_sheet(
            folder / "sheet.png",
            found,
            base.contract,
            picture=picture,
            backend=way.outputs.backend,
        )

    def _describe(self, way: _Way, picture: RawPicture) -> dict[str, Any]:
        """Everything besides the input that decides the files, as plain JSON values."""
        predictor = self.predictor
        return {
            "views_base": describe_base(predictor.views_base),
            "base": describe_base(predictor.base),
            "adapters": describe_adapters(predictor.adapters),
            "settings": settings_of(predictor.settings),
            **way.preparation.describe(picture),
            "outputs": json.loads(json.dumps(way.outputs._asdict())),
        }


def _describe_input(item: Item, digest: str, picture: RawPicture) -> dict[str, Any]:
    return {
        "path": str(item.path),
        "frame": item.frame,
        "sha256": digest.partition("#")[0],
        "size": [int(side) for side in picture.rgb.shape[:2]],
    }


def _geometry(picture: RawPicture, framed: Framed) -> dict[str, Any]:
    """Where the pixels of ``input.png`` came from."""
    return {
        "pixel_map": (framed.pixel_map @ picture.upright).tolist(),
        "pixel_map_from": "pixel coordinates (x, y, 1) of the file as stored, centres at +0.5",
        "framed": framed.note,
    }


def _result(made: Prediction) -> dict[str, Any]:
    found = made.reconstruction
    return {
        "slots": list(made.names),
        "used_views": list(found.names),
        "gaussians": {"made": found.total, "kept": len(found.kept)},
    }


def _hash(content: dict[str, Any]) -> str:
    text = json.dumps({"mfl_adapt": __version__, **content}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
