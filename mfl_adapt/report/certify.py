"""Certificates of a dataset as files: JSON and a picture per sample, and a table of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mfl_adapt.data.certificate import Certificate, certify, to_json
from mfl_adapt.data.certificate_table import (
    CertificateSummary,
    certificate_lines,
    summarize,
    summary_lines,
    summary_to_json,
)
from mfl_adapt.data.writer import check_id, write_json
from mfl_adapt.files import write_atomically
from mfl_adapt.report.certificate import save_certificate_picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfl_adapt.chain import Chain
    from mfl_adapt.types import RigContract

SUMMARY, TABLE = "summary.json", "table.txt"


def certify_chain(
    chain: Chain,
    places: Sequence[int],
    contract: RigContract,
    out: Path,
    report: Callable[[int, int], None],
) -> CertificateSummary:
    """Certify samples and write the evidence.

    ``<out>/<sample>.json`` and ``<out>/<sample>.png`` appear sample by sample; ``summary.json``
    and ``table.txt`` at the end. Files of an earlier certificate are replaced.

    Args:
        chain: Gives the samples.
        places: Which of them to certify.
        contract: What the base assumes.
        out: Folder to write to; made where missing.
        report: Gets told how many samples are certified, and of how many.

    Returns:
        All certificates, summed up.

    Raises:
        DataError: If a sample cannot be read, or its id can name no file.
        StorageError: If a file cannot be written.
    """
    tables: list[str] = []

    def certificates() -> Iterator[Certificate]:
        for done, place in enumerate(places, start=1):
            sample = chain[place]
            check_id(sample.id)
            found = certify(sample, contract)
            write_json(out / f"{sample.id}.json", to_json(found))
            save_certificate_picture(out / f"{sample.id}.png", sample, found, contract)
            tables.extend([*certificate_lines(found), ""])
            report(done, len(places))
            yield found

    summary = summarize(certificates())
    text = "\n".join([*tables, *summary_lines(summary)]) + "\n"
    write_atomically(out / TABLE, text.encode())
    write_json(out / SUMMARY, summary_to_json(summary))
    return summary
