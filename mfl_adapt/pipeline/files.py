"""Files that a configuration names, looked at before anything heavy is built from them.

A model that is built from another file than was meant trains without complaint, and costs a day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from mfl_adapt.chain import paths_in
from mfl_adapt.checks import check_settings
from mfl_adapt.config import LoadedConfig, find_missing_data
from mfl_adapt.config.components import sections
from mfl_adapt.errors import CheckpointError, MflAdaptError
from mfl_adapt.models.fetched import WEIGHTS, find_folder, locate
from mfl_adapt.pipeline.prompt_files import judge_prompts
from mfl_adapt.plugin import BaseSpec, ComponentConfig
from mfl_adapt.plugin.registry import PluginHost

PROMPTS = "prompts"
"""Setting of a base that makes views, with its prompt embeddings."""

MADE_ON_DEMAND = ("cache", "path")
"""Settings whose files need not be there: caches are made, and ``data.path`` fills in a path."""

PARTS = {
    "unet": ("config.json",),
    "vae": ("config.json",),
    "image_encoder": ("config.json",),
    "feature_extractor": ("preprocessor_config.json",),
    "image_normalizer": ("config.json",),
    "image_noising_scheduler": ("scheduler_config.json",),
    "scheduler": ("scheduler_config.json",),
    "text_encoder": ("config.json",),
    "tokenizer": ("tokenizer_config.json", "vocab.json", "merges.txt"),
}
"""Files of a multi-view diffusion model beside its weights."""
_WEIGHT_FILES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")
_KINDS = {"sha256": "SHA-256", "md5": "MD5"}
_TEXT_PARTS = ("text_encoder", "tokenizer")


class NamedFile(NamedTuple):
    """A file or folder that a configuration names.

    Attributes:
        key: Dotted key, ``base.checkpoint``.
        path: As it was written.
        digest: That it must have, ``sha256:`` or ``md5:`` before it, in lower case; empty if
            nothing says so.
    """

    key: str
    path: Path
    digest: str = ""


def check_files(loaded: LoadedConfig, host: PluginHost) -> None:
    """Raise unless all files that a configuration names are there, with the hashes on record.

    Raises:
        MflAdaptError: The first of ``find_problems``.
    """
    for problem in find_problems(loaded, host):
        raise problem


def find_problems(loaded: LoadedConfig, host: PluginHost) -> Iterator[MflAdaptError]:
    """Look for files that are missing, changed or in parts.

    Args:
        loaded: A configuration whose component sections have been validated.
        host: The active plugins.

    Yields:
        One error per file: ``DataError`` for the dataset, ``ShapeError`` and ``RangeError`` for
        prompt embeddings that do not fit, and ``CheckpointError`` for all others.
    """
    yield from find_missing_data(loaded.config)
    try:
        files = [*find_files(loaded, host)]
    except CheckpointError as error:  # weights that were never fetched
        yield CheckpointError(*error.args, code="MFL041")
        return
    problems = [problem for file in files for problem in _problems_of(file)]
    yield from [*problems, *_missing_parts(loaded, host)]
    for file in files:
        section, _, key = file.key.rpartition(".")
        if key == PROMPTS and not problems:
            problem = judge_prompts(file.path, find_model_folder(loaded, host, section))
            yield from [problem] if problem else []


def find_files(loaded: LoadedConfig, host: PluginHost) -> Iterator[NamedFile]:
    """List the files that the components' settings name, and those of a base that was fetched.

    Raises:
        CheckpointError: If a base needs weights that were neither named nor fetched.
        ConfigError: If settings do not fit.
    """
    for keys, slot, name, settings in sections(loaded, host):
        section = ".".join(str(key) for key in keys)
        found = host.lookup(slot, name, where=section)
        model = check_settings(found.spec.config, settings, f"{section} ({found.name})")
        digests = model.digests() if isinstance(model, ComponentConfig) else {}
        for key, path in paths_in(model):
            if key not in MADE_ON_DEMAND:
                digest = digests.get(key, "").lower() if path.is_file() else ""
                yield NamedFile(f"{section}.{key}", path, digest)
        if _is_fetched(found.spec, model):
            yield from _fetched_files(found.name, section)


def _is_fetched(spec: Any, model: Any) -> bool:
    is_published = isinstance(spec, BaseSpec) and spec.published is not None
    return is_published and getattr(model, "checkpoint", None) is None


def _fetched_files(id: str, section: str) -> Iterator[NamedFile]:
    _, fetched = locate(id)
    for name, file in fetched.files.items():
        path = find_folder(id) / WEIGHTS / name
        yield NamedFile(f"{section}.checkpoint", path, f"sha256:{file.sha256.lower()}")


def _problems_of(file: NamedFile) -> Iterator[CheckpointError]:
    if not file.path.exists():
        yield CheckpointError(
            f"{file.key}: expected an existing file or folder, got {file.path}. Check the path; "
            "nothing else is ever taken in its place.",
            code="MFL041",
        )
        return
    kind, _, expected = file.digest.partition(":")
    if expected and (found := hash_file(file.path, kind)) != expected:
        yield CheckpointError(
            f"{file.key}: expected {file.path} with {_KINDS[kind]} {expected}, got {found}. Fetch "
            "or copy it again, or name the file that was meant.",
            code="MFL041",
        )
    elif file.path.suffix in _WEIGHT_FILES and file.path.is_file():
        yield from _no_weights(file.path)


def _no_weights(path: Path) -> Iterator[CheckpointError]:
    """Look at the first bytes; only loading shows whether weights fit."""
    from mfl_adapt.models.weight_files import find_kind, open_file

    try:
        with open_file(path) as stream:
            find_kind(path, stream.read(16))
    except CheckpointError as error:
        yield error


def find_model_folder(loaded: LoadedConfig, host: PluginHost, section: str) -> Path | None:
    """Return the folder of the base that a section names, where it is a folder and is there.

    Args:
        loaded: The configuration.
        host: The active plugins.
        section: ``base`` or ``views_base``.
    """
    from mfl_adapt.models.mvdiffusion.shipped import ID, shipped_folder

    named = {"base": loaded.config.base, "views_base": loaded.config.views_base}.get(section)
    if named is None:
        return None
    id = host.component(BaseSpec, named.id, where=section).name
    own = _folder_of(named.settings)
    if own is not None:
        return own
    if id == ID:
        return shipped_folder()
    fetched = find_folder(id) / WEIGHTS
    return fetched if fetched.is_dir() else None


def _missing_parts(loaded: LoadedConfig, host: PluginHost) -> Iterator[CheckpointError]:
    """Look into the folders of multi-view diffusion models that the user named."""
    for keys, slot, name, settings in sections(loaded, host):
        spec = host.lookup(slot, name).spec if slot == "base" else None
        folder = _folder_of(settings)
        if not isinstance(spec, BaseSpec) or spec.makes != "views" or folder is None:
            continue
        skipped = () if settings.get("text", True) else _TEXT_PARTS
        for part, names in PARTS.items():
            gone = [one for one in names if not (folder / part / one).is_file()]
            if gone and part not in skipped:
                yield CheckpointError(
                    f"{keys[0]}.checkpoint: expected {folder / part / gone[0]} in the model's "
                    f"folder, got no such file. The download broke off; copy the folder again.",
                    code="MFL054",
                )


def _folder_of(settings: Mapping[str, Any]) -> Path | None:
    named = settings.get("checkpoint")
    folder = Path(str(named)).expanduser() if named else None
    return folder if folder is not None and folder.is_dir() else None


def hash_file(path: Path, kind: str = "sha256") -> str:
    """Return the hash of a file; one that has not changed since is not read again.

    Args:
        path: The file.
        kind: ``sha256`` or ``md5``.

    Raises:
        CheckpointError: If it cannot be read.
    """
    try:
        facts = path.stat()
        return _hash(path.resolve(), facts.st_size, facts.st_mtime_ns, kind)
    except OSError as error:
        raise CheckpointError(
            f"{path}: expected a readable file, got {error.strerror}. Check its permissions.",
            code="MFL041",
        ) from error


@lru_cache(maxsize=256)
def _hash(path: Path, size: int, changed_ns: int, kind: str) -> str:
    with path.open("rb") as stream:
        made = partial(hashlib.new, kind, usedforsecurity=False)
        return hashlib.file_digest(stream, made).hexdigest()
