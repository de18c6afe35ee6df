"""Prompt embeddings of a species or view set: make them, judge them, keep them in a file.

The rows are all that tells the denoiser its views apart. Zeros, rows of another text tower and
rows that hardly differ make it paint the same view six times, without any error.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mfl_adapt.errors import ConfigError, RangeError, ShapeError, StorageError
from mfl_adapt.files import write_atomically
from mfl_adapt.models.mvdiffusion.config import VIEW_NAMES
from mfl_adapt.models.mvdiffusion.folder import TextTower
from mfl_adapt.models.mvdiffusion.prompts import (
    check_prompt_embeds,
    encode_prompts,
    read_prompt_embeds,
    view_prompts,
)

logger = logging.getLogger(__name__)

PUBLISHED_WIDTH = 1024
"""D of the published model."""

MAX_COSINE = 0.999
"""Rows of two views must be less alike; the published ones reach 0.9951."""

SPECIES_TEMPLATE = "a rendering image of 3D {species} models, {view} view, color map."
"""The published prompt with a species in it."""

SUFFIXES = (".safetensors", ".pt")
_TENSOR = "prompt_embeds"
_NOTES = "prompt_set"


@dataclass(frozen=True, slots=True, eq=False)
class PromptSet:
    """Prompt embeddings and where they come from.

    Attributes:
        embeds: [V, 77, D], one row per view in slot order.
        views: Names of the views; empty if the file does not say.
        prompts: What was encoded; empty if the file does not say.
        tower: SHA-256 of the text tower's weights file; empty if the file does not say.
    """

    embeds: Tensor
    views: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    tower: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was measured of a set.

    Attributes:
        shape: [V, 77, D].
        least_std: Smallest standard deviation within a row.
        greatest_cosine: Of the two rows that are most alike; -1 for a single row.
        alike: Their indices.
    """

    shape: tuple[int, ...]
    least_std: float
    greatest_cosine: float
    alike: tuple[int, int]


def write_prompts(
    views: Sequence[str] = VIEW_NAMES, *, species: str | None = None, template: str | None = None
) -> list[str]:
    """Word one prompt per view.

    Args:
        views: In slot order; the first one is the view of the input picture.
        species: Put into the prompt; None words the published prompts.
        template: Other words, with ``{view}`` and perhaps ``{species}`` in them.

    Raises:
        ConfigError: If a view is empty or comes twice, or the template lacks a place.
    """
    names = [view.strip() for view in views]
    if not names or not all(names) or len(set(names)) < len(names):
        raise ConfigError(f"views: expected different names, got {', '.join(views) or 'none'!r}.")
    if species is not None and not species.strip():
        raise ConfigError("species: expected a name, got an empty one. Leave it out, or name one.")
    if set(names) == set(VIEW_NAMES) and tuple(names) != VIEW_NAMES:
        logger.warning(
            "views: the published model makes them in the order %s; in another one its pictures "
            "and cameras no longer belong together",
            ",".join(VIEW_NAMES),
        )
    if template is None and species is None:
        return view_prompts(names)
    words = template or SPECIES_TEMPLATE
    for place, given in (("{view}", True), ("{species}", species is not None)):
        if (place in words) != given:
            raise ConfigError(
                f"template: expected {place} {'in it' if given else 'only with a species'}, got "
                f"{words!r}. Mend the template, or name the species."
            )
    return [words.replace("{species}", species or "").replace("{view}", name) for name in names]


def make_prompt_set(tower: TextTower, views: Sequence[str], prompts: Sequence[str]) -> PromptSet:
    """Encode prompts as the published ones were, and judge the result.

    Args:
        tower: The base's own.
        views: Their names.
        prompts: One per view.

    Raises:
        RangeError: If two prompts come out alike: a long one is cut after 77 tokens.
    """
    embeds = encode_prompts(prompts, tower.tokenizer, tower.encoder)
    made = PromptSet(embeds, tuple(views), tuple(prompts), tower.sha256)
    judge_prompt_set(made, tower.encoder.config.hidden_size, where="prompts")
    return made


def judge_prompt_set(made: PromptSet, width: int, *, where: str) -> Judgement:
    """Measure prompt embeddings, and raise unless the denoiser can tell views apart by them.

    Args:
        made: What to judge.
        width: D of the denoiser.
        where: Name for messages.

    Raises:
        ShapeError: If they do not fit the denoiser, or the file names another number of views.
        RangeError: If a number is not finite, a row is constant, or two rows are too alike.
    """
    check_prompt_embeds(made.embeds, width, where=where)
    rows = made.embeds.detach().double().flatten(1)
    if made.views and len(made.views) != len(rows):
        raise ShapeError(
            f"{where}: expected one row for each of {', '.join(made.views)}, got {len(rows)}. "
            "Make them again.",
            code="MFL044",
        )
    spread = rows.std(dim=1)
    if not (spread > 0).all():
        raise RangeError(
            f"{where}: expected rows that vary, got standard deviation 0 in "
            f"{_name(made, int(spread.argmin()))}. Such a placeholder says nothing about its view.",
            code="MFL044",
        )
    alike, cosine = _most_alike(rows)
    if not cosine < MAX_COSINE:
        raise RangeError(
            f"{where}: expected rows that differ (cosine under {MAX_COSINE}), got {cosine:.5f} "
            f"between {_name(made, alike[0])} and {_name(made, alike[1])}. The denoiser cannot "
            "tell those views apart: word their prompts differently, and early.",
            code="MFL044",
        )
    return Judgement(tuple(made.embeds.shape), float(spread.min()), cosine, alike)


def save_prompt_set(made: PromptSet, path: Path, *, dtype: torch.dtype = torch.float16) -> None:
    """Write prompt embeddings into a new file, whole or not at all.

    Args:
        made: A judged set.
        path: ``.safetensors``, which also keeps views and prompts, or ``.pt``, which FaceLift's
            own program reads.
        dtype: Half precision, as published, or float32.

    Raises:
        ConfigError: If the file has another ending.
        StorageError: If the file is there already or cannot be written.
        RangeError: If a number leaves the range of the type.
    """
    check_new_file(path)
    embeds = made.embeds.detach().to("cpu", dtype).contiguous()
    if not torch.isfinite(embeds).all():
        raise RangeError(
            f"{path}: expected embeddings that {dtype} can hold, got one of "
            f"{float(made.embeds.abs().max()):g}. Use float32."
        )
    if path.suffix == ".pt":
        buffer = io.BytesIO()
        torch.save(embeds, buffer)
        write_atomically(path, buffer.getvalue())
        return
    notes = {"views": made.views, "prompts": made.prompts, "tower": made.tower}
    # One key only: safetensors writes several in a random order, and files should be comparable.
    write_atomically(path, save({_TENSOR: embeds}, metadata={_NOTES: json.dumps(notes)}))


def check_new_file(path: Path) -> None:
    """Raise unless a set can be written there; worth asking before anything is encoded.

    Raises:
        ConfigError: If the file has another ending.
        StorageError: If the file is there already.
    """
    if path.suffix not in SUFFIXES:
        raise ConfigError(
            f"{path}: expected a file that ends in {' or '.join(SUFFIXES)}, got {path.name!r}."
        )
    if path.exists():
        raise StorageError(f"{path}: expected a new file, got one that exists. Name another one.")


def load_prompt_set(path: Path, width: int) -> PromptSet:
    """Read prompt embeddings from a ``.pt`` or ``.safetensors`` file and judge them.

    Args:
        path: As published in ``clr_embeds.pt``, or made by ``save_prompt_set``.
        width: D of the denoiser.

    Raises:
        CheckpointError: If the file is missing, damaged or holds anything else.
        ShapeError: If they do not fit the denoiser.
        RangeError: If a number is not finite, a row is constant, or two rows are too alike.
    """
    embeds = read_prompt_embeds(path, width)
    made = PromptSet(embeds, *_read_notes(path))
    judge_prompt_set(made, width, where=str(path))
    return made


def _read_notes(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Return views, prompts and text tower as far as a file names them."""
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads((file.metadata() or {}).get(_NOTES, "{}"))
        views, prompts = notes.get("views", ()), notes.get("prompts", ())
        return tuple(map(str, views)), tuple(map(str, prompts)), str(notes.get("tower", ""))
    except SafetensorError:  # a .pt file, which has no notes
        return (), (), ""
    except (ValueError, TypeError, AttributeError):
        logger.warning("%s: its notes on views and prompts are damaged and not used", path)
        return (), (), ""


def _most_alike(rows: Tensor) -> tuple[tuple[int, int], float]:
    """Return which two rows have the greatest cosine, and the cosine."""
    if len(rows) == 1:
        return (0, 0), -1.0
    unit = torch.nn.functional.normalize(rows, dim=1)
    cosines = (unit @ unit.T).fill_diagonal_(-torch.inf)
    first, second = divmod(int(cosines.argmax()), len(rows))
    return (min(first, second), max(first, second)), float(cosines[first, second])


def _name(made: PromptSet, row: int) -> str:
    """Name a row in messages."""
    return f"row {row} ({made.views[row]})" if made.views else f"row {row}"
