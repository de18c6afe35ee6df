"""Conformed samples, in memory or mapped from the packed cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mfl_adapt.data.packed import PackedSamples
from mfl_adapt.errors import DataError, ShapeError

if TYPE_CHECKING:
    from mfl_adapt.types import Sample


class PreparedDataset:
    """Samples after ``conform``, as uint8 pictures.

    Six views of 512 x 512 with masks take 6 MiB, so a thousand moments fit into a desk machine.
    Samples of the packed cache stay in its files, and only those in use take memory.
    """

    def __init__(self, samples: Iterable[Sample]) -> None:
        """Take in all samples.

        Args:
            samples: Conformed samples of one picture size.

        Raises:
            DataError: If there is none, or two have the same id.
            ShapeError: If their pictures differ in size.
        """
        self._samples: Sequence[Sample] = (
            samples if isinstance(samples, PackedSamples) else tuple(samples)
        )
        if not self._samples:
            raise DataError("dataset: expected at least one sample, got none. Check data.path.")
        name, count = Counter(sample.id for sample in self._samples).most_common(1)[0]
        if count > 1:
            raise DataError(
                f"dataset: expected every sample id once, got {name!r} {count} times. "
                f"Rename the sample folders."
            )
        self.size = self._one_size()

    def _one_size(self) -> tuple[int, int]:
        # Within a sample, ``Sample.cameras`` holds the sizes together.
        sizes = {(s.cameras.height, s.cameras.width) for s in self._samples}
        if len(sizes) != 1:
            raise ShapeError(
                f"dataset: expected pictures of one size [height, width], got "
                f"{[list(size) for size in sorted(sizes)]}. Run the samples through conform first."
            )
        return sizes.pop()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def __getitem__(self, index: int) -> Sample:
        """Return one sample."""
        return self._samples[index]

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples in their fixed order."""
        return iter(self._samples)

    def pick(self, indices: Sequence[int]) -> tuple[Sample, ...]:
        """Return several samples, in the order asked for."""
        return tuple(self._samples[index] for index in indices)
