"""TensorBoard: event files in the run folder, in ``tensorboard/``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mfl_adapt.images import load_picture
from mfl_adapt_trackers.follower import Follower, Start
from mfl_adapt_trackers.news import News

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

MFL_API = 1


class TensorBoard:
    """Writes event files."""

    def __init__(self, start: Start) -> None:
        """Open an event file; what earlier ones hold of steps to come is taken back."""
        from torch.utils.tensorboard import SummaryWriter

        self.holds = min(start.told, start.done)
        self._writer: SummaryWriter = SummaryWriter(
            str(start.folder / "tensorboard"),
            purge_step=None if start.is_new else self.holds + 1,
        )
        if self.holds < 0:
            text = json.dumps(start.config, indent=2)
            self._writer.add_text("configuration", f"```json\n{text}\n```", 0)

    def write(self, news: News) -> None:
        """Take what one step left; it is on the disk afterwards."""
        for name, value in news.scalars.items():
            self._writer.add_scalar(name, value, news.step)
        for name, path in news.pictures.items():
            self._writer.add_image(name, load_picture(path).rgb, news.step, dataformats="HWC")
        for name, text in news.texts.items():
            self._writer.add_text(name, text, news.step)
        self._writer.flush()

    def close(self, *, failed: bool) -> None:
        """Close the file; TensorBoard knows no runs that failed."""
        self._writer.close()


_follower = Follower("tensorboard", TensorBoard)
run_opening = _follower.run_opening
run_started = _follower.run_started
step_finished = _follower.step_finished
checkpoint_saved = _follower.checkpoint_saved
run_finished = _follower.run_finished
