"""The run configuration: every key of the core, with its default and its description.

Sections that belong to a component (``adapter:``, ``data.reader:``, ...) keep one or two keys for
the core and hold the component's own keys as they were written; the plugin's model validates those
(``validate_components``). Each default stands here and nowhere else.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _check_background(value: Any) -> Any:
    """Say in one message what a union of types would say in several.

    Raises:
        ValueError: If it is neither a known word nor a grey.
    """
    is_grey = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    if not is_grey and value not in get_args(_Word):
        words = ", ".join(get_args(_Word))
        raise ValueError(f"expected {words} or a grey from 0 to 1, got {value!r}")
    return value


_Word = Literal["white", "black", "gray", "three_choices", "random"]
Background = Annotated[_Word | float, BeforeValidator(_check_background)]
GuardCode = Annotated[str, Field(pattern=r"^MFL[0-9]{3}$")]
UserPath = Annotated[Path, Field(strict=False), AfterValidator(Path.expanduser)]


class Section(BaseModel):
    """Keys of the core alone: unknown ones are errors, and a number stays the number it was."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class ComponentSection(Section):
    """A few keys of the core, beside the keys of the component that the section names."""

    model_config = ConfigDict(extra="allow")

    @property
    def settings(self) -> dict[str, Any]:
        """The component's own keys, as they were written."""
        return dict(self.model_extra or {})


class Component(ComponentSection):
    """A component by name, with its settings beside it."""

    use: str
    """Component as ``plugin.component``, or the plugin alone if it offers one for this place."""


class BaseChoice(ComponentSection):
    """The frozen base model, with its settings beside it."""

    id: str
    """Base model as ``plugin.component``, for instance ``facelift.gslrm``."""


class LossSchedule(Section):
    """When a loss term counts, in optimizer steps from 0."""

    start: int = Field(0, ge=0)
    """First step at which the term counts; before it, it is not even computed."""
    ramp: int = Field(0, ge=0)
    """Steps over which the weight rises to its full value, from the start on."""
    stop: int | None = Field(None, gt=0)
    """First step at which the term counts no more; null never stops it."""
    fade: int = Field(0, ge=0)
    """Steps over which the weight falls to 0, up to the stop."""

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.stop is None and self.fade:
            raise ValueError(f"expected stop beside fade, got fade {self.fade} alone")
        if self.stop is not None and self.stop - self.start < max(1, self.ramp + self.fade):
            raise ValueError(
                f"expected stop at least {max(1, self.ramp + self.fade)} after start "
                f"{self.start}, for ramp {self.ramp} and fade {self.fade}, got {self.stop}"
            )
        return self

    def factor(self, step: int) -> float:
        """Return the share of the weight that counts at a step, in [0, 1].

        A ramp of n steps begins with 1/n, so that the term has an effect from its start.
        """
        if step < self.start or (self.stop is not None and step >= self.stop):
            return 0.0
        risen = (step - self.start + 1) / self.ramp if self.ramp else 1.0
        left = (self.stop - step) / self.fade if self.stop and self.fade else 1.0
        return min(1.0, risen, left)


class LossTerm(ComponentSection):
    """One loss term: its weight and schedule, with its settings beside them."""

    weight: float = Field(gt=0)
    """Factor of the term in the sum; leave the term out instead of giving it 0."""
    schedule: LossSchedule | None = None
    """When the term counts: start, ramp, stop and fade in steps; null counts it at every step."""


class Split(Section):
    """How samples are divided into training and validation."""

    by: Literal["order", "time", "session", "animal"] | None = None
    """What decides: position in the list, time within a session, whole sessions or animals; null
    takes the dataset folder's own data_train.txt and data_val.txt, or else the order."""
    validation: float = Field(0.1, ge=0, lt=1)
    """Share of the samples that is kept for validation."""
    gap: float = Field(0.05, ge=0, lt=1)
    """Share of the samples that is left out between the two, as neighbours in time look alike."""
    leave_out: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Sessions or animals, by name, that are kept for validation instead of a share of all; needs
    by: session or by: animal."""


class Data(Section):
    """Which pictures a run sees, and what happens to them before the model."""

    path: UserPath | None = None
    """Dataset folder or file, relative to the working directory; null for a reader that makes
    its samples itself."""
    reader: Component | None = None
    """Dataset reader; null asks every active reader whether it knows the path."""
    preprocess: Annotated[tuple[Component, ...], Field(strict=False)] = ()
    """Steps that change pictures, masks and cameras, in this order; camera normalizers too."""
    cameras: Component | None = None
    """Camera normalizer; null leaves the cameras as the reader gave them."""
    views: Component | None = None
    """View policy: which views the model sees and which it is measured on."""
    split: Split = Split()
    """How samples are divided into training and validation."""
    size: int | None = Field(None, gt=0)
    """Side of the square picture in pixels; null takes the base model's."""
    limit: int | None = Field(None, gt=0)
    """Use only the first so many samples; null uses all."""
    cache: UserPath | None = None
    """Folder that keeps the finished pictures of this data unpacked, and what the frozen networks
    of a diffusion base make of them, so that later runs need not; made anew when files, settings
    or code change. Null keeps none."""


class Guards(Section):
    """What watches a run for failures that look like progress."""

    every: int = Field(10, gt=0)
    """Steps between two looks at the pictures of a step; gradients are watched in every step."""
    stop: Annotated[tuple[GuardCode, ...], Field(strict=False)] = ()
    """Codes of guards that only warn and shall stop the run instead, for instance MFL113."""
    off: Annotated[tuple[GuardCode, ...], Field(strict=False)] = ()
    """Codes of guards that only warn and shall say nothing."""


class Train(Section):
    """The training loop."""

    steps: int = Field(2000, gt=0)
    """Number of optimizer steps."""
    batch: int = Field(2, gt=0)
    """Samples per step."""
    micro_batch: int | None = Field(None, gt=0)
    """Samples that are computed at one time: those of a step are taken in so many one after the
    other and their gradients are added, for less memory and the same step. Null takes all at
    once. Only for a base that makes Gaussians."""
    lr: float = Field(1.0e-3, gt=0)
    """Learning rate after the warm-up."""
    warmup: int = Field(100, ge=0)
    """Steps over which the learning rate rises from 0."""
    clip: float = Field(1.0, gt=0)
    """Greatest norm of the gradient; larger ones are scaled down to it."""
    weight_decay: float = Field(0.0, ge=0)
    """Weight decay of the adapter's weights."""
    precision: Literal["bf16", "fp16", "fp32"] = "bf16"
    """Number format of the frozen model's arithmetic."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto takes a CUDA device if there is one, and says so."""
    backend: Literal["auto", "cpu", "torch", "gsplat"] = "auto"
    """Rasterizer; auto takes gsplat on a CUDA device and the CPU one elsewhere."""
    log_every: int = Field(10, gt=0)
    """Steps between two lines of metrics."""
    sample_every: int = Field(100, gt=0)
    """Steps between two pictures of a prediction."""
    save_every: int = Field(500, gt=0)
    """Steps between two checkpoints, from which a run can be resumed."""
    keep: int = Field(3, gt=0)
    """Checkpoints that are kept: the newest ones, and the best beside them."""
    validate_every: int | None = Field(500, gt=0)
    """Steps between two measurements of the foreground PSNR on held-out views, by which the best
    checkpoint is known; null measures none."""
    validate_samples: int = Field(8, gt=0)
    """Most samples of such a measurement."""
    resume: UserPath | None = None
    """Folder of a run to go on with from its newest sound checkpoint; null begins a new run."""
    save_dtype: Literal["float32", "float16"] = "float32"
    """Number format of the saved adapter; float16 halves its file, and what is evaluated is what
    was rounded."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Keep a moving average of the adapter with at most this decay, for instance 0.9999, and
    evaluate and save it instead of the last weights; null keeps none."""
    checkpointing: bool = False
    """Compute the blocks of the network again in the backward pass instead of keeping what is in
    them: less memory, about a third more time, the same numbers. Only for a base that makes
    Gaussians."""
    guards: Guards = Guards()
    """What watches the run."""
    force: bool = False
    """Train although a check found data that break a law of the rig contract."""


class Diffusion(Section):
    """What only a base that makes views by diffusion needs; nothing may be set for another one."""

    drop_rate: float = Field(0.05, ge=0, le=1 / 3)
    """How often training drops the picture's embedding, its latents, and both, with this
    probability each; guidance needs it."""
    background: Background = "white"
    """Colour behind the subject in training: a word or a grey in [0, 1]; three_choices and random
    draw one anew for every example, so that encoded pictures cannot be kept."""
    sampling_steps: int = Field(20, gt=0, lt=1000)
    """Denoising steps of the views that are made for sample pictures and evaluation."""
    guidance: float = Field(3.0, ge=0, le=100)
    """Factor on what the picture changes in them; 1 switches guidance off."""


class Evaluate(Section):
    """Measurements on held-out views, after training."""

    samples: int | None = Field(None, gt=0)
    """Measure only so many validation samples; null measures all."""
    retention: int = Field(8, ge=0)
    """Scenes of the base's own domain on which it is measured what the adapter costs; 0 measures
    nothing there."""
    home: UserPath | None = None
    """Dataset folder of the base's own domain, relative to the working directory; null takes what
    the plugin of the base names, if it names something."""


class RunConfig(Section):
    """Everything that decides a run."""

    extends: str | None = None
    """Preset, or a file relative to this one, that this configuration is laid over key by key;
    used up while loading."""
    name: str = Field("run", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    """Name of the run and of its folder; the name of the configuration file if not given."""
    seed: int = Field(0, ge=0, lt=2**32)
    """Seed of everything random."""
    base: BaseChoice | None = None
    """The frozen base model."""
    views_base: BaseChoice | None = None
    """The frozen model that turns one picture into views; ``predict`` alone uses it."""
    plugins: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Active plugins: names of installed ones. A plugin that is a single file (./rat.py) is run, so
    that only --plugins, --set and the environment may name it, no file."""
    data: Data = Data()
    """Which pictures a run sees, and what happens to them before the model."""
    losses: dict[str, LossTerm] = {}
    """Loss terms by ``plugin.component``."""
    adapter: Component | None = None
    """The adapter to train."""
    train: Train = Train()
    """The training loop."""
    diffusion: Diffusion = Diffusion()
    """What only a base that makes views by diffusion needs."""
    evaluate: Evaluate = Evaluate()
    """Measurements on held-out views."""
    output: UserPath = Path("runs")
    """Folder of all run folders, relative to the working directory."""


COMPONENT_KEYS: dict[tuple[str | int, ...], str] = {
    ("base",): "id",
    ("views_base",): "id",
    ("adapter",): "use",
    ("data", "reader"): "use",
    ("data", "cameras"): "use",
    ("data", "views"): "use",
}
"""Sections that name one component, with the key that names it; a plain string is short for it."""

SLOT_WORDS: dict[tuple[str | int, ...], str] = {
    ("base",): "base",
    ("adapter",): "adapter",
    ("data", "reader"): "reader",
    ("data", "cameras"): "camera normalizer",
    ("data", "views"): "view policy",
}
"""The same sections, with the word for the slot that plugin hosts use; ``views_base`` is left out,
as a plugin that is only named cannot tell which of the two bases it should be."""
