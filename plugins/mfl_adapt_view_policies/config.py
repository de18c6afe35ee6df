"""Settings of the view policies; views are counted from 0."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from mfl_adapt.plugin import ComponentConfig

REFERENCE = 0
"""The only view that can be a reference."""
_TRAP = "only input, which the network would learn to copy"

View = Annotated[int, Field(ge=0)]
HeldOutViews = (
    Annotated[int, Field(ge=1, strict=True)]  # so that a share of 1.0 is not one view
    | Annotated[float, Field(gt=0, lt=1)]
    | tuple[View, ...]
)


class FixedConfig(ComponentConfig):
    """Settings of ``fixed``."""

    inputs: tuple[View, ...] = Field(min_length=1, description="Views that feed the network.")
    targets: Literal["all"] | tuple[View, ...] = Field(
        default="all",
        description="Views compared with in training; 'all' means all that are not held out.",
    )
    held_out: tuple[View, ...] = Field(
        min_length=1, description="Views used for nothing but evaluation."
    )

    @model_validator(mode="after")
    def _keep_apart(self) -> Self:
        _check_views("inputs", self.inputs, self.held_out)
        _check_views("held_out", self.held_out, ())
        if self.targets != "all":
            if not self.targets:
                raise ValueError("expected at least one view in targets, got none")
            _check_views("targets", self.targets, self.held_out)
            if self.targets == self.inputs and len(self.inputs) == 1:
                raise ValueError(f"expected another target than the {_TRAP}, {self.inputs[0]}")
        return self


class SortedConfig(ComponentConfig):
    """Settings of ``sorted``."""

    inputs: int = Field(default=4, ge=1, description="How many views feed the network.")
    held_out: int = Field(default=1, ge=1, description="How many views are kept for evaluation.")
    start_deg: float = Field(
        default=270.0,
        ge=-360,
        le=360,
        description="Azimuth at which the order begins; 270 is the front.",
    )


class _Held(ComponentConfig):
    """What policies with held-out views have in common."""

    held_out: HeldOutViews = Field(
        default=1,
        union_mode="left_to_right",
        description="How many views are kept for evaluation, spread evenly; which share of all, "
        "rounded down and at least one; or which ones.",
    )

    @model_validator(mode="after")
    def _check_list(self) -> Self:
        if isinstance(self.held_out, tuple):
            if not self.held_out:
                raise ValueError("expected at least one view in held_out, got none")
            _check_views("held_out", self.held_out, ())
        return self


class HeldOutConfig(_Held):
    """Settings of ``held_out``."""

    inputs: int = Field(default=4, ge=1, description="How many views feed the network.")
    targets: int | None = Field(
        default=None,
        ge=1,
        description="How many views each training step compares with; if unset all that remain, "
        "at most 8.",
    )

    @model_validator(mode="after")
    def _see_more_than_the_input(self) -> Self:
        if self.fewest_inputs == self.targets == 1:
            raise ValueError(f"expected targets of at least 2, as 1 may be the {_TRAP}")
        return self

    @property
    def fewest_inputs(self) -> int:
        """How many views feed the network at least."""
        return self.inputs


class OverlapConfig(_Held):
    """Settings of ``maximize_view_overlap``."""

    inputs: int = Field(default=4, ge=1, description="How many views feed the network.")
    extra: int = Field(
        default=1,
        ge=0,
        description="How many further views, near some input, are compared with beside the inputs.",
    )
    max_angle_deg: float | None = Field(
        default=None,
        gt=0,
        le=180,
        description="Greatest angle between a further view and the nearest input, seen from the "
        "origin; null is the published rule, 86 degrees at a distance of 2.7.",
    )


class RotatingConfig(ComponentConfig):
    """Settings of ``rotating``."""

    inputs: int = Field(default=4, ge=1, description="How many views feed the network.")
    left_out: int = Field(
        default=1,
        ge=1,
        description="How many views an example leaves out of the inputs and compares with.",
    )
    targets: Literal["all", "left_out"] = Field(
        default="all",
        description="Views compared with: those left out and all others but the held-out ones, at "
        "most 8 of all; or only those left out.",
    )
    held_out: int = Field(default=1, ge=1, description="How many views a fold keeps apart.")
    fold: int = Field(
        default=0, ge=0, description="Which views these are; one run per fold tests every camera."
    )


class ReferenceConfig(_Held):
    """Settings of ``reference``."""

    view: int = Field(default=REFERENCE, description="The reference; no other view than 0 can be.")
    inputs: int = Field(
        default=1, ge=1, description="How many views feed the network, the reference among them."
    )
    targets: int | None = Field(
        default=None,
        ge=1,
        description="How many other views each training step compares with; if unset all that "
        "remain, at most 8.",
    )

    @field_validator("view", mode="before")
    @classmethod
    def _refuse_other_references(cls, value: Any) -> Any:
        if value != REFERENCE or isinstance(value, bool):
            raise ValueError(
                f"expected 0, got {value!r}. A reference that changes is its own target in turn, "
                "and the network learns to copy it. Let facelift_cameras.slots put the wanted "
                "view first"
            )
        return value

    @model_validator(mode="after")
    def _keep_reference(self) -> Self:
        if isinstance(self.held_out, tuple) and REFERENCE in self.held_out:
            raise ValueError("expected held-out views without view 0, the reference, got it")
        return self


class CameraDropoutConfig(HeldOutConfig):
    """Settings of ``camera_dropout``."""

    rate: float = Field(
        default=0.3, gt=0, lt=1, description="How probably each of the inputs fails."
    )
    least: int = Field(default=2, ge=1, description="How many inputs never fail.")

    @property
    def fewest_inputs(self) -> int:
        """How many views feed the network at least."""
        return self.least

    @model_validator(mode="after")
    def _leave_something_to_fail(self) -> Self:
        if self.least >= self.inputs:
            raise ValueError(
                f"expected least below inputs, {self.inputs}, got {self.least}, so that no input "
                "could fail"
            )
        return self


def _check_views(name: str, views: Sequence[int], held_out: Sequence[int]) -> None:
    """Raise if a view is listed twice, or is held out too.

    Raises:
        ValueError: Which pydantic turns into a message about the section.
    """
    twice = sorted({view for view in views if views.count(view) > 1})
    if twice:
        raise ValueError(f"expected each view once in {name}, got {twice[0]} twice")
    leaked = sorted(set(views) & set(held_out))
    if leaked:
        raise ValueError(f"expected held-out views outside {name}, got {leaked[0]} in both")
