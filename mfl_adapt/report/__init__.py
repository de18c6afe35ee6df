"""Pictures, plots and pages that a person looks at."""

from mfl_adapt.report.sheet import contact_sheet, save_contact_sheet

__all__ = ["contact_sheet", "save_contact_sheet"]
