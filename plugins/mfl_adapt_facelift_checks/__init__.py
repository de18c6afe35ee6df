"""Checks of samples and datasets against FaceLift's rig contract.

A code repeats the number of the failure that its check prevents in the catalogue of failures
seen in the field, and second checks of one failure count on from 63; habits, which prevent none,
count from 101.
"""

from typing import Literal

from mfl_adapt.plugin import CheckSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer the checks of one sample by code, then those of a whole dataset."""
    from .table import DATASET_CHECKS, SAMPLE_CHECKS, Row

    def spec(row: Row, subject: Literal["sample", "dataset"]) -> CheckSpec:
        return CheckSpec(
            name=row.name,
            summary=row.summary,
            config=row.config,
            build=f"mfl_adapt_facelift_checks.{row.build}",
            code=row.code,
            subject=subject,
            samples=row.samples,
        )

    return [
        *(spec(row, "sample") for row in SAMPLE_CHECKS),
        *(spec(row, "dataset") for row in DATASET_CHECKS),
    ]
