"""Measure the speed of checks beside other tools, in one run.

python tests/benchmarks/speed.py --write
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Sequence

# Before numpy and the other tools are imported: one thread each.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="less of everything, in two minutes")
    parser.add_argument("--write", action="store_true", help="into reports/speed.md")
    # What the benchmark runs in processes of their own.
    parser.add_argument("--grow", nargs=3, help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    options = _arguments(given)
    os.environ.update(ENVIRONMENT)
    warnings.simplefilter("ignore")  # what other tools warn of is no matter here
    if options.grow:
        from speed_memory import growth

        title, size, seconds = options.grow
        print(growth(title, size, float(seconds)))
        return
    from speed_extent import FULL, QUICK
    from speed_report import run

    flags = [f"--{flag}" for flag in ("quick", "write") if getattr(options, flag)]
    command = " ".join(["python tests/benchmarks/speed.py", *flags])
    run(QUICK if options.quick else FULL, command, write=options.write)


if __name__ == "__main__":
    main()
