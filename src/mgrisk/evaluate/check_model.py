"""Checks of the model: leaks, calibration, explanation, fit and fairness."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from mgrisk.evaluate.added_value import COMPARISONS
from mgrisk.evaluate.assess import CROSS_VALIDATED, EVERYBODY
from mgrisk.evaluate.calibrators import better_than_shipped
from mgrisk.evaluate.finding import RunEvidence, Verdict, holds, shown
from mgrisk.evaluate.sample_size import cox_snell, people_needed

SUSPICIOUS_AUROC: Final = 0.85
LARGEST_ICI: Final = 0.02
ADDITIVE: Final = 1e-5
RATIO: Final = (0.8, 1.25)
Record = Mapping[str, Any]


def discrimination(run: RunEvidence) -> Verdict:
    """MGR201."""
    found = {"cross-validated": _cv(run, "auroc"), "held-out": _held_out(run, "auroc")}
    said = ", ".join(f"{name} {shown(record)}" for name, record in found.items())
    high = max(record["estimate"] for record in found.values())
    return high <= SUSPICIOUS_AUROC, f"AUROC {said}; limit {SUSPICIOUS_AUROC}"


def alone(run: RunEvidence) -> Verdict:
    """MGR202."""
    best = max(run.leaks["alone"], key=lambda each: each["auroc"])
    return (
        best["auroc"] <= best["limit"],
        f"best alone: {best['feature']}, AUROC {best['auroc']:.3f}, limit {best['limit']}",
    )


def rare_value(run: RunEvidence) -> Verdict:
    """MGR203."""
    rarest = max(run.leaks["alone"], key=lambda each: each["likelihood_ratio"])
    return (
        rarest["likelihood_ratio"] <= rarest["ratio_limit"],
        f"largest likelihood ratio: {rarest['feature']}, at least {rarest['likelihood_ratio']:.1f} times, "
        f"limit {rarest['ratio_limit']:g}",
    )


def permuted(run: RunEvidence) -> Verdict:
    """MGR204."""
    found = run.leaks["permuted"]
    return not found["finding"], f"AUROC {found['auroc']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def timing(run: RunEvidence) -> Verdict:
    """MGR205."""
    late = [str(each["feature"]) for each in run.leaks["timing"] if each["finding"]]
    return not late, f"{len(late)} features may follow from the outcome" + (f": {', '.join(late)}" if late else "")


def magnesium(run: RunEvidence) -> Verdict:
    """MGR206."""
    if run.added_value["reason"]:
        return None, str(run.added_value["reason"])
    questions = {each.question for each in COMPARISONS[:2]}
    gains = [r for r in run.added_value["records"] if r["metric"] == "auroc" and r["question"] in questions]
    limit = float(run.added_value["limit"])
    above = [record for record in gains if record["estimate"] > limit]
    said = "; ".join(f"{r['question']}, {r['set']}: {shown(r, digits=4)}" for r in above or gains)
    return not above, f"gain in AUROC, limit {limit}: {said}"


def slope(run: RunEvidence) -> Verdict:
    """MGR301."""
    found = _held_out(run, "calibration_slope")
    return holds(found, 1.0), f"slope {shown(found)}"


def calibrator(run: RunEvidence) -> Verdict:
    """MGR302."""
    # Logistic stays whatever is found: it alone keeps contributions exact. A warning says what that costs.
    better = [
        f"{record['model']} by {-record['estimate']:.5f} nats ({-record['high']:.5f} to {-record['low']:.5f})"
        for record in better_than_shipped(run.calibration)
    ]
    return not better, "; ".join(better) or "none whose interval of the difference lies below 0"


def ratio(run: RunEvidence) -> Verdict:
    """MGR303."""
    found = _held_out(run, "observed_expected")
    return holds(found, 1.0), f"observed/expected {shown(found)}"


def distance(run: RunEvidence) -> Verdict:
    """MGR304."""
    found = _held_out(run, "ici")
    small = found["estimate"] is not None and found["estimate"] <= LARGEST_ICI
    return small, f"ICI {shown(found, digits=4)}, limit {LARGEST_ICI}"


def additivity(run: RunEvidence) -> Verdict:
    """MGR401."""
    error = float(run.explanation["largest_additivity_error"])
    return error <= ADDITIVE, f"largest error {error:.1e}, limit {ADDITIVE:.0e}"


def sample_size(run: RunEvidence) -> Verdict:
    """MGR501."""
    loss, share = _cv(run, "log_loss"), _cv(run, "prevalence")
    explained = cox_snell(log_loss=loss["estimate"], prevalence=share["estimate"])
    if explained <= 0:
        return False, "the model explains nothing out of fold"
    needed = people_needed(run.columns, prevalence=share["estimate"], r_squared=explained)
    # Of a simple random sample; the design of the survey costs people, by as much as it does for the prevalence.
    p = share["estimate"]
    effective = min(loss["n"], p * (1.0 - p) / share["se"] ** 2)
    return effective >= needed, (
        f"{loss['n']} people, worth {effective:.0f} of a simple sample, for {run.columns} columns; needed {needed}"
    )


def inside_grid(run: RunEvidence) -> Verdict:
    """MGR502."""
    edges = []
    for part in run.tuning["models"][run.winner]["parts"]:
        tried = [each["params"] for each in run.tuning["candidates"] if each["part"] == part["part"]]
        for name, value in part["params"].items():
            values = sorted({each[name] for each in tried})
            if len(values) > 2 and value in (values[0], values[-1]):
                edges.append(f"{part['part']} {name} = {value:g} of {values[0]:g} to {values[-1]:g}")
    return not edges, "; ".join(edges) or "none at an edge"


def better_than_nothing(run: RunEvidence) -> Verdict:
    """MGR503."""
    found = _held_out(run, "brier_scaled")
    return found["low"] is not None and found["low"] > 0, f"scaled Brier score {shown(found)}"


def as_promised(run: RunEvidence) -> Verdict:
    """MGR504."""
    before, after = _cv(run, "auroc"), _held_out(run, "auroc")
    worse = after["high"] is not None and after["high"] < before["estimate"]
    return not worse, f"AUROC cross-validated {shown(before)}, held-out {shown(after)}"


def useful(run: RunEvidence) -> Verdict:
    """MGR505."""
    wanted = (run.winner, EVERYBODY, "net_benefit@0.05", True)
    gain = next(
        r for r in run.differences if (r["model"], r["reference"], r["metric"], r["set"] != CROSS_VALIDATED) == wanted
    )
    own = _held_out(run, "net_benefit@0.05")
    proven = all(record["low"] is not None and record["low"] > 0 for record in (gain, own))
    said = "; ".join(f"{name} {_per_thousand(r)}" for name, r in (("over everybody", gain), ("over nobody", own)))
    return proven, f"true positives per 1,000 people {said}"


def groups_calibrated(run: RunEvidence) -> Verdict:
    """MGR601."""
    found = [r for r in _groups(run, "observed_expected") if r["group"] in {"sex", "race_ethnicity"}]
    judged = [r for r in found if r["estimate"] is not None]
    if not judged:
        return None, "the run has neither sex nor race/ethnicity"
    wrong = [r for r in judged if not (RATIO[0] <= r["estimate"] <= RATIO[1] or holds(r, 1.0))]
    worst = max(judged, key=lambda r: abs(r["estimate"] - 1.0))
    return not wrong, ", ".join(f"{r['level']} {shown(r, digits=2)}" for r in wrong or [worst])


def groups_ranked(run: RunEvidence) -> Verdict:
    """MGR602."""
    whole = _held_out(run, "auroc")["estimate"]
    found = [r for r in _groups(run, "auroc") if r["high"] is not None]
    if not found:
        return None, "no group has an AUROC with an interval"
    worse = [r for r in found if r["high"] < whole]
    lowest = min(found, key=lambda r: float(r["estimate"]))
    said = ", ".join(f"{r['level']} {shown(r)}" for r in worse or [lowest])
    return not worse, f"{'worse' if worse else 'lowest'} than {whole:.3f}: {said}" if worse else f"lowest: {said}"


def groups_large(run: RunEvidence) -> Verdict:
    """MGR603."""
    found = _groups(run, "prevalence")
    small = [f"{r['group']} {r['level']}" for r in found if str(r["presentation"]).startswith("suppress")]
    return not small, ", ".join(small) or f"{len(found)} groups"


def _cv(run: RunEvidence, metric: str) -> Record:
    return run.found(metric, held_out=False, cross_validated=CROSS_VALIDATED)


def _held_out(run: RunEvidence, metric: str) -> Record:
    return run.found(metric, held_out=True, cross_validated=CROSS_VALIDATED)


def _groups(run: RunEvidence, metric: str) -> list[Record]:
    """Return the held-out records of a metric in the groups of the chosen model."""
    return [
        r
        for r in run.evaluation
        if (r["model"], r["metric"]) == (run.winner, metric) and r["group"] != "all" and r["set"] != CROSS_VALIDATED
    ]


def _per_thousand(record: Record) -> str:
    keys = ("estimate", "low", "high")
    return shown({**record, **{k: None if record[k] is None else 1000 * record[k] for k in keys}}, digits=1)


CHECKS: Final[Mapping[str, Callable[[RunEvidence], Verdict]]] = {
    "MGR201": discrimination,
    "MGR202": alone,
    "MGR203": rare_value,
    "MGR204": permuted,
    "MGR205": timing,
    "MGR206": magnesium,
    "MGR301": slope,
    "MGR302": calibrator,
    "MGR303": ratio,
    "MGR304": distance,
    "MGR401": additivity,
    "MGR501": sample_size,
    "MGR502": inside_grid,
    "MGR503": better_than_nothing,
    "MGR504": as_promised,
    "MGR505": useful,
    "MGR601": groups_calibrated,
    "MGR602": groups_ranked,
    "MGR603": groups_large,
}
