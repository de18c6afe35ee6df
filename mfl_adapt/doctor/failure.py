"""The record of one failure that was seen in the field."""

from typing import NamedTuple


class Failure(NamedTuple):
    """One failure of the field.

    Attributes:
        number: In the catalogue, from 1.
        title: What went wrong, in a few words.
        happened: What people saw, and what was behind it.
        codes: Codes of the checks and errors that stop it; those of guards are added by their
            table.
        answer: What else holds it off, or why no program can.
        shown: Tests that prove the answer, ``file::function`` below ``tests``.
    """

    number: int
    title: str
    happened: str
    codes: tuple[str, ...] = ()
    answer: str = ""
    shown: tuple[str, ...] = ()
