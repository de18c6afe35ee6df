"""Folders of RGBA pictures with ``cameras.json``: a reader that breaks no rule."""

from pathlib import Path

from mfl_adapt.errors import DataError
from mfl_adapt.plugin import ComponentConfig, ReaderSpec, hookimpl

MFL_API = 1


class AviaryConfig(ComponentConfig):
    """Settings of ``aviary``."""

    path: Path


def can_read(path):
    return any(path.glob("*/cameras.json"))


class Aviary:
    def __init__(self, config):
        self.folders = sorted(file.parent for file in config.path.glob("*/cameras.json"))
        if not self.folders:
            raise DataError(
                f"{config.path}: expected folders with cameras.json, got none. Check data.path."
            )
        self.session = "aviary"

    def __len__(self):
        return len(self.folders)

    def __iter__(self):
        return (self.read(folder) for folder in self.folders)

    def __getitem__(self, index):
        return self.read(self.folders[index])

    def read(self, folder):
        from mfl_adapt.files import read_json
        from mfl_adapt.images import begin_sample

        content = read_json(folder / "cameras.json")
        views = [self.view(folder / name, content[name]) for name in sorted(content)]
        return begin_sample(
            folder.name, views, step="sound_reader.aviary", params={}, session=self.session
        )

    def view(self, file, entry):
        from mfl_adapt.images import RawView, load_picture
        from mfl_adapt.types import RawCamera

        picture = load_picture(file)
        rgb, mask = picture.rgb, picture.mask
        height, width = rgb.shape[:2]
        camera = RawCamera(entry["c2w"], tuple(entry["fxfycxcy"]), height, width)
        return RawView(file.stem, rgb, mask, camera, source=str(file))


@hookimpl
def register_components():
    return [
        ReaderSpec(
            name="aviary",
            summary="Folders of pictures with cameras.json",
            config=AviaryConfig,
            build="sound_reader:Aviary",
            can_read="sound_reader:can_read",
        )
    ]
