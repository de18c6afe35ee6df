"""The records a plugin offers, one type per slot, and what their ``build`` must return.

A record is plain data. Its ``build`` is a string ``"package.module:attribute"`` that is imported
at first use, so that listing plugins and validating a configuration never import torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict

from mfl_adapt.types import (
    Cameras,
    Gaussians,
    RigContract,
    Sample,
    ViewBatch,
    ViewSplit,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from peft import PeftConfig
    from torch import Tensor, nn


class ComponentConfig(BaseModel):
    """Base of every component's own settings: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def idle_settings(cls, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the settings that would do nothing beside the others, which validation refuses.

        Where a preset gave them and the user chose what makes them idle, they are dropped first.
        """
        return ()

    def digests(self) -> Mapping[str, str]:
        """Return the hashes that files among these settings must have.

        They are compared before anything is built.

        Returns:
            Key of the setting to ``sha256:`` or ``md5:`` and the hash in hexadecimal; the setting
            ``sha256``, where there is one, is that of ``checkpoint``.
        """
        sha256 = getattr(self, "sha256", None)
        return {"checkpoint": f"sha256:{sha256}"} if sha256 else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One component that a plugin offers.

    Attributes:
        name: What the user types after the plugin's name (``masked_l2``).
        summary: One line for ``plugins show``.
        config: Pydantic model of the component's settings, importable without torch.
        build: ``"package.module:attribute"``; called as ``attribute(config)``.
    """

    name: str
    summary: str
    config: type[BaseModel]
    build: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """Under which terms weights may be used.

    Attributes:
        name: As its author calls it.
        terms: What it allows, in one sentence.
    """

    name: str
    terms: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """Where the weights of a base can be fetched.

    Attributes:
        repository: On the model hub, ``owner/name``.
        path: File or folder in it, ``/`` between its parts.
        revision: Commit, tag or branch; only a commit is a pin.
    """

    repository: str
    path: str
    revision: str = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeDomain:
    """Data of the kind that a base was trained on, on which it is measured what an adapter costs.

    Attributes:
        name: In words (``procedural heads``).
        data: A section ``data`` of a configuration. Without a reader, the user must name a dataset
            folder as ``evaluate.home``.
        plugins: Those that the section needs.
    """

    name: str
    data: Mapping[str, Any]
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSpec(Spec):
    """A frozen pretrained model. ``build(config)`` returns a ``Base``.

    Attributes:
        contract: What the model assumes about pictures and cameras; its ``size`` is that of the
            published model and a ``Base`` may carry another one.
        makes: What it turns pictures into; a base that makes Gaussians is a ``Reconstructor``.
        licence: Of the weights; None if nobody said.
        published: Where they are fetched from; None if they ship with the plugin. The setting
            ``checkpoint`` of the component names them on disk.
        home: Its own domain; None if nobody said.
        outline: ``"package.module:attribute"`` of ``(config) -> Base`` whose network has all its
            shapes and no weights (torch's meta device), so that its memory can be planned before
            anything is fetched; None if that cannot be had.
    """

    contract: RigContract
    makes: Literal["gaussians", "views"] = "gaussians"
    licence: Licence | None = None
    published: PublishedWeights | None = None
    home: HomeDomain | None = None
    outline: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSpec(Spec):
    """Extra trainable weights on a base. ``build(config)`` returns an ``AdapterMethod``.

    Attributes:
        any_rig: It tells a base that makes views where they stand, so that they need not be the
            base's slots.
    """

    any_rig: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LossSpec(Spec):
    """A loss term. ``build(config)`` returns a ``Loss``.

    Attributes:
        on: What it compares: ``pictures`` of a base that makes Gaussians, or ``latents`` of one
            that makes views by diffusion.
        caution: Why it is off unless the user asks for it, as one sentence that is said to whoever
            does; empty for a loss that nothing speaks against.
    """

    on: Literal["pictures", "latents"] = "pictures"
    caution: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraNormalizerSpec(Spec):
    """Moves pictures and cameras together. ``build(config)`` returns a ``Stage``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessorSpec(Spec):
    """Changes pictures, masks and cameras. ``build(config)`` returns a ``Stage``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSpec(Spec):
    """Reads a dataset. ``build(config)`` returns a ``Reader``.

    Attributes:
        can_read: ``"package.module:attribute"`` of ``(path: Path) -> bool``; cheap, torch-free,
            and False (never an exception) for a path it does not know.
        needs_path: False for a reader that makes its samples itself.
    """

    can_read: str
    needs_path: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewPolicySpec(Spec):
    """Chooses inputs and targets. ``build(config)`` returns a ``ViewPolicy``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSpec(Spec):
    """Looks for one kind of failure. ``build(config)`` returns a ``Check``.

    Attributes:
        code: Stable code of its findings (``MFL003``), unique among all plugins.
        subject: Which field of ``Facts`` it looks at.
        samples: Look at no more than so many samples, spread evenly over the dataset; for checks
            that take more than a few milliseconds. None looks at all.
    """

    code: str
    subject: Literal["config", "source", "sample", "dataset", "adapter", "run", "machine"]
    samples: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterSpec(Spec):
    """Writes Gaussians or ready frames to a file.

    ``build(config)`` returns an ``Exporter``, or a ``FrameExporter`` if it takes frames.

    Attributes:
        suffix: Ending of the files it writes (``.ply``); of several that fit, the longest counts.
        takes: What it writes.
    """

    suffix: str
    takes: Literal["gaussians", "frames"] = "gaussians"


@dataclass(frozen=True, slots=True)
class LossContext:
    """What a loss may know besides pictures and mask.

    Attributes:
        contract: The base's rig contract; ``contract.background`` is the colour behind.
        step: Optimizer step, from 0.
        gaussians: What was rendered; None outside GS-LRM.
        cameras: Cameras of the target views, [B, V].
        alpha: Rendered opacity of the target views, [B, V, 1, H, W], with gradient; None where
            nothing was rendered.
        extra: Anything a base adds (``timesteps``, ``snr``), by name.
        inputs: What the network saw; None outside GS-LRM.
        positions: World positions of the Gaussians that belong to the pixels of the inputs,
            [B, V, 3, H, W], with gradient; None where the base places none by pixels.
    """

    contract: RigContract
    step: int = 0
    gaussians: Gaussians | None = None
    cameras: Cameras | None = None
    alpha: Tensor | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    inputs: ViewBatch | None = None
    positions: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a check looks at; only the field of its ``subject`` is sure to be there.

    Attributes:
        contract: The base's rig contract.
        config: Resolved run configuration as plain data.
        source: What ``data.path`` names, before any reader has looked at it.
        sample: One sample, after ``conform``.
        dataset: Samples, after ``conform``.
        split: ``train`` or ``validation`` by id of sample, without those that are left out; None
            where nobody has divided them.
        adapter: Adapter folder.
        run: Run folder.
        machine: Facts about the machine, by name.
    """

    contract: RigContract | None = None
    config: Mapping[str, Any] | None = None
    source: Path | None = None
    sample: Sample | None = None
    dataset: tuple[Sample, ...] | None = None
    split: Mapping[str, str] | None = None
    adapter: Path | None = None
    run: Path | None = None
    machine: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a check found.

    Attributes:
        code: Stable code of the check (``MFL003``).
        severity: ``law`` stops a run, ``warning`` and ``info`` never do.
        where: Sample and view, file or key.
        value: What was measured, with its unit.
        expected: The rule, with its unit.
        remedy: What to do, as one sentence.
        excess: How far the value is beyond the rule, larger is worse; ranks findings of one code.
    """

    code: str
    severity: Literal["law", "warning", "info"]
    where: str
    value: str
    expected: str
    remedy: str
    excess: float = 0.0


@dataclass(frozen=True, slots=True)
class Fix:
    """A change of one file that mends what a check found, and loses nothing.

    Attributes:
        file: An existing text file.
        content: What it shall hold instead.
        what: The change, as one clause (``3 entries made relative``).
    """

    file: Path
    content: str
    what: str


@runtime_checkable
class Base(Protocol):
    """A frozen model: what adapters are put into, whatever it makes."""

    id: str
    module: nn.Module
    contract: RigContract
    sha256: str
    fingerprint: str


@runtime_checkable
class Reconstructor(Base, Protocol):
    """A base that turns pictures with cameras into Gaussians."""

    def reconstruct(self, rgb: Tensor, cameras: Cameras) -> Gaussians:
        """Return Gaussians for rgb [B, V, 3, H, W] in [0, 1] seen by cameras [B, V]."""
        ...


@runtime_checkable
class PixelReconstructor(Reconstructor, Protocol):
    """A reconstructor of whose Gaussians most belong to one input pixel each."""

    def pixel_positions(self, gaussians: Gaussians, views: int, height: int, width: int) -> Tensor:
        """Return the positions of those Gaussians as pictures, [B, V, 3, H, W], with gradient."""
        ...


@runtime_checkable
class Describes(Protocol):
    """A base that has more to say about itself than every base has."""

    def describe(self) -> Mapping[str, str]:
        """Return facts by name, in the order in which ``base verify`` prints them."""
        ...


@runtime_checkable
class Probed(Protocol):
    """A base on which the effect of adapters can be measured."""

    def probe(self) -> Tensor:
        """Return what the network makes of one fixed small input, on the CPU as float32.

        The same network gives the same numbers every time; takes at most a few seconds.
        """
        ...


class AdapterMethod(Protocol):
    """Says how peft should extend a base."""

    def peft_config(self, module: nn.Module) -> PeftConfig | None:
        """Return peft's settings for this module; raise if a target matches nothing.

        None changes no layer, which only an ``ExtraMethod`` may want.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a weight of an adapter learns.

    Attributes:
        rate: Factor on ``train.lr``.
        decay: Whether ``train.weight_decay`` may pull it towards zero; vectors never are.
    """

    rate: float = 1.0
    decay: bool = True


@runtime_checkable
class PacedMethod(AdapterMethod, Protocol):
    """An adapter method whose weights do not all learn in the same way."""

    def pace(self, name: str) -> Pace:
        """Return how the parameter of this full name in the network learns."""
        ...


@runtime_checkable
class ExtraMethod(AdapterMethod, Protocol):
    """An adapter method with a network of its own, beside what peft does to the base's layers."""

    def extra(self, module: nn.Module) -> ExtraModule:
        """Return a fresh network that fits this module and changes nothing yet.

        First weights are drawn from torch's global generator, which the caller has seeded.
        """
        ...


@runtime_checkable
class ExtraModule(Protocol):
    """A ``torch.nn.Module`` that an adapter adds to the network of a base.

    Its tensors are saved, hashed and checked like those of peft.

    Attributes:
        recipe: How to build it again, as in the section ``adapter`` of a configuration: ``use``
            names the component, the rest are its settings; plain JSON values.
        strength: Factor on all that it adds; at 0 the network computes what it does without it.
    """

    recipe: Mapping[str, Any]
    strength: float

    def install(self, module: nn.Module) -> None:
        """Become a child of the base's network; raise if it has no place for this module."""
        ...

    def uninstall(self, module: nn.Module) -> None:
        """Leave the network as it was."""
        ...


class Loss(Protocol):
    """A loss term; unreduced, so that weights, schedules and logs stay outside of it."""

    def __call__(self, pred: Tensor, target: Tensor, mask: Tensor, context: LossContext) -> Tensor:
        """Return [B, V] for pred and target [B, V, C, H, W] and mask [B, V, 1, H, W].

        Pictures have three channels. A loss on latents gets the denoiser's output and target,
        a mask of ones, and ``timesteps`` and ``snr`` [B, V] in ``context.extra``.
        """
        ...


@runtime_checkable
class LocalLoss(Loss, Protocol):
    """A loss on pictures that reads them only around their masks, so that no more need be drawn.

    Where every term of a run says so, training renders the box around each mask alone. A loss
    that does not say it gets whole pictures.

    Attributes:
        reach_px: How far from pixels whose mask is not 0, in rows and in columns, a pixel of
            ``pred`` and ``context.alpha`` can still have a say in the value; 0 if only those
            under the mask have one, or none at all.
    """

    reach_px: int


class Stage(Protocol):
    """A step between reader and ``conform``."""

    def __call__(self, sample: Sample) -> Sample:
        """Return a new sample with one more ``Provenance``; never edit the given one."""
        ...


class Reader(Protocol):
    """A dataset, as an iterable of samples in a fixed order."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __iter__(self) -> Iterator[Sample]:
        """Yield every sample once, always in the same order."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """Read one sample."""
        ...


class ViewPolicy(Protocol):
    """Chooses views; the same seed always gives the same choice."""

    def train(self, cameras: Cameras, *, seed: int) -> ViewSplit:
        """Return inputs and targets of one training example; held-out views are in neither."""
        ...

    def evaluate(self, cameras: Cameras) -> ViewSplit:
        """Return the fixed inputs and the held-out views as targets."""
        ...


@runtime_checkable
class BatchViewPolicy(ViewPolicy, Protocol):
    """A view policy whose examples have other numbers of views from batch to batch."""

    def train_batch(
        self, cameras: Sequence[Cameras], *, seeds: Sequence[int]
    ) -> Sequence[ViewSplit]:
        """Return one split per sample, all with the same numbers of inputs and of targets.

        ``train`` does the same for a batch of one.
        """
        ...


@runtime_checkable
class Stateful(Protocol):
    """A view policy or a loss that remembers something from step to step.

    What it remembers is kept in checkpoints, so that a resumed run goes on as if nothing had
    happened. One whose results follow from its arguments needs none of this.
    """

    def state(self) -> Mapping[str, Any]:
        """Return all it remembers as plain JSON values."""
        ...

    def restore(self, state: Mapping[str, Any]) -> None:
        """Remember what ``state`` returned."""
        ...


class Check(Protocol):
    """Looks at facts."""

    def __call__(self, facts: Facts) -> Iterable[Finding]:
        """Return findings; none means that all is well."""
        ...


@runtime_checkable
class FixingCheck(Check, Protocol):
    """A check that can also mend some of what it finds.

    Only what nobody could want otherwise: where two mendings are possible, there is none.
    """

    def fixes(self, facts: Facts) -> Iterable[Fix]:
        """Return changes after which it no longer finds what they mend; writes nothing."""
        ...


class Exporter(Protocol):
    """Writes a file, whole or not at all."""

    def __call__(self, gaussians: Gaussians, path: Path) -> None:
        """Write the first (or only) item of the batch."""
        ...


class FrameExporter(Protocol):
    """Writes ready pictures to a file, whole or not at all; never renders."""

    def __call__(self, frames: NDArray[np.uint8], path: Path, *, fps: float) -> None:
        """Write frames [T, H, W, 3] that follow one another ``fps`` times a second."""
        ...


__all__ = [
    "AdapterMethod",
    "AdapterSpec",
    "Base",
    "BaseSpec",
    "BatchViewPolicy",
    "CameraNormalizerSpec",
    "Check",
    "CheckSpec",
    "ComponentConfig",
    "Describes",
    "Exporter",
    "ExporterSpec",
    "ExtraMethod",
    "ExtraModule",
    "Facts",
    "Finding",
    "Fix",
    "FixingCheck",
    "FrameExporter",
    "Licence",
    "LocalLoss",
    "Loss",
    "LossContext",
    "LossSpec",
    "Pace",
    "PacedMethod",
    "PixelReconstructor",
    "PreprocessorSpec",
    "Probed",
    "PublishedWeights",
    "Reader",
    "ReaderSpec",
    "Reconstructor",
    "Spec",
    "Stage",
    "Stateful",
    "ViewPolicy",
    "ViewPolicySpec",
]
