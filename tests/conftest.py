"""What holds for every room: importable helpers, no deadlines, and a count of golden tests."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

# A busy machine is no fault of the code: nothing here may fail for being slow.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


def pytest_terminal_summary(terminalreporter, config):
    """Say how many tests compared with numbers made by the real models."""

    def count(outcome):
        reports = terminalreporter.stats.get(outcome, [])
        return sum(1 for report in reports if "golden" in getattr(report, "keywords", {}))

    ran, skipped = count("passed") + count("failed"), count("skipped")
    terminalreporter.write_line(f"golden tests: {ran} ran, {skipped} skipped")
