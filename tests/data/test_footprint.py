"""What reading and checking data must not import: the command line starts with it."""

import subprocess
import sys

LIGHT = (
    "mfl_adapt.images, mfl_adapt.data, mfl_adapt.doctor.examine, mfl_adapt.doctor.findings, "
    "mfl_adapt_facelift_reader.reader, mfl_adapt_facelift_checks.subject, "
    "mfl_adapt_facelift_checks.silhouettes"
)


def test_nothing_left_of_collate_imports_torch_or_opencv():
    code = (
        f"import sys, {LIGHT}\n"
        "heavy = {'torch', 'cv2', 'numba', 'scipy', 'diffusers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
