"""All that was measured of one parameter, and its judgement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.complex_step import Certificate
from gradcheck.directions import Floats
from gradcheck.entry_table import Entries, Mask
from gradcheck.probes import Claim, ProbeMeasurement
from gradcheck.regions import Region
from gradcheck.verdict import Judgement, wrong_entries


@dataclass(frozen=True)
class Measured:
    """All that was measured of one parameter, and its judgement.

    Attributes
    ----------
    directions: those of the probes, in the same order
    rounding: why the comparisons are taken to disagree only by the rounding of float32; "" where
        they are not
    certificate: of the complex step, where that was used
    out_of_time: not all that was planned could be measured
    planned: how many probes were to be measured, and how many entries
    regions: slices that are wrong as far as they were sampled
    is_located: the wrong entries and regions account for all that the probes saw
    form: how its layer told of the entries; "" where the whole loss did
    """

    claim: Claim
    probes: tuple[ProbeMeasurement, ...]
    entries: Entries
    judgement: Judgement
    directions: Sequence[Floats] = ()
    rounding: str = ""
    certificate: Certificate | None = None
    out_of_time: bool = False
    planned: tuple[int, int] = (0, 0)
    regions: tuple[Region, ...] = ()
    is_located: bool = False
    form: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether every entry was compared."""
        return len(self.entries) == self.claim.size

    @property
    def wrong(self) -> Mask | None:
        """Mask of the entries that are wrong, None where not all of them are known.

        A region too large to compare each of its entries counts as wrong in all of them.
        """
        if not self.is_complete and not self.is_located:
            return None
        mask = wrong_entries(self.entries)
        for part in self._sampled_regions():
            mask |= part
        # Entries may each hide below their error bars what a probe over all of them saw.
        return mask if mask.any() else None

    @property
    def confirmed(self) -> Mask | None:
        """Mask of the wrong entries where all are known and each was compared by itself."""
        return None if any(True for _ in self._sampled_regions()) else self.wrong

    def _sampled_regions(self) -> Iterator[Mask]:
        """Yield masks of the regions of which not every entry was compared."""
        compared = np.array(self.claim.scale == 0.0)
        compared.flat[self.entries.positions] = True
        for region in self.regions:
            mask = np.zeros(compared.shape, dtype=bool)
            np.moveaxis(mask, region.axis, 0)[list(region.indices)] = True
            if np.any(mask & ~compared):
                yield mask

    def rounded(self, judgement: Judgement, error: float, reason: str) -> Measured:
        """Return the same measurements under the judgement of a second look, and why.

        The gradient as it is given is good to its rounding `error` only, relative to its norm.
        """
        resolution = max(judgement.resolution or 0.0, error)
        return replace(self, judgement=replace(judgement, resolution=resolution), rounding=reason)
