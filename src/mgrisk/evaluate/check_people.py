"""Checks of the data and of who is in which set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.evaluate.finding import RunEvidence, Verdict
from mgrisk.nhanes.codebook import KEY

MOSTLY_MISSING: Final = 0.5
MISSING_APART: Final = 0.1
FEWEST_CASES: Final = 20


def twice(run: RunEvidence) -> Verdict:
    """MGR001."""
    count = int(run.cohort[KEY].duplicated().sum())
    return count == 0, f"{count} do"


def weights(run: RunEvidence) -> Verdict:
    """MGR002."""
    analysed = run.cohort.loc[run.cohort["analysis"], "weight"]
    count = int((~(analysed > 0)).sum())
    return count == 0, f"{count} of {len(analysed)} have none"


def known(run: RunEvidence) -> Verdict:
    """MGR003."""
    asked = [record for record in run.known_answers if record["passed"] is not None]
    if not asked:
        return None, "no published figure is about the people of this run"
    missed = [str(record["name"]) for record in asked if not record["passed"]]
    return not missed, f"{len(asked) - len(missed)} of {len(asked)} reproduced"


def missing(run: RunEvidence) -> Verdict:
    """MGR004."""
    shares = _missing(run, DEVELOPMENT)
    much = [f"{name} {share:.0%}" for name, share in shares.items() if share > MOSTLY_MISSING]
    worst = max(shares, key=lambda name: shares[name])
    return not much, ", ".join(much) or f"most: {worst}, {shares[worst]:.0%}"


def missing_apart(run: RunEvidence) -> Verdict:
    """MGR005."""
    before, after = _missing(run, DEVELOPMENT), _missing(run, HELD_OUT)
    gaps = {name: after[name] - before[name] for name in before.keys() & after.keys()}
    apart = [
        f"{name} {before[name]:.0%} and {after[name]:.0%}" for name in sorted(gaps) if abs(gaps[name]) > MISSING_APART
    ]
    return not apart, ", ".join(apart) or f"largest difference {max(map(abs, gaps.values())):.1%}"


def breaks(run: RunEvidence) -> Verdict:
    """MGR006."""
    names = [str(each["name"]) for each in run.about["breaks"]]
    return not names, f"{', '.join(names)}: accepted by the pipeline file" if names else "none"


def folds(run: RunEvidence) -> Verdict:
    """MGR101."""
    spread = int((run.folds.groupby(["stratum", "psu"])["fold"].nunique() > 1).sum())
    return spread == 0, f"{spread} PSUs do"


def separation(run: RunEvidence) -> Verdict:
    """MGR102."""
    held_out = set(run.cohort.loc[run.cohort["set"] != DEVELOPMENT, KEY])
    shared = len(held_out & (set(run.oof[KEY]) | set(run.folds[KEY])))
    return shared == 0, f"{shared} are"


def later(run: RunEvidence) -> Verdict:
    """MGR103."""
    of_set = run.cohort.groupby("set", observed=True)["cycle"]
    last, first = str(of_set.max()[DEVELOPMENT]), str(of_set.min()[HELD_OUT])
    return last < first, f"development up to {last}, held out from {first}"


def fold_cases(run: RunEvidence) -> Verdict:
    """MGR104."""
    fewest = int(run.oof.groupby("fold")["outcome"].sum().min())
    return fewest >= FEWEST_CASES, f"fewest: {fewest}, limit {FEWEST_CASES}"


def _missing(run: RunEvidence, set_name: str) -> dict[str, float]:
    """Return the weighted share of people without a value, by feature of the model."""
    return {
        str(record["variable"]): float(record["missing"])
        for record in run.table_one
        if (record["set"], record["group"]) == (set_name, "all") and record["missing"] is not None
    }


CHECKS: Final[Mapping[str, Callable[[RunEvidence], Verdict]]] = {
    "MGR001": twice,
    "MGR002": weights,
    "MGR003": known,
    "MGR004": missing,
    "MGR005": missing_apart,
    "MGR006": breaks,
    "MGR101": folds,
    "MGR102": separation,
    "MGR103": later,
    "MGR104": fold_cases,
}
