"""The geometric certificate of some samples of a dataset, and the classic grade beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfl_adapt.cameras.table import CONVENTION
from mfl_adapt.data.certificate import certify
from mfl_adapt.data.certificate_table import (
    CertificateSummary,
    summarize,
    summary_lines,
    summary_to_json,
)
from mfl_adapt.data.spread import spread
from mfl_adapt.errors import CheckError, DataError
from mfl_adapt.files import read_json
from mfl_adapt.images.grade import (
    WHICH_MATTERS,
    Grade,
    grade_measures,
    load_metrics,
    measure_sample,
)

if TYPE_CHECKING:
    from mfl_adapt.chain import Chain
    from mfl_adapt.types import RigContract, Sample

CERTIFICATE = "certificate.json"
"""File of a prepared dataset that sums up its certificates."""


def certify_some(chain: Chain, places: Sequence[int], count: int) -> CertificateSummary | None:
    """Certify so many samples of a chain that ends in ``conform``, evenly spread.

    Args:
        chain: Gives the samples.
        places: Which of them may be taken.
        count: How many to take; 0 takes none and returns None.

    Returns:
        Their certificates, summed up.
    """
    if not count or chain.contract is None:
        return None
    contract = chain.contract
    return summarize(certify(chain[place], contract) for place in spread(places, count))


def raise_for_laws(folder: Path) -> None:
    """Raise if the certificate that a prepared dataset brings along found a broken law.

    Args:
        folder: The dataset; one without ``certificate.json`` passes.

    Raises:
        CheckError: If one of the certified samples breaks a law.
        DataError: If ``certificate.json`` cannot be read.
    """
    file = folder / CERTIFICATE
    content: Any = read_json(file) if file.is_file() else None
    broken = content["verdicts"]["law"] if isinstance(content, dict) else 0
    if broken:
        raise CheckError(
            f"{folder}: expected no broken law, got {broken} of {content['samples']} certified "
            f"samples that break one. The dataset was written; mfl-adapt doctor --data {folder} "
            f"says what to do."
        )


def proof_line(proof: CertificateSummary) -> str:
    """Say in one line what certificates came to."""
    verdicts = ", ".join(f"{count} {name}" for name, count in proof.verdicts.items() if count)
    failures = ", ".join(f"{name} ({count})" for name, count in proof.failures.items())
    text = f"{proof.samples} samples certified: {verdicts}"
    return f"{text}; {failures}. See mfl-adapt data certify." if failures else text


@dataclass(frozen=True, slots=True)
class Graded:
    """The classic grade of all samples beside the certificate of some.

    Attributes:
        grade: What looks at pictures alone.
        proof: What looks at pictures and cameras together; None where only measures are known.
    """

    grade: Grade
    proof: CertificateSummary | None

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "grade": asdict(self.grade),
            "certificate": self.proof and summary_to_json(self.proof),
            "which_matters": WHICH_MATTERS,
        }

    def lines(self) -> list[str]:
        """Return both as text, and which of the two matters."""
        grade = self.grade
        proof = ["none, as this file holds measures and neither masks nor cameras"]
        if self.proof is not None:
            proof = [CONVENTION, *summary_lines(self.proof)]
        return [
            f"classic grade   {grade.letter} over all views, {grade.letter_over_means} over "
            f"sample means ({grade.num_samples} samples, {grade.num_views} views)",
            f"size ratio      {grade.size_ratio:.4f}",
            f"size CV         {grade.cv_over_views_percent:.2f} % over all views, "
            f"{grade.cv_over_means_percent:.2f} % over sample means",
            f"centre offset   {grade.offset_px:.2f} px mean, {grade.largest_offset_px:.2f} px "
            "largest",
            "",
            "geometric certificate",
            *proof,
            "",
            WHICH_MATTERS,
        ]


def grade_chain(
    chain: Chain, contract: RigContract, certify_count: int, report: Callable[[int, int], None]
) -> Graded:
    """Grade every sample of a dataset and certify some of them.

    Args:
        chain: Gives the samples.
        contract: What the base assumes.
        certify_count: How many samples to certify, evenly spread.
        report: Gets told how many samples were looked at, and of how many.

    Raises:
        DataError: If there is no sample, or a view has no mask or an empty one.
    """
    chosen = set(spread(range(len(chain)), max(1, certify_count)))
    measures, proofs = [], []
    for index, sample in enumerate(_counted(chain, len(chain), report)):
        measures.append(measure_sample(sample))
        if index in chosen:
            proofs.append(certify(sample, contract))
    return Graded(grade_measures(measures), summarize(proofs))


def is_metrics(path: Path) -> bool:
    """Tell the measurements that the grading tool of a FaceLift fork wrote from other files."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        return "view_metrics" in read_json(path)["samples"][0]
    except (DataError, LookupError, TypeError):
        return False


def grade_file(path: Path) -> Graded:
    """Grade such measurements anew.

    Raises:
        DataError: If the file holds other things.
    """
    return Graded(grade_measures(load_metrics(path)), None)


def _counted(
    samples: Iterable[Sample], total: int, report: Callable[[int, int], None]
) -> Iterator[Sample]:
    for done, sample in enumerate(samples, start=1):
        yield sample
        report(done, total)
