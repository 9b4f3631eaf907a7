"""`python -m benchmarks`: run everything and write `benchmarks/RESULTS.md`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import imports, processes, report, scenarios
from benchmarks.targets import Run

_PLOT = "results.svg"
_ROUNDS = 5


def main(arguments: list[str] | None = None) -> int:
    """Run; gives the exit status, which is 1 where a text was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare this project with its peers.")
    parser.add_argument("--quick", action="store_true", help="one round of next to nothing, to see that it works")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="scenarios, or `imports`")
    parser.add_argument("--contenders", nargs="+", metavar="NAME", help="only these contenders")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for RESULTS.md")
    parser.add_argument("--profile", nargs=2, metavar=("SCENARIO", "CONTENDER"), help="profile one contender instead")
    given = parser.parse_args(arguments)
    planned = _planned(given.only, given.contenders, quick=given.quick)
    with processes.server() as server:
        if given.profile:
            scenario = next(scenario for scenario in planned if scenario.key == given.profile[0])
            sys.stdout.write("\n".join(scenarios.profile(scenario, given.profile[1], server)) + "\n")
            return 0
        found = scenarios.Found()
        outcomes = {scenario.key: scenarios.run(scenario, server, found) for scenario in planned}
        imported = imports.Imports()
        if not given.only or "imports" in given.only:
            imported = imports.run(1 if given.quick else _ROUNDS)
        run = Run(outcomes, imported)
        profiles = {}
        for target in () if given.quick else report.missed(run):
            if target.profiled is not None:
                profiles[target.what] = scenarios.profile(outcomes[target.profiled[0]].scenario, target.profiled[1], server)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "RESULTS.md").write_text(report.markdown(run, found, profiles, _PLOT), encoding="utf-8")
    if "deltas" in outcomes:
        (given.out / _PLOT).write_text(report.svg(outcomes["deltas"]), encoding="utf-8")
    return int(any(outcome.wrong(key) for outcome in outcomes.values() for key in outcome.results))


def _planned(only: list[str] | None, contenders: list[str] | None, *, quick: bool) -> list[scenarios.Scenario]:
    planned = [scenario for scenario in scenarios.SCENARIOS if only is None or scenario.key in only]
    if contenders is not None:
        planned = [scenario.of(contenders) for scenario in planned]
    return [scenario.small() for scenario in planned] if quick else planned


if __name__ == "__main__":
    sys.exit(main())
