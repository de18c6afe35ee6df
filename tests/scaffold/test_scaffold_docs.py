"""The page about writing plugins shows the code that is written, and knows every kind."""

import re
import textwrap

from helpers import ROOT

from mfl_adapt.scaffold import KINDS, write_package

PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
SECTIONS = dict(zip(KINDS, re.split(r"^### \w+\n", PAGE, flags=re.MULTILINE)[1:], strict=True))


def test_code_of_the_page_is_that_of_the_templates(tmp_path):
    for kind, section in SECTIONS.items():
        blocks = re.findall(r"^```py\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
        assert len(blocks) == 1, kind
        made = write_package("any", kind, taken={}, folder=tmp_path / kind)
        sources = (tmp_path / kind / made.module).glob("*.py")
        written = "\n".join(path.read_text(encoding="utf-8") for path in sources)
        # Methods are shown without the indent of their class.
        flat = "\n".join(line.strip() for line in textwrap.dedent(written).splitlines())
        for part in re.split(r"\n\n(?=def )", blocks[0].strip()):
            assert "\n".join(line.strip() for line in part.splitlines()) in flat, f"{kind}: {part}"


def test_table_of_the_page_names_every_kind_and_its_component():
    for kind, known in KINDS.items():
        row = re.search(rf"^\| `{kind}` \| (.*) \|$", PAGE, re.MULTILINE)
        assert row, kind
        assert kind == "dataset" or row[1].startswith(f"`{known.component}`:")
