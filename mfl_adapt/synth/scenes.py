"""Scenes by seed: the same species and seed always give the same ellipsoids."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mfl_adapt.checks import check_range
from mfl_adapt.errors import DataError, did_you_mean
from mfl_adapt.synth.constants import (
    SEEDS_PER_STREAM,
    SPLIT_START,
    STREAMS_PER_SPLIT,
    Species,
    Split,
)
from mfl_adapt.synth.ellipsoids import Ellipsoid
from mfl_adapt.synth.heads import make_head
from mfl_adapt.synth.mice import make_mouse

_MAKERS: dict[str, Callable[[np.random.Generator], list[Ellipsoid]]] = {
    "heads": make_head,
    "mice": make_mouse,
}
# Scene and cameras draw from separate generators, so that every rig sees the same scene.
SCENE_DRAWS, RIG_DRAWS = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Opaque textured ellipsoids around the origin, z up.

    Attributes:
        species: ``heads`` or ``mice``.
        seed: Seed that made it.
        ellipsoids: Its parts; their names say what they are.
    """

    species: Species
    seed: int
    ellipsoids: tuple[Ellipsoid, ...]


def scene_seed(split: Split, index: int, *, stream: int = 0) -> int:
    """Seed of a scene; no two of (split, stream, index) share one.

    Raises:
        DataError: If the split is unknown.
        RangeError: If ``index`` or ``stream`` is outside its block.
    """
    check_known("split", split, SPLIT_START)
    check_range("scene_seed: index", index, 0, SEEDS_PER_STREAM - 1)
    check_range("scene_seed: stream", stream, 0, STREAMS_PER_SPLIT - 1)
    return SPLIT_START[split] + SEEDS_PER_STREAM * stream + index


def make_scene(species: Species, seed: int) -> Scene:
    """Draw a scene.

    Args:
        species: ``heads`` or ``mice``.
        seed: Any integer from 0; ``scene_seed`` gives the seeds of the splits.

    Returns:
        The scene.

    Raises:
        DataError: If the species is unknown.
        RangeError: If the seed is negative.
    """
    rng = scene_generator(species, seed, SCENE_DRAWS)
    return Scene(species, seed, tuple(_MAKERS[species](rng)))


def scene_generator(species: Species, seed: int, draws: int) -> np.random.Generator:
    """Random numbers of a scene: ``SCENE_DRAWS`` for its parts, ``RIG_DRAWS`` for its cameras.

    Raises:
        DataError: If the species is unknown.
        RangeError: If the seed is negative.
    """
    check_known("species", species, _MAKERS)
    check_range("make_scene: seed", seed, 0, np.inf)
    key = np.random.SeedSequence([tuple(_MAKERS).index(species), seed, draws])
    return np.random.Generator(np.random.PCG64(key))


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Refuse an unknown word.

    Raises:
        DataError: If ``name`` is not among the known ones.
    """
    known = tuple(known)
    if name not in known:
        raise DataError(
            f"synth: expected a known {what}, got {name!r}. {did_you_mean(name, known)}"
        )
