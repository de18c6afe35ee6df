"""How much of ``data prepare`` is the work itself, and how well two workers share it.

    python benchmarks/prepare.py [--frames 72] [--recording FOLDER]

A procedural recording of six videos of 1152 x 1024 pixels is written in the layout of the
markerless mouse data, and one frame in three is prepared at 512 x 512 pixels. Three figures come
from one run on one machine:

* share: the part of a preparation in one process that is spent inside decode (a frame and its mask
  from the videos), warp (picture, mask and camera by one map) and encode (a PNG, onto the disk);
  in processor time, which other jobs on the machine do not change, and beside it by the clock;
* bare: two independent processes that only decode, warp by the known maps and encode, each on half
  of the frames, without camera normalizer, checks of masks, provenance or a parent process;
* two workers: ``data prepare --workers 2`` on the same frames.

Rates are samples per second by the clock after the first quarter of the samples, so that the start
of processes counts on neither side; the rounds of bare and prepare alternate, and the medians are
compared. The run ends with exit status 1 if the share is below 85 % or two workers reach less than
90 % of the bare rate.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

LEAST_SHARE, LEAST_RATIO = 0.85, 0.90
# Neighbouring frames look alike; the mouse data are usually read with one in five.
EVERY = 3
PLUGINS = ["facelift_cameras", "markerless_mouse"]
# What the three kinds of work are, wherever they are called from.
WORK = {
    "decode": [
        ("mfl_adapt.images.video", "VideoReader.frame"),
        ("mfl_adapt_markerless_mouse.reader", "_white"),
    ],
    "warp": [("mfl_adapt.images.steps", "warp_view")],
    "encode": [("mfl_adapt.data.writer", "save_picture")],
}


def settings(recording: Path) -> list[str]:
    """Overrides of the preparation."""
    return [
        f"data.path={recording}",
        f"data.reader={{use: markerless_mouse, every: {EVERY}}}",
        "data.cameras={use: facelift_cameras.virtual_camera, mode: subject}",
        "data.size=512",
    ]


def prepare(recording: Path, out: Path, workers: int, report: Callable[[int, int], None]) -> None:
    """Prepare the recording."""
    from mfl_adapt.config import load_config
    from mfl_adapt.plugin.registry import load_plugins
    from mfl_adapt.prepare import build_executor, make_dataset

    named = [",".join(["facelift", *PLUGINS])]
    loaded = load_config(None, overrides=settings(recording), plugins=named)
    host = load_plugins(loaded.config.plugins)
    executor = build_executor(workers=workers)
    make_dataset(loaded, host, out, kind="prepare", executor=executor, report=report)


def measure_share(recording: Path, out: Path, clock: Callable[[], float]) -> dict[str, float]:
    """Seconds of each kind of work, and of all, while one process prepares the recording."""
    import importlib

    import cv2

    cv2.setNumThreads(1)
    spent = dict.fromkeys(WORK, 0.0)
    real: list[tuple[Any, str, Any]] = []
    for kind, places in WORK.items():
        for module, path in places:
            holder: Any = importlib.import_module(module)
            *inner, attribute = path.split(".")
            for part in inner:
                holder = getattr(holder, part)
            real.append((holder, attribute, getattr(holder, attribute)))
            setattr(holder, attribute, timed(real[-1][2], kind, spent, clock))
    seen: list[tuple[float, dict[str, float]]] = []
    prepare(recording, out, 0, lambda done, total: seen.append((clock(), {**spent})))
    for holder, attribute, function in real:
        setattr(holder, attribute, function)
    (start, before), (end, after) = seen[0], seen[-1]
    return {kind: after[kind] - before[kind] for kind in WORK} | {"all": end - start}


def timed(
    function: Callable[..., Any], kind: str, spent: dict[str, float], clock: Callable[[], float]
) -> Callable[..., Any]:
    """Add the time that a function takes to its kind."""

    def wrapped(*arguments: Any, **named: Any) -> Any:
        start = clock()
        try:
            return function(*arguments, **named)
        finally:
            spent[kind] += clock() - start

    return wrapped


def bare_worker(recording: Path, prepared: Path, out: Path, half: int, times: Any) -> None:
    """Decode, warp and encode half of the frames, and nothing else."""
    import cv2
    import numpy as np

    from mfl_adapt.images.encode import encode_png
    from mfl_adapt.images.warp import warp_view
    from mfl_adapt.plugin import ReaderSpec
    from mfl_adapt.plugin.registry import load_plugins

    cv2.setNumThreads(1)
    reader = load_plugins(PLUGINS).build(
        ReaderSpec, "markerless_mouse", {"path": recording, "every": EVERY}
    )
    out.mkdir()
    for index in range(half, len(reader), 2):
        sample = reader[index]
        # The size changes with the first map, so that one resampling makes the final picture.
        history = json.loads((prepared / sample.id / "provenance.json").read_text())["steps"]
        maps = np.array([step["pixel_maps"] for step in history if step["pixel_maps"]])
        for place, view in enumerate(sample.views):
            done = view
            for step in maps[:, place]:
                done = warp_view(done, step, 512, 512, 8)
            (out / f"{index}_{place}.png").write_bytes(encode_png(done.rgb, done.mask))
        times.put(time.perf_counter())


def bare_rate(recording: Path, prepared: Path, out: Path) -> float:
    """Samples per second of two independent processes."""
    context = multiprocessing.get_context("spawn")
    times = [context.Queue() for _ in range(2)]
    processes = [
        context.Process(
            target=bare_worker, args=(recording, prepared, out.with_name(f"{out.name}{k}"), k, q)
        )
        for k, q in enumerate(times)
    ]
    for process in processes:
        process.start()
    count = len(list(prepared.glob("*/provenance.json")))
    ends = [[queue.get() for _ in range(k, count, 2)] for k, queue in enumerate(times)]
    for process in processes:
        process.join()
    return steady_rate(sorted(time for each in ends for time in each))


def prepared_rate(recording: Path, out: Path) -> float:
    """Samples per second of two workers of ``data prepare``."""
    times: list[float] = []

    def note(done: int, _: int) -> None:
        times.extend([time.perf_counter()] * (done - len(times)))

    prepare(recording, out, 2, note)
    return steady_rate(times)


def steady_rate(times: list[float]) -> float:
    """Samples per second between a quarter and the whole of the samples."""
    first = len(times) // 4
    while first + 1 < len(times) and times[first + 1] == times[first]:
        first += 1
    return (len(times) - 1 - first) / (times[-1] - times[first])


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=72)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recording", type=Path, help="Recording to use; else one is written.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        recording = options.recording
        if recording is None:
            from mfl_adapt.synth.recording import write_recording

            recording = root / "recording"
            write_recording(recording, frames=options.frames, samples=1)
        recording = recording.absolute()
        shares = {}
        for name, clock in (("clock", time.perf_counter), ("one", time.process_time)):
            spent = measure_share(recording, root / name, clock)
            total = spent.pop("all")
            shares[name] = sum(spent.values()) / total
        for kind, seconds in spent.items():
            print(f"{kind:<12}{100 * seconds / total:5.1f} %")
        share = shares["one"]
        print(f"{'share':<12}{100 * share:5.1f} %  (at least {100 * LEAST_SHARE:.0f} %)")
        print(f"{'by the clock':<12}{100 * shares['clock']:5.1f} %")
        bare, workers = [], []
        for number in range(options.rounds):
            bare.append(bare_rate(recording, root / "one", root / f"bare{number}"))
            workers.append(prepared_rate(recording, root / f"two{number}"))
            print(
                f"round {number + 1}: bare {bare[-1]:.2f}, two workers {workers[-1]:.2f} samples/s"
            )
        ratio = statistics.median(workers) / statistics.median(bare)
        print(f"{'ratio':<12}{100 * ratio:5.1f} %  (at least {100 * LEAST_RATIO:.0f} %)")
    return 0 if share >= LEAST_SHARE and ratio >= LEAST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
