"""The report of a run: one HTML file without a network, and but for 3D without a script."""

from mfl_adapt.report.run.write import Written, write_report

__all__ = ["Written", "write_report"]
