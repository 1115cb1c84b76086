"""Gives the program damaged files, odd settings and odd answers of a store, and prints what it should not have done.

    python -m tests.benchmarks.fuzz --minutes 60                          # a third of the time for each part
    python -m tests.benchmarks.fuzz --minutes 10 --part answers --first 5000
    python -m tests.benchmarks.fuzz --part overrides --seed 1234          # one case again, with what it printed

A case is its seed. A finding is a traceback, an exit code other than 0, 2, 4 and 5, a call that does not end, a password on
the screen, or a run that is FINISHED and lacks something. Exit code 1 if there is a finding.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.benchmarks.fuzz.answers import Answers
from tests.benchmarks.fuzz.cases import Part
from tests.benchmarks.fuzz.overrides import Overrides
from tests.benchmarks.fuzz.readers import Readers

PARTS: dict[str, type[Part]] = {"readers": Readers, "overrides": Overrides, "answers": Answers}


def fuzz(part: Part, *, first: int, seconds: float) -> int:
    """Runs cases until the time is over; returns the number of findings."""
    end, seed, findings, kinds = time.monotonic() + seconds, first, 0, Counter[str]()
    while time.monotonic() < end:
        case = part.case(seed)
        kinds[case.kind] += 1
        for finding in case.findings:
            findings += 1
            print(f"{part.name} seed {seed}: {finding}\n    {case.what}", flush=True)
        seed += 1
    counted = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    print(f"{part.name}: seeds {first} to {seed - 1}, {findings} findings; {counted}", flush=True)
    return findings


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--minutes", type=float, default=3, help="for all parts together")
    words.add_argument("--part", choices=PARTS, help="default: each in turn")
    words.add_argument("--first", type=int, default=1, help="the first seed")
    words.add_argument("--seed", type=int, help="one case, with what it printed")
    asked = words.parse_args()
    chosen = [asked.part] if asked.part else list(PARTS)
    findings = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            place = Path(folder) / name
            place.mkdir()
            with PARTS[name](place) as part:
                if asked.seed is not None:
                    case = part.case(asked.seed)
                    print(case.what, case.said, *case.findings, sep="\n")
                    findings += len(case.findings)
                else:
                    findings += fuzz(part, first=asked.first, seconds=60 * asked.minutes / len(chosen))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
