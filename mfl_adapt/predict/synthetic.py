"""Datasets whose views a multi-view model generated, each with the cameras that it made them for.

The cameras are those of the model's slots, never those of the rig that took the pictures: the
generated views show what the slots' cameras would see. Their hash is written into every sample,
so that a check can refuse a sample whose cameras were exchanged later.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt import __version__
from mfl_adapt.adapter import AttachedAdapter, digest_tensors
from mfl_adapt.cameras.identity import SEAL, hash_cameras, to_raw_cameras
from mfl_adapt.data.fingerprint import combine_digests
from mfl_adapt.data.source import hash_json
from mfl_adapt.data.writer import check_id, summarize, write_json, write_lists
from mfl_adapt.errors import DataError
from mfl_adapt.images import RawView, begin_sample
from mfl_adapt.predict import matting
from mfl_adapt.predict.adapters import adapter_hash
from mfl_adapt.predict.views import slot_cameras, slot_conditions, slot_names
from mfl_adapt.prepare.folder import (
    find_finished,
    is_finished,
    open_partial,
    partial_folder,
    publish,
)
from mfl_adapt.prepare.work import Made, store
from mfl_adapt.types import Sample

if TYPE_CHECKING:
    from mfl_adapt.predict.predictor import Report
    from mfl_adapt.predict.sources import Source, Sources
    from mfl_adapt.predict.views import ViewsBase
    from mfl_adapt.types import RawCamera

log = logging.getLogger(__name__)

STEP = "data synth"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How views are generated and cut out.

    Attributes:
        seed: Of the noise; the same for every picture, so that their order does not count.
        steps: Denoising steps.
        guidance: Factor on what the picture changes.
        white: Least channel of a background pixel, of 255.
    """

    seed: int = 4
    steps: int = 50
    guidance: float = 3.0
    white: int = matting.LEVEL


@dataclass(frozen=True, slots=True)
class SyntheticSet:
    """What was made.

    Attributes:
        folder: The dataset.
        samples: How many samples it holds.
        made: How many of them this call made.
        skipped: Pictures that were left out, as messages.
        cameras_sha256: Hash of the cameras that generated the views.
    """

    folder: Path
    samples: int
    made: int
    skipped: tuple[str, ...]
    cameras_sha256: str

    def lines(self) -> list[str]:
        """What a user wants to know, one fact a line."""
        before = self.samples - self.made
        there = f", {before} were there already" if before else ""
        lines = [f"samples   {self.samples} ({self.made} made now{there})"]
        if self.skipped:
            lines.append(f"left out  {len(self.skipped)} pictures, listed in dataset.json")
        lines.append(f"cameras   the model's own slots, sha256 {self.cameras_sha256[:12]}")
        return [*lines, f"dataset   {self.folder}"]


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """One dataset to make; ``folder`` and ``plan`` are what storing a sample needs."""

    base: ViewsBase
    recipe: Recipe
    cameras: tuple[RawCamera, ...]
    params: Mapping[str, Any]
    folder: Path
    plan: str


def make_synthetic(
    base: ViewsBase,
    sources: Sources,
    out: Path,
    *,
    recipe: Recipe | None = None,
    adapters: Sequence[AttachedAdapter] = (),
    report: Report | None = None,
    skip_bad: int = 0,
) -> SyntheticSet:
    """Generate the views of pictures and write them as a dataset folder, or continue one.

    The folder appears at the end, whole. What was made before an interruption is kept beside it
    and not made again; a folder that was begun or finished with anything else is refused.

    Args:
        base: Makes the views, with its adapters in place.
        sources: The pictures.
        out: Folder to make; it must not exist yet, be empty, or hold this very dataset.
        recipe: How; None is the published way.
        adapters: Those that sit in the base, for the record.
        report: Gets told how far it is.
        skip_bad: How many pictures may be left out because nothing usable comes of them.

    Raises:
        ConfigError: If the base does not say where its views stand.
        DataError: If more pictures are bad than may be left out, or none is left.
        StorageError: If the folder is in use or cannot be written.
    """
    recipe = recipe or Recipe()
    out = out.expanduser().absolute()
    partial = partial_folder(out)
    cameras = to_raw_cameras(slot_cameras(base.contract, base.contract.size))
    params = _describe(base, recipe, cameras, adapters)
    content = {"kind": "synth", **params, "pictures": sources.describe(), "version": __version__}
    plan = hash_json(content)
    if is_finished(out, plan):
        return SyntheticSet(out, len(find_finished(out, plan)), 0, (), params[SEAL])
    work = _Work(base, recipe, cameras, params, partial, plan)
    with open_partial(partial, plan, content):
        found = find_finished(partial, plan, clean=True)
        if found:
            log.info("continuing: %d of %d samples are there already", len(found), len(sources))
        made, bad = _make(work, sources, found, report or _silent, skip_bad)
        _finish(work, {**found, **made}, bad)
        publish(partial, out)
    return SyntheticSet(out, len(found) + len(made), len(made), tuple(bad.values()), params[SEAL])


def generate_sample(
    source: Source,
    base: ViewsBase,
    cameras: Sequence[RawCamera],
    recipe: Recipe,
    params: Mapping[str, Any],
    report: Report | None = None,
) -> Sample:
    """Generate one sample's views and cut them out.

    Args:
        source: The picture.
        base: Makes the views.
        cameras: Those that it makes them for.
        recipe: How.
        params: What the sample's record shall say beside its picture.
        report: Gets told how many denoising steps are done.

    Raises:
        DataError: If a view shows no subject on a white background.
    """
    report = report or _silent
    prompts, posed = slot_conditions(base)
    views = (
        base
        .generate(
            source.rgb,
            prompts,
            steps=recipe.steps,
            guidance=recipe.guidance,
            seed=recipe.seed,
            progress=lambda index, _time, _latents: report("steps", index + 1, recipe.steps),
            **posed,
        )
        .to_bytes()
        .cpu()
        .numpy()
    )
    raw = []
    names = slot_names(base.contract.slots_deg)
    for name, rgb, camera in zip(names, views, cameras, strict=True):
        where = f"{source.id}, generated view {name}"
        cut = matting.cut_from_white(rgb, where, level=recipe.white)
        raw.append(RawView(name, cut.rgb, cut.alpha, camera, where))
    return begin_sample(
        source.id,
        raw,
        step=STEP,
        params={**params, "picture": dict(source.params)},
        session=source.session,
        animal=source.animal,
        time_s=source.time_s,
    )


def _describe(
    base: ViewsBase,
    recipe: Recipe,
    cameras: Sequence[RawCamera],
    adapters: Sequence[AttachedAdapter],
) -> dict[str, Any]:
    """Return everything that decides the views beside the pictures."""
    return {
        SEAL: hash_cameras(cameras),
        "base": {"id": base.id, "sha256": base.sha256},
        "adapters": [
            {"adapter_hash": adapter_hash(one), "strength": one.strength} for one in adapters
        ],
        "prompts_sha256": digest_tensors({"prompt_embeds": base.prompt_embeds.float()}),
        **asdict(recipe),
        "dtype": str(next(base.module.parameters()).dtype).removeprefix("torch."),
        "alpha": {"method": matting.METHOD, "level": recipe.white, "speck": matting.SPECK},
    }


def _make(
    work: _Work,
    sources: Sources,
    found: Mapping[int, Made],
    report: Report,
    skip_bad: int,
) -> tuple[dict[int, Made], dict[int, str]]:
    """Make all samples that are not there yet.

    Raises:
        DataError: If more are bad than may be left out.
    """
    made: dict[int, Made] = {}
    bad: dict[int, str] = {}
    for index in range(len(sources)):
        report("pictures", len(found) + len(made) + len(bad), len(sources))
        if index in found:
            continue
        try:
            source = sources[index]
            check_id(source.id)
            sample = generate_sample(
                source, work.base, work.cameras, work.recipe, work.params, report
            )
            made[index] = Made(**store(sample, index, work))
        except DataError as error:
            if len(bad) >= skip_bad:
                raise
            bad[index] = str(error)
            log.warning("left out picture %d of %d: %s", index + 1, len(sources), error)
    report("pictures", len(sources), len(sources))
    return made, bad


def _finish(work: _Work, made: Mapping[int, Made], bad: Mapping[int, str]) -> None:
    """Write the list and, last, ``dataset.json``.

    Raises:
        DataError: If no sample is left.
    """
    ordered = [made[index] for index in sorted(made)]
    if not ordered:
        raise DataError("data synth: expected at least one good picture, got none.")
    samples = [Sample(one.id, (), (), one.session, one.animal, one.time_s) for one in ordered]
    digest = combine_digests((one.id, one.digest) for one in ordered)
    description = {
        "kind": "synth",
        **work.params,
        "plan": work.plan,
        "split": None,
        "skipped": [{"number": number + 1, "reason": why} for number, why in sorted(bad.items())],
    }
    write_lists([sample.id for sample in samples], None, work.folder)
    write_json(work.folder / "dataset.json", summarize(samples, digest, description))


def _silent(what: str, done: int, total: int) -> None:
    pass
