"""What holds for every room: importable helpers, no deadlines, and a count of golden tests."""

import os
import signal
import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parent))

# What the user of this machine disabled must not decide a test; nothing ever lies there.
os.environ["MFL_CONFIG_HOME"] = str(Path(__file__).resolve().parent / "no_settings_of_the_user")

# A shell starts what runs in its background deaf to Ctrl-C, and programs pass that on: the tests
# that interrupt a program would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
