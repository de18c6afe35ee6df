"""Injuries of settings and of the files that they name.

``injure`` takes an empty folder, which is the working directory and has nothing but what it puts
there, and returns what to type after ``mfl-adapt doctor``.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from injury import Injury, named
from visits import write

from mfl_adapt.models.mvdiffusion.shipped import shipped_folder

FEW = (
    "data.reader.samples=2",
    "data.reader.workers=0",
    "data.split.validation=0.5",
    "data.split.gap=0",
)
SIX = (*FEW, "data.reader.num_views=6")

LPIPS = """
from mfl_adapt.plugin import ComponentConfig, LossSpec, hookimpl

MFL_API = 1


class Config(ComponentConfig):
    pass


@hookimpl
def register_components():
    build = __name__ + ":Config"
    return [LossSpec(name="lpips_vgg", summary="VGG", config=Config, build=build)]
"""


def sets(*keys: str) -> list[str]:
    """Options of the command line."""
    return [part for key in keys for part in ("--set", key)]


def keys(name: str, *changed: str) -> Callable[[Path], list[str]]:
    """The quickstart with other settings."""
    return named(name, lambda folder: ["quickstart", *sets(*SIX, *changed)])


def file(name: str, text: str) -> Callable[[Path], list[str]]:
    """A configuration of one's own."""
    return named(name, lambda folder: [str(write(folder / "a.yaml", text))])


def perceptual(folder: Path) -> list[str]:
    """A term of another author, told by its name."""
    plugin = write(folder / "seen.py", LPIPS)
    weight = sets(*SIX, "losses.seen.lpips_vgg.weight=0.8")
    return ["quickstart", "--plugins", str(plugin), *weight]


def lost_architecture(folder: Path) -> list[str]:
    """The weights are there, and what they are of is not."""
    torch.save({"model": {}}, folder / "some.pt")
    named_files = ("base.checkpoint=some.pt", "base.config=gone.yaml")
    return ["quickstart", *sets(*SIX, "base.id=facelift.gslrm", *named_files)]


def another_file(folder: Path) -> list[str]:
    """Weights of another hash than was written down."""
    torch.save({"model": {}}, folder / "some.pt")
    meant = ("base.checkpoint=some.pt", f"base.sha256={'ab' * 32}")
    return ["quickstart", *sets(*SIX, "base.id=facelift.gslrm", *meant)]


def web_page(folder: Path) -> list[str]:
    """What a server answers where the file is gone, saved under the file's name."""
    write(folder / "some.pt", "<!doctype html>")
    weights = ("base.id=facelift.gslrm", "base.checkpoint=some.pt")
    return ["quickstart", *sets(*SIX, *weights)]


def prompts(name: str, make: Callable[[torch.Generator], torch.Tensor]):
    """Embeddings made in some way."""

    def injure(folder: Path) -> list[str]:
        torch.save(make(torch.Generator().manual_seed(0)), folder / "a.pt")
        return ["views-quickstart", *sets("base.prompts=a.pt", *FEW)]

    return named(name, injure)


def without(part: str) -> Callable[[Path], list[str]]:
    """A model of views whose download broke off."""

    def injure(folder: Path) -> list[str]:
        shutil.copytree(shipped_folder(), folder / "model")
        (folder / "model" / part).unlink()
        weights = ("base.checkpoint=model", "base.id=facelift.mvdiffusion")
        return ["views-quickstart", *sets(*weights, *FEW)]

    return named(f"without_{Path(part).stem}", injure)


SETTINGS = (
    Injury(
        code="MFL023",
        severity="warning",
        value="^weight 0.8$",
        where="^losses.seen.lpips_vgg$",
        injure=perceptual,
        failures=(23,),
    ),
    Injury(
        code="MFL025",
        severity="warning",
        value="^100$",
        where="^train.clip$",
        injure=keys("clip", "train.clip=100"),
        failures=(25,),
    ),
    Injury(
        code="MFL026",
        severity="warning",
        value="^1e-06$",
        injure=keys("slow", "train.lr=1e-6"),
        failures=(26,),
    ),
    Injury(
        code="MFL026",
        severity="warning",
        value="^0.1$",
        injure=keys("fast", "train.lr=0.1"),
        failures=(26,),
    ),
    Injury(
        code="MFL026",
        severity="warning",
        value="^1100 of 1100 steps$",
        injure=keys("all_warmup", "train.warmup=1100"),
        failures=(26,),
    ),
    Injury(
        code="MFL027",
        severity="warning",
        value="^true$",
        injure=keys("force", "train.force=true"),
        failures=(27,),
    ),
    Injury(
        code="MFL028",
        severity="warning",
        value=".",
        injure=keys(
            "masked_alone",
            "losses.masked_loss.background=null",
            "losses.masked_loss.silhouette=null",
        ),
        failures=(28,),
    ),
    Injury(
        code="MFL039",
        severity="law",
        value="some",
        injure=keys("gray_views", "diffusion.background=gray"),
        failures=(39,),
    ),
    Injury(
        code="MFL041",
        severity="law",
        value="^gone",
        where="^base.checkpoint$",
        injure=keys("lost_weights", "base.id=facelift.gslrm", "base.checkpoint=gone.pt"),
        failures=(41,),
    ),
    Injury(
        code="MFL041",
        severity="law",
        value="^gone",
        where="^base.config$",
        injure=lost_architecture,
        failures=(41,),
    ),
    Injury(
        code="MFL041",
        severity="law",
        value="^gone",
        where="^views_base.checkpoint$",
        injure=keys(
            "lost_views", "views_base.id=facelift.mvdiffusion", "views_base.checkpoint=gone"
        ),
        failures=(41,),
    ),
    Injury(
        code="MFL041",
        severity="law",
        value="none",
        injure=keys("never_fetched", "base.id=facelift.gslrm"),
        failures=(41,),
    ),
    Injury(
        code="MFL041",
        severity="law",
        value="^[0-9a-f]{64}$",
        injure=another_file,
        failures=(41,),
    ),
    Injury(
        code="MFL041",
        severity="law",
        value="^gone.pt",
        where="^base.prompts$",
        injure=named(
            "lost_prompts",
            lambda folder: ["views-quickstart", *sets("base.prompts=gone.pt", *FEW)],
        ),
        failures=(44,),
    ),
    Injury(
        code="MFL042",
        severity="law",
        value="^a web page$",
        injure=web_page,
        failures=(42,),
    ),
    Injury(
        code="MFL044",
        severity="law",
        value="standard deviation 0 in row 0",
        injure=prompts("zeros", lambda generator: torch.zeros(6, 77, 64)),
        failures=(44,),
    ),
    Injury(
        code="MFL044",
        severity="law",
        value="^1.00000 between row",
        injure=prompts(
            "six_alike",
            lambda generator: torch.rand(1, 77, 64, generator=generator).repeat(6, 1, 1),
        ),
        failures=(44,),
    ),
    Injury(
        code="MFL044",
        severity="law",
        value="that are not",
        injure=prompts("infinite", lambda generator: torch.ones(6, 77, 64) / 0.0),
        failures=(44,),
    ),
    Injury(
        code="MFL044",
        severity="law",
        value=r"\[77, 64\]",
        injure=prompts("only_one", lambda generator: torch.rand(77, 64, generator=generator)),
        failures=(44,),
    ),
    Injury(
        code="MFL045",
        severity="law",
        value=r"^\[6, 77, 32\]$",
        injure=prompts("narrow", lambda generator: torch.rand(6, 77, 32, generator=generator)),
        failures=(45,),
    ),
    Injury(
        code="MFL046",
        severity="law",
        value="^unknown key 'normalize_distance_to' in data$",
        injure=keys("key_that_nothing_reads", "data.normalize_distance_to=2.7"),
        failures=(1,),
    ),
    Injury(
        code="MFL046",
        severity="law",
        value="^unknown key 'horizontal_flip' in data$",
        injure=keys("misspelt_augmentation", "data.horizontal_flip=true"),
        failures=(14,),
    ),
    Injury(
        code="MFL046",
        severity="law",
        value="^unknown key 'stps' in train$",
        injure=file("misspelt_key", "extends: quickstart\ntrain: {stps: 3}\n"),
        failures=(46,),
    ),
    Injury(
        code="MFL046",
        severity="law",
        value="^unknown key 'mouse'",
        injure=file("unknown_section", "extends: quickstart\nmouse: {normalize: true}\n"),
        failures=(46,),
    ),
    Injury(
        code="MFL046",
        severity="law",
        value="^'none'$",
        injure=file("words_for_numbers", "extends: quickstart\ntrain: {steps: none}\n"),
        failures=(46,),
    ),
    Injury(
        code="MFL046",
        severity="law",
        value="unknown key 'rank'",
        injure=file("key_of_another_tool", "extends: quickstart\nadapter: {rank: 3}\n"),
        failures=(46,),
    ),
    Injury(
        code="MFL046",
        severity="law",
        value=".",
        injure=file("no_yaml", "train: [\n"),
        failures=(46,),
    ),
    Injury(
        code="MFL047",
        severity="law",
        value=".",
        injure=file(
            "plugin_not_there",
            "extends: quickstart\ndata: {reader: {use: mouse_dataset.frames}}\n",
        ),
        failures=(47,),
    ),
    Injury(
        code="MFL054",
        severity="law",
        value=".",
        injure=without("tokenizer/merges.txt"),
        failures=(54,),
    ),
    Injury(
        code="MFL054",
        severity="law",
        value=".",
        injure=without("vae/config.json"),
        failures=(54,),
    ),
)
