"""trackio: a local database, in trackio's own place, unless its own environment says else."""

from __future__ import annotations

import os
from typing import Any

from mfl_adapt_trackers.follower import Follower, Start
from mfl_adapt_trackers.news import News

MFL_API = 1

_ELSEWHERE = ("TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL")
"""What a user sets to have runs kept on another machine."""


class Trackio:
    """Writes a run of trackio."""

    def __init__(self, start: Start) -> None:
        """Begin a run; one that goes on is written anew where it is kept here."""
        import trackio

        project = os.environ.get("TRACKIO_PROJECT") or "mfl-adapt"
        name = f"{start.folder.name}-{start.key}"  # a project may hold runs of many folders
        is_local = not any(os.environ.get(one) for one in _ELSEWHERE)
        if is_local and not start.is_new:
            for run in trackio.Api().runs(project):
                if run.name == name:
                    run.delete()
        self.holds = -1 if is_local else start.told
        self._trackio = trackio
        self._run = trackio.init(
            project=project,
            name=name,
            config=dict(start.config),
            resume="never" if is_local else "allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def write(self, news: News) -> None:
        """Take what one step left."""
        told: dict[str, Any] = dict(news.scalars)
        for name, path in news.pictures.items():
            told[name] = self._trackio.Image(str(path))
        for name, text in news.texts.items():
            told[name] = self._trackio.Markdown(text)
        self._run.log(told, step=news.step)

    def close(self, *, failed: bool) -> None:
        """Wait until all is in the database; trackio knows no runs that failed."""
        self._trackio.finish()


_follower = Follower("trackio", Trackio)
run_opening = _follower.run_opening
run_started = _follower.run_started
step_finished = _follower.step_finished
checkpoint_saved = _follower.checkpoint_saved
run_finished = _follower.run_finished
