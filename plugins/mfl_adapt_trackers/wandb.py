"""wandb: a folder of an offline run in the run folder, unless wandb's own environment says else.

Nothing is written of the machine, the user, the program or its output: only what the run folder
holds, without the paths of this machine.
"""

from __future__ import annotations

import html
import os
import shutil
from pathlib import Path
from typing import Any, cast

from mfl_adapt_trackers.follower import Follower, Start
from mfl_adapt_trackers.news import News

MFL_API = 1

_PRIVATE = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "host": "",
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}


class Wandb:
    """Writes a run of wandb."""

    def __init__(self, start: Start) -> None:
        """Begin a run; one that goes on keeps its id.

        Offline it is written anew and whole: wandb keeps much in memory, which a sudden end loses.
        """
        import wandb

        mode = os.environ.get("WANDB_MODE") or "offline"
        place = Path(os.environ.get("WANDB_DIR") or start.folder)
        is_offline = mode == "offline"
        if is_offline:
            for part in place.glob(f"wandb/offline-run-*-{start.key}"):
                shutil.rmtree(part)
        self._wandb = wandb
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "mfl-adapt",
            dir=str(place),
            id=start.key,
            name=start.folder.name,
            config=dict(start.config),
            mode=cast("Any", mode),
            resume=None if start.is_new else "allow",
            # Offline there is nothing to be said; online the user wants to see the address.
            settings=wandb.Settings(**_PRIVATE, silent=is_offline),
        )
        # What wandb's server has of a run that goes on is not told again.
        self.holds = -1 if is_offline else self._run.step - 1

    def write(self, news: News) -> None:
        """Take what one step left."""
        told: dict[str, Any] = dict(news.scalars)
        for name, path in news.pictures.items():
            told[name] = self._wandb.Image(str(path))
        for name, text in news.texts.items():
            told[name] = self._wandb.Html(f"<pre>{html.escape(text)}</pre>", inject=False)
        self._run.log(told, step=news.step)

    def close(self, *, failed: bool) -> None:
        """Finish the run; on wandb's pages one that failed is marked so."""
        self._run.finish(exit_code=int(failed))


_follower = Follower("wandb", Wandb)
run_opening = _follower.run_opening
run_started = _follower.run_started
step_finished = _follower.step_finished
checkpoint_saved = _follower.checkpoint_saved
run_finished = _follower.run_finished
