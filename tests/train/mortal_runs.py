"""Runs that can be killed: a process that has imported everything forks one for each of them.

Reads one JSON object a line: ``{"root": FOLDER}`` begins the run, or goes on with it if its folder
is there; ``"fsync": N``, ``"rename": N`` and ``"replace": N`` kill it at its Nth call of that
function of ``os``, and ``"moment"`` says when: ``before`` it did anything, ``after``, or ``torn``,
with half of the file on the disk. Writes the process number of each run, and how it ended. A run
that ends by itself leaves the numbers of its calls in ``calls.json``.
"""

import json
import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from importlib import import_module
from pathlib import Path

MOMENTS = {
    "fsync": ("before", "torn", "after"),
    "rename": ("before", "after"),
    "replace": ("before", "after"),
}

SETTINGS = (
    *("data.reader.samples=3", "data.reader.num_views=6", "data.reader.workers=0"),
    *("data.views.targets=2", "data.views.inputs=2", "data.split.validation=0.34"),
    *("data.split.gap=0", "train.steps=5", "train.batch=1", "train.warmup=1", "train.log_every=1"),
    *("train.sample_every=2", "train.save_every=2", "train.keep=2", "train.validate_every=2"),
    *("train.precision=fp32", "train.ema=0.9", "adapter.lora_dropout=0.2"),
    *("evaluate.retention=0", "evaluate.samples=1", "name=mortal"),
)


def train(root: Path) -> None:
    """Do what ``mfl-adapt train`` and ``train --resume`` do."""
    from silent import Silent

    from mfl_adapt.config import claim_slots, load_config
    from mfl_adapt.plugin.registry import load_plugins
    from mfl_adapt.train.run import run_training

    folder = root / "mortal"
    flags = {"train.resume": str(folder)} if folder.exists() else {}
    source = folder / "config.yaml" if folder.exists() else "quickstart"
    overrides = () if folder.exists() else (*SETTINGS, f"output={root}")
    loaded = load_config(source, overrides=overrides, flags=flags)
    host = load_plugins(loaded.config.plugins)
    run_training(claim_slots(loaded, host), host, Silent())


def arm(name: str, order: dict, calls: Counter) -> None:
    """Count the calls of a function of ``os``, and let this process die at one of them."""
    real, last = getattr(os, name), order.get(name)
    moment = order.get("moment", "before")

    def mortal(*arguments, **options):
        calls[name] += 1
        dies = calls[name] == last
        if dies and moment == "torn":
            # A folder that is synchronised cannot be cut.
            with suppress(OSError):
                os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
        if dies and moment != "after":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*arguments, **options)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(os, name, mortal)


def main() -> None:
    """Serve until the end of the input."""
    import_module("mfl_adapt.train.run")
    import_module("mfl_adapt.train.reconstruction")
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            calls = Counter()
            for name in MOMENTS:
                arm(name, order, calls)
            try:
                train(Path(order["root"]))
                (Path(order["root"]) / "calls.json").write_text(json.dumps(calls))
            except BaseException as error:
                print(json.dumps(f"{type(error).__name__}: {error}"), flush=True)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
