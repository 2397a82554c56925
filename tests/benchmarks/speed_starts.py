"""How long the command takes to start, beside an import of numpy."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

# What the installed script does.
COMMAND = "import sys; from gradcheck.cli import main; sys.exit(main())"
NUMPY, HELP, REFERENCE = 'python -c "import numpy"', "gradcheck --help", "gradcheck"
WORDS = {
    NUMPY: ["-c", "import numpy"],
    HELP: ["-c", COMMAND, "--help"],
    REFERENCE: ["-c", COMMAND],
}


@dataclass(frozen=True)
class Starts:
    """Wall time of fresh processes, one for each round, by what they run."""

    seconds: dict[str, list[float]]

    def median(self, title: str) -> float:
        """Return the median time."""
        return statistics.median(self.seconds[title])

    def ratio(self, title: str) -> float:
        """Return the median over rounds of its time over that of importing numpy."""
        pairs = zip(self.seconds[title], self.seconds[NUMPY], strict=True)
        return statistics.median(own / numpy for own, numpy in pairs)


def run_starts(rounds: int) -> Starts:
    """Return the times of rounds of fresh processes, after one that is not counted."""
    seconds: dict[str, list[float]] = {title: [] for title in WORDS}
    with tempfile.TemporaryDirectory() as elsewhere:
        for number in range(rounds + 1):
            for title, words in WORDS.items():
                started = time.perf_counter()
                subprocess.run(
                    [sys.executable, *words], cwd=elsewhere, capture_output=True, check=True
                )
                if number:
                    seconds[title].append(time.perf_counter() - started)
    return Starts(seconds)
