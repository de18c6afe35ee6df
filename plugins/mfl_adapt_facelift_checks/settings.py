"""Settings of a run that cannot end well, read before anything else is.

A configuration is plain data here, as it stands in ``config.yaml``; parts that are missing or of
another kind are somebody else's to complain about.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from mfl_adapt.checks import is_number
from mfl_adapt.plugin import Facts, Finding

from .config import ClipConfig, LearningRateConfig, NoConfig

_PERCEPTUAL = ("perceptual", "lpips", "vgg")
_ON_THE_SUBJECT = ("masked_l2", "masked_ssim")
_ON_THE_REST = ("background", "silhouette")
_UNMASKED = ("l2", "ssim")


class Perceptual:
    """Warning MFL023: no loss looks through a network that was trained on other pictures.

    VGG and LPIPS know photographs. On renders of an animal before white their gradients jump by
    orders of magnitude, and each step follows them.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: such a term is on or off."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the names of the terms."""
        for name, term in _losses(facts.config).items():
            if any(word in name.partition(".")[2] for word in _PERCEPTUAL):
                weight = _number(term, "weight")
                yield Finding(
                    code="MFL023",
                    severity="warning",
                    where=f"losses.{name}",
                    value="on" if weight is None else f"weight {weight:g}",
                    expected="no perceptual term before the geometry is learned",
                    remedy="Leave it out: its network knows photographs, not animals before white, "
                    "and its gradients drown those of the other terms.",
                    excess=weight or 0.0,
                )


class Clip:
    """Warning MFL025: gradients are clipped, at a norm that they reach."""

    def __init__(self, config: ClipConfig) -> None:
        """Take the threshold."""
        self._warn_above = config.warn_above

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at one key."""
        clip = _number(_section(facts.config, "train"), "clip")
        if clip is not None and clip > self._warn_above:
            yield Finding(
                code="MFL025",
                severity="warning",
                where="train.clip",
                value=f"{clip:g}",
                expected=f"at most {self._warn_above:g}",
                remedy="Set train.clip to 1: larger norms are let through whole, and one bad "
                "picture undoes a hundred steps.",
                excess=clip / self._warn_above,
            )


class LearningRate:
    """Warning MFL026: the learning rate is one that adapters learn with.

    Nothing visible happens below, and the first steps destroy what the base knows above; a
    warm-up that is longer than the run never reaches the rate at all.
    """

    def __init__(self, config: LearningRateConfig) -> None:
        """Take the range."""
        self._config = config

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at rate and warm-up."""
        train, least, most = _section(facts.config, "train"), self._config.least, self._config.most
        rate = _number(train, "lr")
        if rate is not None and rate > 0 and not least <= rate <= most:
            yield _rate_finding(
                "train.lr",
                f"{rate:g}",
                f"{least:g} to {most:g}",
                f"Set train.lr to {1e-3:g}, or to {1e-4:g} for a large base.",
                max(least / rate, rate / most),
            )
        steps, warmup = _number(train, "steps"), _number(train, "warmup")
        if steps and warmup is not None and warmup >= steps:
            yield _rate_finding(
                "train.warmup",
                f"{warmup:g} of {steps:g} steps",
                "fewer steps than the run has",
                "Shorten train.warmup to a tenth of train.steps.",
                warmup / steps,
            )


def _rate_finding(where: str, value: str, expected: str, remedy: str, excess: float) -> Finding:
    return Finding("MFL026", "warning", where, value, expected, remedy, excess)


class Forced:
    """Warning MFL027: nobody trains on data that break a law."""

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: it is forced or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at one key."""
        if _section(facts.config, "train").get("force") is True:
            yield Finding(
                code="MFL027",
                severity="warning",
                where="train.force",
                value="true",
                expected="false",
                remedy="Mend the data first: no choice of layers, rates or losses makes up for "
                "cameras that contradict their pictures.",
                excess=1.0,
            )


class BackgroundTerm:
    """Warning MFL028: the losses see the subject, and what is beside it.

    Where a subject covers a tenth of the picture, nine tenths of an unmasked loss are white, and
    white is what is learned. A masked loss alone never sees what floats beside the subject.
    """

    def __init__(self, config: NoConfig) -> None:
        """Take nothing: a term is there or not."""

    def __call__(self, facts: Facts) -> Iterator[Finding]:
        """Look at the terms together."""
        names = [name.rpartition(".")[2] for name in _losses(facts.config)]
        masked = any(name in _ON_THE_SUBJECT for name in names)
        if masked and not any(name in _ON_THE_REST for name in names):
            yield _term_finding(
                "masked terms alone",
                "a term on the background too",
                "Add --set losses.masked_loss.background.weight=0.5; nothing else keeps Gaussians "
                "from floating beside the subject.",
            )
        if not masked and any(name in _UNMASKED for name in names):
            yield _term_finding(
                "terms on whole pictures alone",
                "a term on the subject too",
                "Add --set losses.masked_loss.masked_l2.weight=1; most of a picture is background, "
                "and a white picture nearly fits it.",
            )


def _term_finding(value: str, expected: str, remedy: str) -> Finding:
    return Finding("MFL028", "warning", "losses", value, expected, remedy, 1.0)


def _section(config: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    found = (config or {}).get(name)
    return found if isinstance(found, Mapping) else {}


def _losses(config: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """Terms that count, by name."""
    terms = _section(config, "losses").items()
    return {str(name): term for name, term in terms if isinstance(term, Mapping)}


def _number(section: Mapping[str, Any], key: str) -> float | None:
    value = section.get(key)
    return float(value) if is_number(value) else None
