"""Runs in several processes: one that has imported everything forks all of them.

Reads one JSON object a line: ``{"count": 2, "root": FOLDER, "overrides": [...]}`` begins a run,
``"resume": FOLDER`` goes on with one, ``"views": MODEL`` trains a base that makes views, and
``"injury": [NAME, RANK, STEP]`` lets something happen to a process. Writes how each process
ended: its exit code, and its error if it had one. One process alone is this one, which so learns
all that takes time to load; with ``"threads": 2`` it is another one, as threads cannot be forked.
"""

import json
import os
import signal
import socket
import sys
import warnings
from importlib import import_module
from pathlib import Path

SETTINGS = (
    *("data.reader.samples=5", "data.reader.num_views=6", "data.reader.workers=0"),
    *("data.views.targets=1", "data.views.inputs=2", "data.split.validation=0.2"),
    *("data.split.gap=0", "data.size=32", "train.steps=4", "train.batch=2", "train.warmup=1"),
    *("train.log_every=1", "train.sample_every=100", "train.save_every=2", "train.precision=fp32"),
    *("train.validate_every=null", "evaluate.retention=0", "evaluate.samples=1", "name=several"),
)


def open_order(order):
    """Return configuration and plugins of a run."""
    from fresh_views import open_views

    from mfl_adapt.config import claim_slots, load_config
    from mfl_adapt.plugin.registry import load_plugins

    if "views" in order:
        return open_views(Path(order["views"]), Path(order["root"]), *order.get("overrides", ()))
    flags = {"train.resume": order.get("resume")}
    source = "quickstart" if "resume" not in order else Path(order["resume"]) / "config.yaml"
    given = () if "resume" in order else (*SETTINGS, f"output={order['root']}")
    loaded = load_config(source, overrides=(*given, *order.get("overrides", ())), flags=flags)
    host = load_plugins(loaded.config.plugins)
    return claim_slots(loaded, host), host


def injure(name, step):
    """Let something happen to this process in a step."""
    from mfl_adapt.errors import DataError
    from mfl_adapt.plugin import Stateful
    from mfl_adapt.train import objective, reconstruction, run

    forward, call = reconstruction.Reconstruction.forward, objective.Objective.__call__

    def injured(self, number, look=reconstruction.NO_LOOK):
        if number + 1 == step:
            if name == "unreadable":
                raise DataError("frame 7: expected a picture, got none. Look at it.")
            if name == "fault":
                raise ZeroDivisionError("a fault of somebody's plugin")
            os.kill(os.getpid(), getattr(signal, name))
        return forward(self, number, look)

    def infinite(self, pred, target, mask, context):
        broken = pred * float("nan") if context.step + 1 == step else pred
        return call(self, broken, target, mask, context)

    def remembering(loaded, host):
        from mfl_adapt.pipeline import open_run

        opened = open_run(loaded, host)
        loss = opened.losses[0][2]
        type(loss).state, type(loss).restore = dict, dict
        assert isinstance(loss, Stateful)
        return opened

    def other_order(opened):
        return {"data": {"fingerprint": os.getpid()}}

    if name == "nan":
        objective.Objective.__call__ = infinite
    elif name == "remembering":
        run.open_run = remembering
    elif name == "other data":
        run.identify = other_order
    else:
        reconstruction.Reconstruction.forward = injured


def train(order):
    """Train in this process."""
    from silent import Silent

    from mfl_adapt.train.run import run_training

    run_training(*open_order(order), Silent())


def train_together(order, rank, port):
    """Be one process of a run."""
    import torch

    from mfl_adapt.train.launched import as_one_of_several

    torch.set_num_threads(order.get("threads", 1))
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(order["count"]),
        "LOCAL_WORLD_SIZE": str(order["count"]), "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }  # fmt: skip
    name, injured, step = order.get("injury", (None, None, None))
    if name is not None and injured in {rank, "all"}:
        injure(name, step)
    with as_one_of_several():
        train(order)


def fork(order, rank, port):
    """Start one process; return its number and what its error can be read from."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    code, error = 0, ""
    try:
        train_together(order, rank, port)
    except SystemExit as stopped:
        code, error = stopped.code, f"silent: {stopped.__cause__}"
    except BaseException as raised:
        code, error = 1, f"{type(raised).__name__}: {raised}"
    os.write(writing, error.encode())
    os._exit(code)


def main():
    """Serve until the end of the input."""
    warnings.simplefilter("error")
    for name in ("run", "reconstruction", "diffusion"):
        import_module(f"mfl_adapt.train.{name}")
    for line in sys.stdin:
        order = json.loads(line)
        if order["count"] == 1 and "threads" not in order:
            train(order)
            print(json.dumps([[0, ""]]), flush=True)
            continue
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        children = [fork(order, rank, port) for rank in range(order["count"])]
        ends = []
        for child, reading in children:
            with os.fdopen(reading, encoding="utf-8") as pipe:
                error = pipe.read()
            ends.append((os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), error))
        print(json.dumps(ends), flush=True)


if __name__ == "__main__":
    main()
