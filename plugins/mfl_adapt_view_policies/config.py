"""Settings of the view policies; views are counted from 0."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mfl_adapt.plugin import ComponentConfig

View = Annotated[int, Field(ge=0)]


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
        return self


class HeldOutConfig(ComponentConfig):
    """Settings of ``held_out``."""

    inputs: int = Field(default=4, ge=1, description="How many views feed the network.")
    held_out: (
        Annotated[int, Field(ge=1, strict=True)]  # so that a share of 1.0 is not one view
        | Annotated[float, Field(gt=0, lt=1)]
        | tuple[View, ...]
    ) = Field(
        default=1,
        union_mode="left_to_right",
        description="How many views are kept for evaluation, spread evenly; which share of all, "
        "rounded down and at least one; or which ones.",
    )
    targets: int | None = Field(
        default=None,
        ge=1,
        description="How many views each training step compares with; if unset all that remain, "
        "at most 8.",
    )

    @model_validator(mode="after")
    def _check_list(self) -> Self:
        if isinstance(self.held_out, tuple):
            if not self.held_out:
                raise ValueError("expected at least one view in held_out, got none")
            _check_views("held_out", self.held_out, ())
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
