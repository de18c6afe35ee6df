"""Stand-ins for tensorboard, wandb and trackio, for machines where these are not installed.

They take what the plugins call and remember it, as the state that a user would find: by name and
step, what was told last. Nothing here proves that the real packages take it; the tests that need
them do, and are skipped where they are absent.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np


class Book:
    """What a tracker was told."""

    def __init__(self):
        self.told, self.begun, self.closed = [], [], []
        self.breaks = ""

    def tell(self, name, value, step):
        if self.breaks == "tell":
            raise OSError(28, "No space left on device")
        self.told.append((name, step, value))

    def begin(self, **given):
        if self.breaks == "begin":
            raise RuntimeError("no server")
        print("a package that prints")
        self.begun.append(given)

    def steps(self, name):
        return [step for one, step, _ in self.told if one == name]

    def value(self, name):
        return next(value for one, _, value in self.told if one == name)


def install(name, monkeypatch):
    """Put the stand-in of a package where the plugin will import it, and return its book."""
    book = Book()
    for module, content in MAKERS[name](book).items():
        made = ModuleType(module)
        made.__dict__.update(content)
        monkeypatch.setitem(sys.modules, module, made)
    return book


def tensorboard(book):
    class SummaryWriter:
        def __init__(self, folder, purge_step):
            book.begin(folder=folder)
            if purge_step is not None:
                book.told[:] = [one for one in book.told if one[1] < purge_step]

        def add_scalar(self, name, value, step):
            book.tell(name, value, step)

        def add_text(self, name, text, step):
            book.tell(name, text, step)

        def add_image(self, name, picture, step, dataformats):
            assert dataformats == "HWC"
            assert picture.dtype == np.uint8
            book.tell(name, picture.shape, step)

        def flush(self):
            pass

        def close(self):
            book.closed.append(False)

    return {"tensorboard": {}, "torch.utils.tensorboard": {"SummaryWriter": SummaryWriter}}


def wandb(book):
    class Run:
        step = 0

        def log(self, told, step):
            for name, value in told.items():
                book.tell(name, value, step)

        def finish(self, exit_code):
            book.closed.append(exit_code == 1)

    def init(**given):
        book.begin(**given)
        book.told.clear()  # each part of an offline run is a folder of its own
        return Run()

    return {
        "wandb": {
            "init": init,
            "Settings": lambda **given: given,
            "Image": lambda path: ("picture", path),
            "Html": lambda text, inject: text,
        }
    }


def trackio(book):
    def init(**given):
        book.begin(**given)
        return SimpleNamespace(log=log)

    def log(told, step):
        for name, value in told.items():
            book.tell(name, value, step)

    class Api:
        def runs(self, project):
            return [
                SimpleNamespace(name=one["name"], delete=book.told.clear)
                for one in book.begun
                if one["project"] == project
            ]

    return {
        "trackio": {
            "init": init,
            "finish": lambda: book.closed.append(False),
            "Api": Api,
            "Image": lambda path: ("picture", path),
            "Markdown": lambda text: text,
        }
    }


MAKERS = {"tensorboard": tensorboard, "wandb": wandb, "trackio": trackio}
