"""What an adapter costs on data of the kind that its base was trained on.

An adapter that fits a base to mice makes it forget heads, more or less. The plugin of the base
says what its own domain is; the score there is taken with the adapter on and off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mfl_adapt.adapter import Switchable
from mfl_adapt.chain import contract_for, open_chain
from mfl_adapt.config import RunConfig
from mfl_adapt.config.models import Data
from mfl_adapt.data import PreparedDataset, SlotViews, Split
from mfl_adapt.errors import DataError, MflAdaptError
from mfl_adapt.evaluate.asked_home import in_words_of_home
from mfl_adapt.evaluate.gain import Gain
from mfl_adapt.evaluate.held_out import measure_scenes, to_per_scene
from mfl_adapt.evaluate.intervals import FEW_SCENES
from mfl_adapt.evaluate.kinds import build_maker
from mfl_adapt.evaluate.scores import (
    MODELS,
    PerScene,
    count,
    number_or_none,
    to_brackets,
)
from mfl_adapt.pipeline import OpenData
from mfl_adapt.plugin import Base, BaseSpec, HomeDomain, ViewPolicy, ViewPolicySpec
from mfl_adapt.plugin.registry import PluginHost, load_plugins

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retention(Gain):
    """What an adapter costs on data of the kind that its base was trained on.

    Attributes:
        domain: In words.
        per_scene: Scores of ``frozen base`` and ``adapted``; empty if nothing was measured.
        reason: Why nothing was measured; empty if something was.
    """

    domain: str = ""
    per_scene: PerScene = field(default_factory=dict)
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the scores, or the reason why there are none."""
        if self.reason:
            return {"not_measured": self.reason}
        return {
            "domain": self.domain,
            "scenes": self.scenes,
            **{name: scores.to_json() for name, scores in self.rows.items()},
            "change_foreground_db": number_or_none(self.gain_db),
            "change_interval_db": None if self.interval_db is None else list(self.interval_db),
        }

    def to_text(self) -> str:
        """Return the cost as one line."""
        if self.reason:
            return f"base's own domain: not measured: {self.reason}"
        before, after = (self.rows[name].foreground_psnr_db for name in MODELS)
        few = "; too few scenes to decide" if self.scenes < FEW_SCENES else ""
        return (
            f"base's own domain ({self.domain}, {count(self.scenes, 'scene')}): "
            f"foreground {before:.2f} -> {after:.2f} dB with the adapter, {self.gain_db:+.2f} dB"
            f"{to_brackets(self.interval_db, signed=True)}{few}"
        )


def measure_retention(
    base: Base,
    adapter: Switchable,
    config: RunConfig,
    host: PluginHost,
    report: Callable[[int, int], None] | None = None,
    *,
    asked: str | None = None,
) -> Retention:
    """Score a base on its own domain, with and without its adapter.

    Args:
        base: With the adapter inside.
        adapter: The adapter, or ``AllAdapters``; switched off for the frozen base.
        config: The resolved configuration; ``evaluate.retention`` says how many scenes,
            ``evaluate.home`` may name data.
        host: The active plugins.
        report: Called with scenes done and scenes in all.
        asked: How the user named the data of that domain (``--home``), or an empty text if the
            base's own are to be used. None keeps every error as a reason, so that the end of a
            training loses nothing.

    Returns:
        The scores; or the reason why there are none: nobody wants any, or nobody named data and
        the base has none that can be opened here.

    Raises:
        MflAdaptError: If data that the user named cannot be used, or measuring fails; never
            where ``asked`` is None.
    """
    if config.evaluate.retention == 0:
        return Retention(reason="evaluate.retention is 0")
    try:
        name, data = open_home(base, config, host)
    except MflAdaptError as error:
        if asked:
            worded = in_words_of_home(error, asked)
            raise worded from error
        return Retention(reason=" ".join(str(error).split()))
    samples = tuple(data.samples)
    log.info("evaluate: %s of the base's own domain, %s", count(len(samples), "scene"), name)
    try:
        make = build_maker(base, config, data.contract.background)
        device = next(base.module.parameters()).device
        measured = measure_scenes(samples, data, adapter, make, device=device, report=report)
    except MflAdaptError as error:
        if asked is not None:
            worded = in_words_of_home(error, asked or "base's own domain")
            raise worded from error
        return Retention(reason=" ".join(str(error).split()))
    return Retention(name, to_per_scene(samples, measured.held_out))


def open_home(base: Base, config: RunConfig, host: PluginHost) -> tuple[str, OpenData]:
    """Open data of a base's own domain; all of them are for evaluation.

    Args:
        base: What the views are prepared for.
        config: The resolved configuration.
        host: The active plugins.

    Returns:
        What the data are, in words, and the data.

    Raises:
        DataError: If neither the plugin of the base nor the user names any, or they cannot be
            used.
        MflAdaptError: If a plugin that they need is missing.
    """
    home, path = _home(config, host), config.evaluate.home
    if path is None and "reader" not in home.data:
        raise DataError(
            f"{home.name or 'data that the base was trained on'} do not ship with {base.id}; name "
            "a dataset with --set evaluate.home=FOLDER"
        )
    if path is None:
        host = load_plugins(home.plugins)
    section = _section(home, path, config)
    opened = config.model_copy(update={"data": section})
    contract = contract_for(opened, base.contract)
    samples = PreparedDataset(open_chain(opened, host, contract))
    # Only a model of views has none; where nobody said, those of the run.
    views = section.views or config.data.views
    policy: ViewPolicy = SlotViews(contract.slots_deg)
    if views is not None:
        policy = host.build(ViewPolicySpec, views.use, views.settings)
    split = Split((), tuple(range(len(samples))))
    name = home.name if path is None else path.name
    return name, OpenData(samples, split, policy, contract)


def _home(config: RunConfig, host: PluginHost) -> HomeDomain:
    """What the plugin of the base says of its own domain; nothing if it says nothing."""
    assert config.base is not None, "a base was opened"
    spec = host.component(BaseSpec, config.base.id, where="base").spec
    return spec.home or HomeDomain(name="", data={})


def _section(home: HomeDomain, path: Path | None, config: RunConfig) -> Data:
    """The section ``data`` of the base's own domain, at the run's picture size."""
    wanted: dict[str, Any] = dict(home.data)
    if path is not None:
        wanted.pop("reader", None)
        wanted["path"] = path
    chosen = {"limit": config.evaluate.retention, "size": config.data.size}
    return Data.model_validate(wanted | chosen)
