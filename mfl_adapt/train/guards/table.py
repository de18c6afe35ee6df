"""What guards watch for in a run, one record each; nothing here imports torch.

Codes are part of the MFL numbering that findings of checks use, and stay what they are; 101 and
102 are habits of data. ``failures`` names the numbers under which a failure is catalogued.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from mfl_adapt.plugin import Finding


class Guard(NamedTuple):
    """One thing that may go wrong while a run looks alive.

    Attributes:
        code: Stable code of its findings.
        name: Short name.
        severity: ``law`` stops the run; ``warning`` lets it go on.
        summary: What it means where the guard speaks up, as one sentence.
        expected: The rule.
        remedy: What to do.
        picture: Whether a picture of held-out views helps to see it.
        failures: Numbers in the catalogue of failures.
    """

    code: str
    name: str
    severity: Literal["law", "warning"]
    summary: str
    expected: str
    remedy: str
    picture: bool = False
    failures: tuple[int, ...] = ()

    def finding(self, where: str, value: str, *, excess: float = 0.0) -> Finding:
        """Say that it happened: where, and what was measured."""
        return Finding(
            self.code, self.severity, where, value, self.expected, self.remedy, excess=excess
        )


_SMALLER_STEPS = "Lower train.lr; where train.precision is bf16 or fp16, try fp32 too."
_LOOK_AT_CAMERAS = (
    "Run mfl-adapt doctor on the data: cameras and pictures that disagree do this. If they agree, "
    "lower train.lr."
)

NON_FINITE_LOSS = Guard(
    "MFL103",
    "non-finite loss",
    "law",
    "A loss term became infinite or not a number; every later step would be lost.",
    "a finite number",
    _SMALLER_STEPS,
    picture=True,
    failures=(23,),
)
NON_FINITE_GRADIENT = Guard(
    "MFL104",
    "non-finite gradient",
    "law",
    "The gradient is infinite or not a number, and no factor on an fp16 loss could be lowered.",
    "a finite gradient",
    _SMALLER_STEPS,
    picture=True,
    failures=(23,),
)
ZERO_GRADIENT = Guard(
    "MFL105",
    "no gradient",
    "law",
    "No weight of the adapter has a gradient, so that nothing is learned.",
    "a gradient of some weight",
    "No loss depends on the adapter: check that the renders show something and that the masks are "
    "not empty.",
    picture=True,
)
ZERO_RATE = Guard(
    "MFL106",
    "learning rate of zero",
    "law",
    "The learning rate of a group of weights is 0, so that they stay as they are.",
    "a learning rate above 0",
    "Check train.lr and train.steps, and the rates that the adapter's plugin asks for.",
    failures=(26, 38),
)
SPIKE = Guard(
    "MFL107",
    "gradient spikes",
    "warning",
    "Gradients jump far beyond their usual size; clipping keeps the weights whole, but the "
    "direction of such steps is that of few pictures or of one term.",
    "gradients near their running median",
    "Look at the samples of these steps and at the terms in metrics.jsonl; lower the weight of the "
    "term that jumps, or train.lr.",
    failures=(23, 24, 25),
)
APPLIED_SHARE = Guard(
    "MFL108",
    "steps not applied",
    "warning",
    "Many steps are computed and thrown away, as their fp16 gradients overflow.",
    "at least 80 % of the steps applied",
    "Use --set train.precision=bf16 or fp32, or lower train.lr.",
    failures=(24,),
)
IDLE_TERM = Guard(
    "MFL109",
    "loss term without gradient",
    "warning",
    "A loss term has a weight but no influence: its gradient was 0 whenever it was looked at.",
    "a gradient from every loss term",
    "Remove the term, or check its settings: a schedule that never begins, a value that is "
    "clamped, or a mask that it needs and does not get.",
)
MASK_SHARE = Guard(
    "MFL110",
    "mask share",
    "warning",
    "The masks that losses see cover next to nothing, or nearly the whole picture.",
    "masks that cover 2 to 40 % of the pictures",
    "Look at the masks with mfl-adapt data inspect; check thresholds of preprocess steps, and "
    "anything that changes colours before masks are made.",
    picture=True,
    failures=(28, 32),
)
REACH = Guard(
    "MFL111",
    "Gaussians at the end of their reach",
    "warning",
    "Most of the opacity lies as far from the origin as the model can place it: it looks for the "
    "subject where it cannot be.",
    "most of the opacity within the depth reach of the base",
    "Bring the subject to the origin and into the base's unit: --set data.cameras.use="
    "facelift_cameras.virtual_camera. mfl-adapt doctor says by how much it is off.",
    picture=True,
    failures=(1, 5),
)
TRANSPARENT = Guard(
    "MFL112",
    "opacity vanished",
    "warning",
    "Nothing is left to see where the subject is: the Gaussians there became transparent.",
    "renders that cover the subject",
    f"{_LOOK_AT_CAMERAS} Lower the weight of masked_loss.background beside that of masked_l2.",
    picture=True,
    failures=(1, 21),
)
BACKGROUND = Guard(
    "MFL113",
    "collapse to the background",
    "warning",
    "The subject is drawn in the colour of the background: all that training found is a white "
    "picture, which scores 12 to 15 dB on most data.",
    "a subject that stands out from the background",
    _LOOK_AT_CAMERAS,
    picture=True,
    failures=(21, 28),
)
MEAN_COLOUR = Guard(
    "MFL114",
    "collapse to a mean colour",
    "warning",
    "The subject is drawn in one colour all over, the mean of what it should be.",
    "a subject with light and dark parts where the photograph has them",
    _LOOK_AT_CAMERAS,
    picture=True,
    failures=(4, 27, 35),
)
BLUR = Guard(
    "MFL115",
    "blur",
    "warning",
    "The renders have next to none of the edges of the photographs, long after the start.",
    "edges about as strong as those of the photographs",
    _LOOK_AT_CAMERAS,
    picture=True,
    failures=(4, 34, 35),
)

GUARDS: tuple[Guard, ...] = (
    *(NON_FINITE_LOSS, NON_FINITE_GRADIENT, ZERO_GRADIENT, ZERO_RATE, SPIKE, APPLIED_SHARE),
    *(IDLE_TERM, MASK_SHARE, REACH, TRANSPARENT, BACKGROUND, MEAN_COLOUR, BLUR),
)
"""All guards, by code."""


def by_code(code: str) -> Guard:
    """Return the guard of a code that is known to exist."""
    return next(guard for guard in GUARDS if guard.code == code)
