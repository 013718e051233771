"""Monitor batches over time: volume, distribution shift, expected and observed performance, and alerts.

A batch from a clinic differs from the development cohort without anything being wrong, and so do all of its sites. A
site with wrong units differs from the other sites, and from its own past. Each batch as a whole is therefore compared
with the model's reference and with earlier batches, and each group (site) with the other groups of its batch and with
its own earlier batches. A wrong group would also make the others differ from the rest. The group that differs most is
therefore removed first, and the others are compared again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np
import pandas as pd
from pydantic import ConfigDict

from mgrisk.config.checked import Checked, Positive, Share
from mgrisk.config.toml import read_toml
from mgrisk.errors import few, usage
from mgrisk.features.registry import FEATURES
from mgrisk.model.reference import RISK
from mgrisk.score.drift_monitor import Shift
from mgrisk.score.history import Batch, Counted, History, Observed
from mgrisk.types import Integers

WHOLE: Final = ""
"""Name of the group of all rows of a batch."""
UNNAMED: Final = "(not given)"
"""Name of the group of rows with an empty group column."""
REFERENCE, OTHERS, BEFORE = "reference", "others", "before"
WORDS: Final = {REFERENCE: "the model's reference", OTHERS: "the other groups", BEFORE: "earlier batches"}
FEW_BATCHES: Final = 3
"""Minimum number of earlier batches for a median."""
BEYOND: Final = 3.3
"""Standard errors beyond which a difference exceeds chance: probability 1 in 1,000, as `drift_monitor.CHANCE`."""
ENOUGH: Final = 100
"""Minimum number of rows for comparing shares."""
ONE_END: Final = 0.8
"""Share of a group in an outermost bin that suggests another unit, if less than half of the others are in it."""
BATCHES: Final = (
    *("batch", "time", "model", "sha256", "group", "rows", "scored", "rejected", "not_eligible", "outside"),
    *("mean_risk", "risk_10", "risk_50", "risk_90", "expected_cases", "expected_auroc"),
    *("observed_n", "observed_cases", "observed_expected", "observed_expected_low", "observed_expected_high"),
    *("auroc", "auroc_low", "auroc_high"),
)
CODES: Final = ("batch", "group", "code", "rows", "share")
SHIFTS: Final = (
    *("batch", "group", "feature", "against", "people", "psi", "psi_limit", "ks", "ks_se"),
    *("missing", "missing_against"),
)
ALERTS: Final = ("batch", "group", "alert", "feature", "against", "value", "limit", "says")
NAN: Final = float("nan")


class Limits(Checked):
    """Limits of alerts, described in `monitor_limits.toml`."""

    model_config = ConfigDict(extra="forbid")

    psi: Positive
    ks: Positive
    missing_more: Share
    rejected: Share
    rejected_more: Share
    outside: Share
    volume_factor: Positive
    expected_auroc_less: Share
    observed_expected: Positive


def read_limits(path: Path | None) -> Limits:
    """Return the default limits, with those in a file replaced.

    Raises
    ------
    MgRiskError
        `limits.missing_file`, `limits.not_toml`, `limits.bad_limit` with the name of the limit.

    Examples
    --------
    >>> read_limits(None).psi
    0.25
    """
    own = Path(str(files("mgrisk.score").joinpath("monitor_limits.toml")))
    hint = "name a TOML file, or leave out --limits"
    found = [read_toml(each, kind="limits", prefix="limits", hint=hint) for each in (own, path) if each]
    try:
        return Limits.of({name: value for content in found for name, value in content.items()})
    except ValueError as problem:
        raise usage(
            "limits.bad_limit",
            f"a limit is invalid: {problem}",
            where=str(path),
            expected=", ".join(Limits.model_fields),
            hint="limits are numbers; use the expected names, and leave out limits that keep their default",
        ) from None


@dataclass(frozen=True, eq=False)
class Monitored:
    """Tables of batches over time; the group of all rows is "".

    Attributes
    ----------
    batches
        One row per batch and group: {batch, time, model, sha256, group, rows, scored, rejected, not_eligible,
        outside (share), mean_risk, risk_10, risk_50, risk_90, expected_cases, expected_auroc, observed_n,
        observed_cases, observed_expected, observed_expected_low, observed_expected_high, auroc, auroc_low,
        auroc_high}; unknown numbers are NaN.
    codes
        {batch, group, code, rows, share}: how often each code occurred that rejects a row or makes it not eligible.
    shifts
        {batch, group, feature, against, people, psi, psi_limit, ks, ks_se, missing, missing_against}; `against` is
        ``reference`` (of the model, for all rows), ``others`` (the other groups of the batch) or ``before`` (the
        earlier batches of the same group).
    alerts
        Values beyond a limit, the latest batch first and the largest excess first: {batch, group, alert, feature,
        against, value, limit, says}. `alert` is shift, missing, code, rejected, outside, volume, expected_auroc or
        observed_expected.
    synthetic
        Whether a model was developed on made-up people.
    notes
        Lines about history entries that could not be read or were replaced.
    by
        The column of the groups, or None.
    """

    batches: pd.DataFrame
    codes: pd.DataFrame
    shifts: pd.DataFrame
    alerts: pd.DataFrame
    synthetic: bool
    notes: tuple[str, ...]
    by: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the tables as lists of records."""
        tables = ("batches", "codes", "shifts", "alerts")
        return {
            "by": self.by,
            "synthetic": self.synthetic,
            "notes": list(self.notes),
            **{name: getattr(self, name).to_dict("records") for name in tables},
        }

    def frame(self) -> pd.DataFrame:
        """Return the batches."""
        return self.batches


def monitor(history: History, limits: Limits, *, by: str | None = None) -> Monitored:
    """Compare batches with the reference, with each other and over time.

    Parameters
    ----------
    history
        Result of `history.read_history`.
    limits
        Result of `read_limits`.
    by
        The column that batches were counted by; None to compare whole batches only.

    Raises
    ------
    MgRiskError
        `monitor.not_by` if no batch was counted by this column.

    Examples
    --------
    >>> from mgrisk.score.history import read_history
    >>> found = monitor(read_history(Path("batches.jsonl")), read_limits(None), by="site")  # doctest: +SKIP
    >>> found.alerts[["batch", "group", "feature", "says"]]  # doctest: +SKIP
    """
    columns = sorted({batch.by for batch in history.batches if batch.by})
    if by is not None and by not in columns:
        raise usage(
            "monitor.not_by",
            f"no batch of the history was counted by {by}",
            where="--by",
            got=", ".join(columns) or "no column",
            hint="give --by to `mgrisk score` too",
        )
    tables: dict[str, list[dict[str, Any]]] = {"batches": [], "codes": [], "shifts": [], "alerts": []}
    before: dict[str | None, dict[str, _Before]] = {}
    for batch in history.batches:
        of_model = before.setdefault(batch.sha256, {})
        compared = _Compared(batch, batch.groups if by and by == batch.by else {}, of_model, limits)
        outcomes = history.outcomes.get((batch.batch, batch.sha256))
        of_groups = outcomes.groups if outcomes and outcomes.by == by else {}
        seen = (
            {WHOLE: outcomes.whole, **{name or UNNAMED: each for name, each in of_groups.items()}} if outcomes else {}
        )
        rows = [_row(batch, group, counted, seen.get(group)) for group, counted in compared.counted.items()]
        shifts = [*compared.shifts()]
        found = [*compared.of_shifts(shifts), *compared.of_codes(), *compared.of_rows(rows)]
        # Differences from other sites or earlier batches come first, since any clinic differs from the reference.
        found.sort(key=lambda alert: (alert["against"] == REFERENCE, -alert["value"] / max(alert["limit"], 1e-9)))
        tables["batches"] += rows
        tables["codes"] += [
            {"group": group, "code": code, "rows": count, "share": count / counted.rows} | {"batch": batch.batch}
            for group, counted in compared.counted.items()
            for code, count in _codes(counted).items()
        ]
        tables["shifts"] += [_record(batch, *each) for each in shifts]
        tables["alerts"] = [{"batch": batch.batch, **alert} for alert in found] + tables["alerts"]
        for group, counted in compared.counted.items():
            of_model.setdefault(group, _Before()).add(counted)
    names = {"batches": BATCHES, "codes": CODES, "shifts": SHIFTS, "alerts": ALERTS}
    frames = {name: pd.DataFrame(rows, columns=[*names[name]]) for name, rows in tables.items()}
    synthetic = any(batch.synthetic for batch in history.batches)
    return Monitored(**frames, synthetic=synthetic, notes=tuple(_notes(history)), by=by)


@dataclass
class _Before:
    """All earlier batches of one model and group."""

    rows: list[int] = field(default_factory=list)
    aurocs: list[float] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    bins: dict[str, tuple[int, Integers]] = field(default_factory=dict)

    def add(self, counted: Counted) -> None:
        self.rows.append(counted.rows)
        if counted.expected_performance.auroc is not None:
            self.aurocs.append(counted.expected_performance.auroc)
        self.codes.update(_codes(counted))
        for shift in counted.drift:
            rows, counts = self.bins.get(shift.name, (0, np.zeros(len(shift.counts), dtype=np.int64)))
            if len(counts) == len(shift.counts):
                self.bins[shift.name] = rows + shift.rows, counts + np.array(shift.counts, dtype=np.int64)


class _Compared:
    """Compares a batch with the reference, its groups with each other, and each with earlier batches."""

    def __init__(
        self, batch: Batch, groups: Mapping[str, Counted], before: Mapping[str, _Before], limits: Limits
    ) -> None:
        # The group of rows with an empty text would have the name of the whole batch.
        self.counted = {WHOLE: batch.whole, **{name or UNNAMED: counted for name, counted in groups.items()}}
        self._before, self._limits = before, limits
        self._of_group = {group: counted.shifts() for group, counted in self.counted.items()}

    def shifts(self) -> Iterator[tuple[str, str, Shift]]:
        """Yield group, comparison and shift of each feature."""
        for shift in self._of_group[WHOLE].values():
            yield WHOLE, REFERENCE, shift
        for group, of in self._of_group.items():
            if group in self._before:
                bins = self._before[group].bins
                for name, shift in of.items():
                    if name in bins and len(bins[name][1]) == len(shift.counts):
                        yield group, BEFORE, shift.against(rows=bins[name][0], counts=bins[name][1])
        for name in self._of_group[WHOLE]:
            yield from ((group, OTHERS, shift) for group, shift in self._beside_others(name))

    def _beside_others(self, name: str) -> Iterator[tuple[str, Shift]]:
        """Compare each group with the others, leaving out groups that were found to differ more."""
        left = {group: of[name] for group, of in self._of_group.items() if group != WHOLE and name in of}
        while len(left) > 1:
            rows = sum(shift.rows for shift in left.values())
            counts = np.sum([shift.counts for shift in left.values()], axis=0)
            found = {
                group: shift.against(rows=rows - shift.rows, counts=counts - np.array(shift.counts))
                for group, shift in left.items()
            }
            # Two groups differ equally from each other; the one further from the reference is reported.
            odd = max(
                found, key=lambda group: (round(np.nan_to_num(found[group].psi), 6), np.nan_to_num(left[group].psi))
            )
            if not self._differs(found[odd]):
                yield from found.items()
                return
            yield odd, found[odd]
            del left[odd]

    def _differs(self, shift: Shift) -> bool:
        return shift.exceeds(self._limits.psi) or (
            shift.enough and shift.ks >= self._limits.ks and shift.ks > BEYOND * shift.ks_se
        )

    def of_shifts(self, shifts: list[tuple[str, str, Shift]]) -> Iterator[dict[str, Any]]:
        """Yield the alerts of distributions and of missing values."""
        steady = {
            (group, shift.name) for group, against, shift in shifts if against == BEFORE and not self._differs(shift)
        }
        beyond = [shift for _, against, shift in shifts if against == REFERENCE and self._differs(shift)]
        if beyond:
            named = [f"{shift.name} {shift.psi:.2f}" for shift in sorted(beyond, key=lambda shift: -shift.psi)]
            as_before = ", as before" if all((WHOLE, shift.name) in steady for shift in beyond) else ""
            says = f"distribution shift against the model's reference{as_before}: PSI of {few(named, most=5)}"
            worst = max(beyond, key=lambda shift: shift.psi)
            yield _alert(WHOLE, "shift", worst.psi, self._limits.psi, says, feature=worst.name, against=REFERENCE)
        for group, against, shift in shifts:
            if against != REFERENCE and self._differs(shift):
                other = WORDS[against] + (", as before" if against == OTHERS and (group, shift.name) in steady else "")
                says = f"{_named(shift.name)}: PSI {shift.psi:.2f}, KS {shift.ks:.2f} against {other}{self._end(shift)}"
                yield _alert(group, "shift", shift.psi, self._limits.psi, says, feature=shift.name, against=against)
            more = shift.missing - shift.missing_in_reference
            new = against != REFERENCE or WHOLE not in self._before
            if new and shift.rows >= ENOUGH and more >= self._limits.missing_more:
                missing, there = _percent(shift.missing), _percent(shift.missing_in_reference)
                says = f"{_named(shift.name)}: missing for {missing} of rows, {there} in {WORDS[against]}"
                yield _alert(
                    group, "missing", more, self._limits.missing_more, says, feature=shift.name, against=against
                )

    def _end(self, shift: Shift) -> str:
        """Return a note if nearly all rows are at one end of the scale, unlike the rest of the batch."""
        whole = self._of_group[WHOLE][shift.name]
        for end in (0, -1):
            if (
                shift.ordered
                and len(shift.counts) > 2
                and shift.counts[end] >= ONE_END * shift.people
                and whole.counts[end] - shift.counts[end] < (whole.people - shift.people) / 2
            ):
                return "; nearly all values are at one end, as in another unit"
        return ""

    def of_codes(self) -> Iterator[dict[str, Any]]:
        """Yield the alerts of codes that reject rows or make them not eligible."""
        of_group = {group: _codes(counted) for group, counted in self.counted.items()}
        groups = [group for group in self.counted if group != WHOLE]
        of_groups = sum((of_group[group] for group in groups), Counter[str]())
        rows_of_groups = sum(self.counted[group].rows for group in groups)
        for group, counted in self.counted.items():
            pools = {}
            if group in self._before:
                pools[BEFORE] = self._before[group].codes, sum(self._before[group].rows)
            if group != WHOLE:
                pools[OTHERS] = of_groups - of_group[group], rows_of_groups - counted.rows
            for against, (codes, rows) in pools.items():
                for code, count in of_group[group].items():
                    share, there = count / counted.rows, codes[code] / max(rows, 1)
                    se = (share * (1 - share) / counted.rows + there * (1 - there) / max(rows, 1)) ** 0.5
                    more = share - there
                    if min(rows, counted.rows) >= ENOUGH and more >= max(self._limits.rejected_more, BEYOND * se):
                        says = f"{code}: {_percent(share)} of rows, {_percent(there)} in {WORDS[against]}"
                        feature = code.partition(":")[2]
                        yield _alert(
                            group, "code", more, self._limits.rejected_more, says, feature=feature, against=against
                        )

    def of_rows(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the alerts of volume, rejected rows, out-of-distribution rows, expected and observed performance."""
        limits = self._limits
        for row in rows:
            group, n = row["group"], row["rows"]
            before = self._before.get(group, _Before())
            rejected = row["rejected"] / n if n else 0.0
            if rejected > limits.rejected:
                says = f"{row['rejected']:,} of {n:,} rows are rejected ({_percent(rejected)})"
                yield _alert(group, "rejected", rejected, limits.rejected, says)
            if row["outside"] > limits.outside:
                says = f"{_percent(row['outside'])} of the scored rows are out of the model's training distribution"
                yield _alert(group, "outside", row["outside"], limits.outside, says)
            if len(before.rows) >= FEW_BATCHES:
                yield from _volume(group, n, median(before.rows), limits)
            if len(before.aurocs) >= FEW_BATCHES:
                less = median(before.aurocs) - row["expected_auroc"]
                if less > limits.expected_auroc_less:
                    says = f"expected AUROC {row['expected_auroc']:.3f}, median before {median(before.aurocs):.3f}"
                    yield _alert(group, "expected_auroc", less, limits.expected_auroc_less, says, against=BEFORE)
            ratio, low, high = (row[f"observed_expected{end}"] for end in ("", "_low", "_high"))
            if abs(ratio - 1) > limits.observed_expected and not low <= 1 <= high:
                says = f"observed / expected cases {ratio:.2f} (95 % interval {low:.2f} to {high:.2f})"
                yield _alert(group, "observed_expected", abs(ratio - 1), limits.observed_expected, says)
        every = len(self._before[WHOLE].rows) if WHOLE in self._before else 0
        for group, before in self._before.items():
            # A group that earlier batches had and this one lacks.
            if len(self.counted) > 1 and group not in self.counted and len(before.rows) == every >= FEW_BATCHES:
                yield from _volume(group, 0, median(before.rows), limits)


def _volume(group: str, rows: int, usual: float, limits: Limits) -> Iterator[dict[str, Any]]:
    factor = max(rows, usual) / max(min(rows, usual), 1)
    if factor > limits.volume_factor:
        says = f"{rows:,} rows; median of earlier batches {usual:,.0f}"
        yield _alert(group, "volume", factor, limits.volume_factor, says, against=BEFORE)


def _alert(
    group: str, alert: str, value: float, limit: float, says: str, *, feature: str = "", against: str = ""
) -> dict[str, Any]:
    fields = {"feature": feature, "against": against, "value": value, "limit": limit}
    return {"group": group, "alert": alert, **fields, "says": says}


def _row(batch: Batch, group: str, counted: Counted, seen: Observed | None) -> dict[str, Any]:
    expected = counted.expected_performance
    row = {
        "batch": batch.batch,
        "time": batch.time,
        "model": batch.model,
        "sha256": batch.sha256,
        "group": group,
        "rows": counted.rows,
        "scored": counted.scored,
        "rejected": counted.rejected,
        "not_eligible": counted.not_eligible,
        "outside": counted.outside_domain / counted.scored if counted.scored else 0.0,
        "mean_risk": _known(counted.mean_risk),
        **{f"risk_{round(100 * float(p))}": _known(risk) for p, risk in counted.risk_quantiles.items()},
        "expected_cases": expected.cases,
        "expected_auroc": _known(expected.auroc),
        "observed_n": seen.n if seen else NAN,
        "observed_cases": seen.cases if seen else NAN,
    }
    for metric in ("observed_expected", "auroc"):
        ends = seen.metrics.get(metric, [None] * 3) if seen else [None] * 3
        row |= {f"{metric}{end}": _known(value) for end, value in zip(("", "_low", "_high"), ends, strict=True)}
    return row


def _known(value: float | None) -> float:
    return NAN if value is None else value


def _record(batch: Batch, group: str, against: str, shift: Shift) -> dict[str, Any]:
    statistics = {name: getattr(shift, name) for name in ("people", "psi", "psi_limit", "ks", "ks_se", "missing")}
    where = {"batch": batch.batch, "group": group, "feature": shift.name, "against": against}
    return {**where, **statistics, "missing_against": shift.missing_in_reference}


def _codes(counted: Counted) -> Counter[str]:
    return Counter(counted.rejected_by) + Counter(counted.not_eligible_by)


def _named(name: str) -> str:
    """Return the name of a feature with the inputs it is computed from, one of which may be wrong."""
    made_of = FEATURES[name].derived_from if name != RISK and name in FEATURES else ()
    return f"{name} (from {', '.join(made_of)})" if made_of else name


def _notes(history: History) -> Iterator[str]:
    if history.again:
        yield f"batches that were scored again: {history.again:,}; the last one counts"
    if history.unread:
        lines = few([*map(str, history.unread)])
        yield f"lines of the history that cannot be read and are skipped: {len(history.unread):,} ({lines})"
    models = {batch.sha256 for batch in history.batches}
    if len(models) > 1:
        yield f"batches of {len(models)} models; each is compared with earlier batches of the same model"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
