"""Checks of configurations, data, adapters, runs and machines against what failed in the field.

A code repeats the number of the failure that its check prevents in the catalogue of failures
seen in the field, and second checks of one failure count on from 63; habits, which prevent none,
count from 101.
"""

from mfl_adapt.plugin import CheckSpec, Spec, hookimpl

MFL_API = 1


@hookimpl
def register_components() -> list[Spec]:
    """Offer all checks, by what they look at and then by code."""
    from .table import CHECKS

    return [
        CheckSpec(
            name=row.name,
            summary=row.summary,
            config=row.config,
            build=f"mfl_adapt_facelift_checks.{row.build}",
            code=row.code,
            subject=subject,
            samples=row.samples,
        )
        for subject, rows in CHECKS.items()
        for row in rows
    ]
