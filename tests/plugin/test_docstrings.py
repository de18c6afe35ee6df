"""Attributes as docstrings describe them."""

from mfl_adapt.plugin.docstrings import read_attributes


class Parent:
    """What both share.

    Attributes:
        size: Side in pixels.
        name: Overwritten below.
    """


class Child(Parent):
    """What one has.

    Attributes:
        name: What it is called, in ``quotes``
            over two lines.

    Notes below belong to no attribute: really.
    """


def test_attributes_of_a_class_and_its_ancestors():
    assert read_attributes(Child) == {
        "size": "Side in pixels.",
        "name": "What it is called, in quotes over two lines.",
    }


def test_a_class_without_such_a_section_says_nothing():
    assert read_attributes(object) == {}
