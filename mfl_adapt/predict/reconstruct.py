"""Calibrated views of one moment to Gaussians and the same files as a prediction."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mfl_adapt.chain import contract_for, open_chain
from mfl_adapt.config import validate_components
from mfl_adapt.data.collate import collate_views
from mfl_adapt.images.sources import choose_views
from mfl_adapt.images.steps import warp_sample
from mfl_adapt.predict.adapters import describe_adapters, load_adapters
from mfl_adapt.predict.folder import (
    Outputs,
    build_writers,
    check_place,
    describe_base,
    new_folder,
    safe_name,
    write_gaussians,
    write_record,
    write_sheet,
    write_views,
)
from mfl_adapt.predict.opening import Device, choose_device, open_gaussian_base
from mfl_adapt.predict.predictor import choose_filter, reconstruct
from mfl_adapt.prepare import find_sample

if TYPE_CHECKING:
    from mfl_adapt.adapter import AdapterChoice
    from mfl_adapt.config import LoadedConfig
    from mfl_adapt.plugin.registry import PluginHost
    from mfl_adapt.types import RigContract, Sample

log = logging.getLogger(__name__)


def reconstruct_sample(
    loaded: LoadedConfig,
    host: PluginHost,
    out: Path,
    *,
    sample: str | None = None,
    views: Sequence[int | str] | None = None,
    adapters: Sequence[AdapterChoice | Path] = (),
    filter: str = "auto",
    outputs: Outputs | None = None,
    device: Device = "auto",
) -> Path:
    """Read one sample through the chain, reconstruct it and write a result folder.

    An earlier result of the sample is replaced.

    Args:
        loaded: ``data`` and ``base`` count; the small model where it names none.
        host: The active plugins.
        out: Folder of all results.
        sample: Name of the sample; None takes the first one.
        views: Names or indices of the input views; None takes as many as the base is used to,
            spread over all.
        adapters: Adapter folders, with strengths.
        filter: Which Gaussians are kept, as for ``predict``.
        outputs: Which files are written.
        device: Where to compute.

    Returns:
        The result folder.

    Raises:
        MflAdaptError: If configuration, data, weights or an adapter cannot be used.
    """
    started = time.perf_counter()
    outputs = outputs or Outputs()
    validate_components(loaded, host)
    writers = build_writers(host, outputs)
    base = open_gaussian_base(loaded.config, host, choose_device(device))
    choose_filter(filter, base.id)
    attached = load_adapters(adapters, [base], host)
    contract = contract_for(loaded.config, base.contract)
    whole = find_sample(open_chain(loaded.config, host, contract), sample)
    chosen = _choose(whole, views, contract)
    folder = out / safe_name(whole.id.replace("/", "_"))
    check_place(folder)
    kept = warp_sample(whole, step="reconstruct", params={"views": chosen}, order=chosen)
    batch = collate_views([kept], [range(len(chosen))], contract)
    names = [view.name for view in kept.views]
    found = reconstruct(base, batch.rgb, batch.cameras, names=names, filter=filter)
    with new_folder(folder) as partial:
        write_views(kept, partial / "views")
        write_gaussians(partial, whole.id, found, contract, writers, outputs)
        write_sheet(partial / "sheet.png", found, contract, backend=outputs.backend)
        content: dict[str, Any] = {
            "made_by": "reconstruct",
            "sample": whole.id,
            "input": {"path": str(loaded.config.data.path)},
            "base": describe_base(base),
            "adapters": describe_adapters(attached),
            "used_views": names,
            "gaussians": {"made": found.total, "kept": len(found.kept)},
            "seconds": {"all": round(time.perf_counter() - started, 3)},
        }
        write_record(partial, content)
    return folder


def _choose(sample: Sample, views: Sequence[int | str] | None, contract: RigContract) -> list[int]:
    """Indices of the input views.

    Raises:
        DataError: If one does not exist or is named twice.
    """
    names = [view.name for view in sample.views]
    most = contract.input_views[1]
    if views is not None or len(names) <= most:
        return choose_views(names, views, f"sample {sample.id}: --views")
    spread = np.linspace(0, len(names), most, endpoint=False).astype(int).tolist()
    log.info(
        "sample %s: the base is used to at most %d of its %d views; taking %s",
        sample.id,
        most,
        len(names),
        ", ".join(names[index] for index in spread),
    )
    return spread
