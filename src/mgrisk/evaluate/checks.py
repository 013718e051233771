"""Coded checks of a run: data, splits, leaks, calibration, explanation, fit and fairness.

`checks.toml` lists them with title, severity and source; a function for each evaluates it from the records of the run.
All results are reported, and a failed check of severity error stops the run. The check of sample size uses the criteria
of Riley et al. (2020) for a binary outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, exp, log, nan
from typing import Final

import pandas as pd

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config.pipeline_file import dated
from mgrisk.config.toml import rows
from mgrisk.errors import bad_input
from mgrisk.evaluate.added_value import COMPARISONS
from mgrisk.evaluate.assess import CROSS_VALIDATED, EVERYBODY, groupings
from mgrisk.evaluate.calibrators import better_calibrators
from mgrisk.evaluate.records import (
    OPEN,
    AddedValue,
    Calibrators,
    CohortRecord,
    DifferenceRecord,
    Estimated,
    Finding,
    KnownAnswerRecord,
    Leaks,
    MetricRecord,
    Records,
    TableOneRecord,
    Tuning,
)
from mgrisk.nhanes.codebook import KEY

Holds = bool | str | None
"""Whether the check passed; `OPEN` where the data are too few to say, None where it does not apply."""
Verdict = tuple[Holds, str]
"""Whether the check passed, and the number or reason."""


MOSTLY_MISSING: Final = 0.5
"""Largest weighted share of people without a value."""
MISSING_APART: Final = 0.1
"""Largest difference of that share between development and held-out cycles."""
FEWEST_CASES: Final = 20
"""Fewest cases in a fold."""
SUSPICIOUS_AUROC: Final = 0.85
LARGEST_ICI: Final = 0.02
ADDITIVE: Final = 1e-5
"""Largest error of a sum of SHAP values, in log-odds."""
RATIO: Final = (0.8, 1.25)
"""Range that counts as near 1, for observed/expected and the slope."""
SHRINKAGE: Final = 0.9
OPTIMISM: Final = 0.05
MARGIN: Final = 0.05
"""Criteria of Riley: smallest shrinkage factor, largest optimism of R², and margin of error of the prevalence."""


@dataclass(frozen=True, eq=False)
class RunEvidence:
    """The data and records of a run that the checks use.

    Attributes
    ----------
    cohort, folds, oof
        Frames of the run folder.
    evaluation, differences, table_one, known_answers, tuning, leaks, calibrators, added_value
        As `records` describes them.
    about
        Description of the cohort.
    additivity_error
        Largest error of any person's sum of SHAP values, in log-odds.
    features, columns, minimum_age
        Numbers of features and of encoded columns of the model; minimum age, in years.
    """

    cohort: pd.DataFrame
    folds: pd.DataFrame
    oof: pd.DataFrame
    evaluation: Records[MetricRecord]
    differences: Records[DifferenceRecord]
    table_one: Records[TableOneRecord]
    known_answers: Records[KnownAnswerRecord]
    about: CohortRecord
    tuning: Tuning
    leaks: Leaks
    calibrators: Calibrators
    added_value: AddedValue
    additivity_error: float
    features: int
    columns: int
    minimum_age: int

    @property
    def winner(self) -> str:
        """Name of the model that is bundled."""
        return self.tuning.winner

    @property
    def held_out(self) -> str:
        """Name of the held-out set in records."""
        return next(record.set for record in self.evaluation if record.set != CROSS_VALIDATED)

    def found(self, metric: str, *, held_out: bool) -> MetricRecord:
        """Return the record of a metric of the chosen model on all people of one set.

        Parameters
        ----------
        metric
            Name as in `metrics.metric_names`.
        held_out
            Whether the held-out set, or else the cross-validated one.
        """
        return self.evaluation.one(model=self.winner, metric=metric, set=self.held_out if held_out else CROSS_VALIDATED)


def shown(record: Estimated, *, digits: int = 3) -> str:
    """Return an estimate with its interval as text."""
    if record.estimate is None:
        return "not estimable"
    centre = f"{record.estimate:.{digits}f}"
    if record.low is None or record.high is None:
        return f"{centre} (interval not estimable)"
    return f"{centre} ({record.low:.{digits}f} to {record.high:.{digits}f})"


def near_one(found: Estimated) -> Holds:
    """Judge by its interval a quantity that ought to be 1.

    False where the interval excludes 1, True where it lies within `RATIO`, otherwise `OPEN`: a wide interval that
    contains 1 is no evidence that the quantity is near 1.

    Examples
    --------
    >>> from mgrisk.evaluate.records import Interval
    >>> near_one(Interval(1.0, 0.9, 1.1)), near_one(Interval(0.7, 0.6, 0.9)), near_one(Interval(0.3, 0.1, 1.6))
    (True, False, 'inconclusive')
    """
    if found.excludes(1.0):
        return False
    inside = found.low is not None and found.high is not None and RATIO[0] <= found.low and found.high <= RATIO[1]
    return True if inside else OPEN


def duplicates(run: RunEvidence) -> Verdict:
    """Check that nobody is in the cohort twice."""
    count = int(run.cohort[KEY].duplicated().sum())
    return count == 0, f"{count} duplicates"


def weights(run: RunEvidence) -> Verdict:
    """Check that all people in the analysis have a positive weight."""
    analysed = run.cohort.loc[run.cohort["analysis"], "weight"]
    count = int((~(analysed > 0)).sum())
    return count == 0, f"{count} of {len(analysed)} have none"


def replication(run: RunEvidence) -> Verdict:
    """Check that published estimates for these cycles are replicated from the run's own tables."""
    asked = [record for record in run.known_answers if record.passed is not None]
    if not asked:
        return None, "no published estimate is about the people of this run"
    missed = [record.name for record in asked if not record.passed]
    return not missed, f"{len(asked) - len(missed)} of {len(asked)} replicated"


def missing(run: RunEvidence) -> Verdict:
    """Check that no feature is missing in more than half of the development people, weighted."""
    shares = _missing(run, DEVELOPMENT)
    much = [f"{name} {share:.0%}" for name, share in shares.items() if share > MOSTLY_MISSING]
    worst = max(shares, key=lambda name: shares[name])
    return not much, ", ".join(much) or f"most: {worst}, {shares[worst]:.0%}"


def missing_shift(run: RunEvidence) -> Verdict:
    """Check that no feature's share of missing values differs by over 10 percentage points in the held-out cycles."""
    before, after = _missing(run, DEVELOPMENT), _missing(run, HELD_OUT)
    gaps = {name: after[name] - before[name] for name in before.keys() & after.keys()}
    apart = [
        f"{name} {before[name]:.0%} and {after[name]:.0%}" for name in sorted(gaps) if abs(gaps[name]) > MISSING_APART
    ]
    return not apart, ", ".join(apart) or f"largest difference {max(map(abs, gaps.values())):.1%}"


def breaks(run: RunEvidence) -> Verdict:
    """Check that no question or method changed between the cycles of the run."""
    names = [each.name for each in run.about.breaks]
    return not names, f"{', '.join(names)}: accepted" if names else "none"


def folds(run: RunEvidence) -> Verdict:
    """Check that no PSU is in two folds."""
    spread = int((run.folds.groupby(["stratum", "psu"])["fold"].nunique() > 1).sum())
    return spread == 0, f"{spread} PSUs are"


def separation(run: RunEvidence) -> Verdict:
    """Check that no held-out person was used in tuning or calibration."""
    held_out = set(run.cohort.loc[run.cohort["set"] != DEVELOPMENT, KEY])
    shared = len(held_out & (set(run.oof[KEY]) | set(run.folds[KEY])))
    return shared == 0, f"{shared} are"


def temporal_order(run: RunEvidence) -> Verdict:
    """Check that the held-out cycles are later than all development cycles."""
    if run.about.own and (run.about.own.split or not dated(run.cohort["cycle"].unique())):
        return None, run.about.own.split or "the periods are not dates: their order is taken from the file"
    of_set = run.cohort.groupby("set", observed=True)["cycle"]
    last, first = str(of_set.max()[DEVELOPMENT]), str(of_set.min()[HELD_OUT])
    return last < first, f"development up to {last}, held out from {first}"


def fold_cases(run: RunEvidence) -> Verdict:
    """Check that every fold has at least 20 cases."""
    fewest = int(run.oof.groupby("fold")["outcome"].sum().min())
    return fewest >= FEWEST_CASES, f"fewest: {fewest}, limit {FEWEST_CASES}"


def _missing(run: RunEvidence, set_name: str) -> dict[str, float]:
    """Return the weighted share of people without a value, by feature of the model."""
    return {
        str(record.variable): float(record.missing)
        for record in run.table_one
        if (record.set, record.group) == (set_name, "all") and record.missing is not None
    }


def cox_snell(*, log_loss: float, prevalence: float) -> float:
    """Return the Cox-Snell R² of a model from its mean log loss.

    Parameters
    ----------
    log_loss
        Mean negative log likelihood out of sample, in nats.
    prevalence
        Share of cases among them, strictly between 0 and 1.

    Examples
    --------
    >>> round(cox_snell(log_loss=0.18, prevalence=0.0526), 4)
    0.0509
    """
    null = -(prevalence * log(prevalence) + (1.0 - prevalence) * log(1.0 - prevalence))
    return 1.0 - exp(-2.0 * (null - log_loss))


def people_needed(parameters: int, *, prevalence: float, r_squared: float) -> int:
    """Return the smallest development sample that meets all three criteria.

    Parameters
    ----------
    parameters
        Number of candidate parameters: columns, not features.
    prevalence
        Share of cases, strictly between 0 and 1.
    r_squared
        Expected Cox-Snell R², above 0.

    Returns
    -------
    int
        Sample size for a shrinkage factor of at least 0.9, an optimism of R² of at most 0.05, and a margin of error of
        the prevalence of 0.05, in a simple random sample: multiply it by the design effect.

    Notes
    -----
    Riley et al. (2020), BMJ 368:m441; the numbers of ``pmsampsize(type = "b")``.

    Examples
    --------
    >>> people_needed(20, prevalence=0.0526, r_squared=0.0497)
    3521
    """
    if not 0.0 < r_squared < 1.0:
        raise ValueError(f"R² of {r_squared} is not between 0 and 1")

    def shrunk(shrinkage: float) -> float:
        return parameters / ((shrinkage - 1.0) * log(1.0 - r_squared / shrinkage)) if r_squared < shrinkage else nan

    null = prevalence * log(prevalence) + (1.0 - prevalence) * log(1.0 - prevalence)
    largest = 1.0 - exp(2.0 * null)
    optimism = r_squared / (r_squared + OPTIMISM * largest)
    overall = (1.96 / MARGIN) ** 2 * prevalence * (1.0 - prevalence)
    return ceil(max(shrunk(SHRINKAGE), shrunk(optimism), overall))


def discrimination(run: RunEvidence) -> Verdict:
    """Check that neither the cross-validated nor the held-out AUROC is implausibly high: above 0.85."""
    found = {"cross-validated": _cv(run, "auroc"), "held-out": _held_out(run, "auroc")}
    said = ", ".join(f"{name} {shown(record)}" for name, record in found.items())
    high = max(record.value for record in found.values())
    return high <= SUSPICIOUS_AUROC, f"AUROC {said}; limit {SUSPICIOUS_AUROC}"


def univariable(run: RunEvidence) -> Verdict:
    """Check that no univariable AUROC is so high that only leakage explains it."""
    best = max(run.leaks.alone, key=lambda each: each.auroc)
    return (
        best.auroc <= best.limit,
        f"highest univariable AUROC: {best.feature} {best.auroc:.3f}, limit {best.limit}",
    )


def rare_value(run: RunEvidence) -> Verdict:
    """Check that no value of a feature, such as a medicine, has an implausibly high likelihood ratio."""
    rarest = max(run.leaks.alone, key=lambda each: each.likelihood_ratio)
    return (
        rarest.likelihood_ratio <= rarest.ratio_limit,
        f"largest likelihood ratio: {rarest.feature}, at least {rarest.likelihood_ratio:.1f} times, "
        f"limit {rarest.ratio_limit:g}",
    )


def permuted(run: RunEvidence) -> Verdict:
    """Check that the pipeline does not predict a randomly permuted outcome."""
    found = run.leaks.permuted
    return not found.finding, f"AUROC {found.auroc:.3f} ({found.low:.3f} to {found.high:.3f})"


def timing(run: RunEvidence) -> Verdict:
    """Check that no feature was asked or measured after cases knew of their outcome."""
    late = [each.feature for each in run.leaks.timing if each.finding]
    return not late, f"{len(late)} features may follow from the outcome" + (f": {', '.join(late)}" if late else "")


def magnesium(run: RunEvidence) -> Verdict:
    """Check that magnesium adds no more to the AUROC than published relative risks allow."""
    if run.added_value.reason:
        return None, run.added_value.reason
    questions = {each.question for each in COMPARISONS[:2]}
    gains = [r for r in run.added_value.records if r.metric == "auroc" and r.question in questions]
    limit = run.added_value.limit
    above = [record for record in gains if record.value > limit]
    said = "; ".join(f"{r.question}, {r.set}: {shown(r, digits=4)}" for r in above or gains)
    return not above, f"gain in AUROC, limit {limit}: {said}"


def slope(run: RunEvidence) -> Verdict:
    """Check that the calibration slope in held-out people is near 1."""
    found = _held_out(run, "calibration_slope")
    return near_one(found), f"slope {shown(found)}"


def calibrator(run: RunEvidence) -> Verdict:
    """Check that no other calibrator has a lower log loss than the logistic one."""
    # The logistic map is kept in any case, since it alone keeps SHAP values exact; the warning says what that costs.
    better = [
        f"{each.model} by {gain.estimate:.5f} nats ({gain.low:.5f} to {gain.high:.5f})"
        for each in better_calibrators(run.calibrators.differences)
        if (gain := each.times(-1.0))
    ]
    return not better, "; ".join(better) or "none whose interval of the difference lies below 0"


def ratio(run: RunEvidence) -> Verdict:
    """Check that observed/expected in held-out people is near 1."""
    found = _held_out(run, "observed_expected")
    return near_one(found), f"observed/expected {shown(found)}"


def integrated_calibration(run: RunEvidence) -> Verdict:
    """Check that the integrated calibration index (ICI) in held-out people is at most 0.02."""
    found = _held_out(run, "ici")
    small = found.estimate is not None and found.estimate <= LARGEST_ICI
    certain = found.high is not None and found.high <= LARGEST_ICI
    return OPEN if small and not certain else small, f"ICI {shown(found, digits=4)}, limit {LARGEST_ICI}"


def additivity(run: RunEvidence) -> Verdict:
    """Check that SHAP values add up to the calibrated log-odds, to 1e-5."""
    error = run.additivity_error
    return error <= ADDITIVE, f"largest error {error:.1e}, limit {ADDITIVE:.0e}"


def sample_size(run: RunEvidence) -> Verdict:
    """Check that the effective sample size meets the criteria of Riley for the number of columns."""
    loss, share = _cv(run, "log_loss"), _cv(run, "prevalence")
    explained = cox_snell(log_loss=loss.value, prevalence=share.value)
    if explained <= 0:
        return False, "the out-of-fold log loss is not below that of the prevalence"
    needed = people_needed(run.columns, prevalence=share.value, r_squared=explained)
    # The criteria are for a simple random sample; the design effect is that of the prevalence.
    assert share.se is not None
    p = share.value
    effective = min(loss.n, p * (1.0 - p) / share.se**2)
    return effective >= needed, (
        f"{loss.n} people, effective sample size {effective:.0f}, for {run.columns} columns; needed {needed}"
    )


def inside_grid(run: RunEvidence) -> Verdict:
    """Check that no chosen setting lies at the edge of its grid."""
    edges = []
    for part in run.tuning.models[run.winner].parts:
        tried = [each.params for each in run.tuning.candidates if each.part == part.part]
        for name, value in part.params.items():
            values = sorted({each[name] for each in tried})
            if len(values) > 2 and value in (values[0], values[-1]):
                edges.append(f"{part.part} {name} = {value:g} of {values[0]:g} to {values[-1]:g}")
    return not edges, "; ".join(edges) or "none at an edge"


def better_than_prevalence(run: RunEvidence) -> Verdict:
    """Check that the held-out Brier score is better than that of the prevalence alone."""
    found = _held_out(run, "brier_scaled")
    return found.low is not None and found.low > 0, f"scaled Brier score {shown(found)}"


def held_out_auroc(run: RunEvidence) -> Verdict:
    """Check that the held-out AUROC is not significantly lower than the cross-validated one."""
    before, after = _cv(run, "auroc"), _held_out(run, "auroc")
    worse = after.high is not None and after.high < before.value
    return not worse, f"AUROC cross-validated {shown(before)}, held-out {shown(after)}"


def net_benefit(run: RunEvidence) -> Verdict:
    """Check that net benefit at a risk threshold of 5 % significantly exceeds that of treat all and treat none."""
    own = _held_out(run, "net_benefit@0.05")
    gain = run.differences.one(model=run.winner, reference=EVERYBODY, metric=own.metric, set=own.set)
    proven = all(record.low is not None and record.low > 0 for record in (gain, own))
    said = "; ".join(
        f"{name} {shown(r.times(1000), digits=1)}" for name, r in (("minus treat all", gain), ("minus treat none", own))
    )
    return proven, f"true positives per 1,000 people {said}"


def groups_calibrated(run: RunEvidence) -> Verdict:
    """Check that observed/expected is near 1 in each group; wrong are significant ones outside `RATIO` alone."""
    judged = [r for r in _groups(run, "observed_expected") if r.estimate is not None]
    if not judged:
        return None, "the run has no groups"
    wrong = [r for r in judged if near_one(r) is False and not RATIO[0] <= r.value <= RATIO[1]]
    undecided = [r for r in judged if near_one(r) == OPEN]
    said = [f"{r.group} {r.level} {shown(r, digits=2)}" for r in wrong]
    if undecided:
        widest = max(undecided, key=lambda r: (r.high or 0.0) - (r.low or 0.0))
        said.append(
            f"inconclusive in {len(undecided)} of {len(judged)} groups; widest: {widest.group} {widest.level} "
            f"{shown(widest, digits=2)}"
        )
    return False if wrong else OPEN if undecided else True, "; ".join(said) or f"near 1 in {len(judged)} groups"


def groups_discrimination(run: RunEvidence) -> Verdict:
    """Check that no group has a significantly lower AUROC than all people together."""
    whole = _held_out(run, "auroc").value
    found = [r for r in _groups(run, "auroc") if r.high is not None]
    if not found:
        return None, "no group has an AUROC with an interval"
    worse = [r for r in found if r.high is not None and r.high < whole]
    lowest = min(found, key=lambda r: r.value)
    said = ", ".join(f"{r.level} {shown(r)}" for r in worse or [lowest])
    return not worse, f"{'worse' if worse else 'lowest'} than {whole:.3f}: {said}" if worse else f"lowest: {said}"


def groups_large(run: RunEvidence) -> Verdict:
    """Check that no group is too small for presentation by the NCHS standards."""
    found = _groups(run, "prevalence")
    small = [f"{r.group} {r.level}" for r in found if r.presentation.startswith("suppress")]
    return not small, ", ".join(small) or f"{len(found)} groups"


def _cv(run: RunEvidence, metric: str) -> MetricRecord:
    return run.found(metric, held_out=False)


def _held_out(run: RunEvidence, metric: str) -> MetricRecord:
    return run.found(metric, held_out=True)


def _groups(run: RunEvidence, metric: str) -> list[MetricRecord]:
    """Return the held-out records of a metric of the chosen model in the groups of subgroups.toml."""
    asked = {grouping.name for grouping in groupings()}
    found = run.evaluation.where(model=run.winner, metric=metric, set=run.held_out)
    return [record for record in found if record.group in asked]


CHECKS: Final[Mapping[str, Callable[[RunEvidence], Verdict]]] = {
    "MGR001": duplicates,
    "MGR002": weights,
    "MGR003": replication,
    "MGR004": missing,
    "MGR005": missing_shift,
    "MGR006": breaks,
    "MGR101": folds,
    "MGR102": separation,
    "MGR103": temporal_order,
    "MGR104": fold_cases,
    "MGR201": discrimination,
    "MGR202": univariable,
    "MGR203": rare_value,
    "MGR204": permuted,
    "MGR205": timing,
    "MGR206": magnesium,
    "MGR301": slope,
    "MGR302": calibrator,
    "MGR303": ratio,
    "MGR304": integrated_calibration,
    "MGR401": additivity,
    "MGR501": sample_size,
    "MGR502": inside_grid,
    "MGR503": better_than_prevalence,
    "MGR504": held_out_auroc,
    "MGR505": net_benefit,
    "MGR601": groups_calibrated,
    "MGR602": groups_discrimination,
    "MGR603": groups_large,
}
"""The checks by code, in the order of checks.toml."""


STATUS: Final = {True: "passed", False: "finding", None: "not applicable"}


def check_run(run: RunEvidence) -> list[Finding]:
    """Check data, splits, leaks, calibration, explanation, fit and fairness of a run.

    Parameters
    ----------
    run
        Data and records of the run.

    Returns
    -------
    list of Finding
        One for each row of checks.toml, in its order.
    """
    findings = []
    for row in rows("mgrisk.evaluate", "checks.toml", "check"):
        holds, finding = CHECKS[row["id"]](run)
        status = holds if isinstance(holds, str) else STATUS[holds]
        findings.append(Finding(**row, status=status, finding=finding))
    return findings


def stop_at_errors(findings: Sequence[Finding]) -> None:
    """Stop the run where a check of severity error failed.

    Raises
    ------
    MgRiskError
        `checks.failed`, with the first such finding.
    """
    for finding in findings:
        if finding.severity == "error" and finding.passed is False:
            raise bad_input(
                "checks.failed",
                f"{finding.id} {finding.title}: {finding.finding}",
                where="the run folder",
                hint="no report is made of such a run; find the cause, or report it as a bug",
            )
