"""Summarise a batch: counts that are added over blocks and parts, and a few lines with the main results.

The lines show rows, rejected rows by code and given inputs, then distribution shift where it exceeds chance, and the
performance that the risks imply if they are calibrated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from mgrisk.config.checked import brief
from mgrisk.errors import few
from mgrisk.model.reference import RISK
from mgrisk.score.absent import AbsentSets, Gain, gains
from mgrisk.score.answers import Answers
from mgrisk.score.column_names import given_columns, unused_columns
from mgrisk.score.drift_monitor import LARGE, SMALL, BinCounts, ReferenceBins, Shift
from mgrisk.score.eligibility import Exclusion, unidentified_exclusions
from mgrisk.score.expected_performance import RiskCounts
from mgrisk.score.input_schema import IMPROBABLE_VALUE, NOT_ELIGIBLE, OUTSIDE_DOMAIN, STATUSES
from mgrisk.score.not_accepted import NotAccepted
from mgrisk.score.scorer import PERSON, Scorer

_EXCLUDED, _IMPROBABLE, _OUTSIDE = (f"{code}:" for code in (STATUSES[NOT_ELIGIBLE], IMPROBABLE_VALUE, OUTSIDE_DOMAIN))
COUNTED: Final = (
    *("rows", "scored", "rejected", "rejected_by", "not_eligible", "not_eligible_by", "outside_domain"),
    *("mean_risk", "risk_quantiles", "expected_performance", "drift"),
)
LITTLE: Final = 0.05
"""Minimum share of the uncertainty that measuring an input would remove, for it to be shown."""
NO_ROWS: Final = "0 rows: the input has a header and no rows"
AUROC_WITHOUT: Final = "  AUROC {:.3f} with all inputs, {:.3f} without these, in left-out cycles"


@dataclass(frozen=True)
class Tally:
    """Counts of rows; counts of blocks can be added.

    Attributes
    ----------
    rows, rejected, not_eligible, outside_domain
        Counts of rows: all, those with values that are not usable, those of people to whom the model does not apply,
        and scored rows that are out of distribution.
    problems
        How often each code occurs.
    not_accepted
        Counts of values that the input schema did not accept.
    bin_counts, risks, lacking
        Counts of scored rows by value bins for the comparison with the reference, by risk, and by missing inputs.
    columns
        Columns of the file, or of any part of a folder; empty in the tally of a block.
    groups
        The same counts by the values of a column, if requested.
    """

    rows: int = 0
    rejected: int = 0
    outside_domain: int = 0
    not_eligible: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    not_accepted: NotAccepted = field(default_factory=NotAccepted)
    bin_counts: BinCounts | None = None
    risks: RiskCounts | None = None
    lacking: AbsentSets | None = None
    columns: tuple[str, ...] = ()
    groups: Mapping[str, Tally] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        answers: Answers,
        reference_bins: ReferenceBins,
        group: Sequence[str] | None = None,
        *,
        not_accepted: NotAccepted | None = None,
    ) -> Tally:
        """Count answers, also by group if the group of each row is given."""
        scored = answers.scored
        groups = {}
        if group is not None:
            place, names = pd.factorize(np.asarray(group, dtype=object), sort=True)
            groups = {str(name): cls.of(answers.where(place == k), reference_bins) for k, name in enumerate(names)}
        return cls(
            rows=len(answers),
            rejected=int(answers.rejected.sum()),
            outside_domain=int((scored & ~answers.inside).sum()),
            not_eligible=int((answers.status == NOT_ELIGIBLE).sum()),
            problems=answers.problems.counts,
            not_accepted=not_accepted or NotAccepted(),
            bin_counts=reference_bins.measure(answers),
            risks=RiskCounts.of(answers.risk[0][scored]),
            lacking=AbsentSets.of(answers.values, scored),
            groups=groups,
        )

    @property
    def scored(self) -> int:
        """Number of rows with a risk."""
        return self.rows - self.rejected - self.not_eligible

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            rows=self.rows + other.rows,
            rejected=self.rejected + other.rejected,
            outside_domain=self.outside_domain + other.outside_domain,
            not_eligible=self.not_eligible + other.not_eligible,
            problems=self.problems + other.problems,
            not_accepted=self.not_accepted + other.not_accepted,
            bin_counts=self.bin_counts + other.bin_counts
            if self.bin_counts and other.bin_counts
            else self.bin_counts or other.bin_counts,
            risks=self.risks + other.risks if self.risks and other.risks else self.risks or other.risks,
            lacking=self.lacking + other.lacking if self.lacking and other.lacking else self.lacking or other.lacking,
            columns=tuple(dict.fromkeys((*self.columns, *other.columns))) if other.columns else self.columns,
            groups={
                name: self.groups.get(name, Tally()) + other.groups.get(name, Tally())
                for name in sorted(self.groups.keys() | other.groups.keys())
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON for a journal."""
        # Not `dataclasses.asdict`, which would rebuild a Counter by counting its items.
        return {
            **vars(self),
            "problems": dict(self.problems),
            "not_accepted": dict(self.not_accepted.rows),
            "bin_counts": self.bin_counts.to_dict() if self.bin_counts else None,
            "risks": self.risks.to_dict() if self.risks else None,
            "lacking": dict(self.lacking.rows) if self.lacking else None,
            "columns": list(self.columns),
            "groups": {name: group.to_dict() for name, group in self.groups.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Tally:
        """Restore the counts from `to_dict`."""
        read = {
            "problems": Counter(content["problems"]),
            "not_accepted": NotAccepted(content["not_accepted"]),
            "bin_counts": BinCounts.from_dict(content["bin_counts"]) if content["bin_counts"] else None,
            "risks": RiskCounts.from_dict(content["risks"]) if content["risks"] else None,
            "lacking": AbsentSets(content["lacking"]) if content["lacking"] is not None else None,
            "columns": tuple(content["columns"]),
            "groups": {name: cls.from_dict(group) for name, group in content["groups"].items()},
        }
        return cls(**{**content, **read})


@dataclass(frozen=True)
class Summary:
    """Summary of a batch, written beside the output as <output>.summary.json.

    Attributes
    ----------
    about
        Model, base value and data label.
    tally
        Counts of rows.
    rejected_by, not_eligible_by, improbable_by, outside_by
        How often each code occurs that rejects a row, excludes a person, marks an improbable value, or names the
        feature by which a scored row is out of distribution; the most frequent first. A row may have several.
    exclusions
        People to whom the model does not apply.
    exclusion_columns
        Names of the exclusion columns that the file has.
    given, absent
        Inputs of the model that some scored row has, directly or derived, and inputs that no scored row has. Values
        that are implied without being given, such as no gestational diabetes in men, count as absent.
    auroc
        AUROC in left-out cycles with all inputs, and without the absent ones; None if unknown.
    gains
        Reduction in uncertainty from measuring each absent input, the largest first.
    unused
        Columns that give no input, each with the input that was perhaps meant, or "".
    shifts
        Distribution shift against the bundle's reference, the largest first.
    expected
        Result of `RiskCounts.expected`.
    groups
        Summaries of the groups, if the batch was counted by a column.
    """

    about: Mapping[str, Any]
    tally: Tally
    rejected_by: Mapping[str, int]
    not_eligible_by: Mapping[str, int]
    improbable_by: Mapping[str, int]
    outside_by: Mapping[str, int]
    exclusions: Sequence[Exclusion]
    exclusion_columns: Sequence[str]
    given: Sequence[str]
    absent: Sequence[str]
    auroc: tuple[float, float] | None
    gains: Sequence[Gain]
    unused: Mapping[str, str]
    shifts: Sequence[Shift]
    expected: Mapping[str, Any]
    groups: Mapping[str, Summary] = field(default_factory=dict)

    @classmethod
    def of(cls, scorer: Scorer, tally: Tally, about: Mapping[str, Any], *, whole: bool = True) -> Summary:
        """Summarise the counts of a batch, or of a group (`whole` is False), which has only the fields of `counted`."""
        shifts = scorer.reference_bins.shifts(tally.bin_counts) if tally.bin_counts else []
        counted = {shift.name: shift.people for shift in shifts if tally.scored}
        people = {each.name: counted[each.name] for each in scorer.bundle.features if each.name in counted}
        columns = given_columns(tally.columns, scorer.schema_features)
        # Values implied by being male were not given by the file.
        in_part = {each.name for each in scorer.bundle.features if each.derived_in_part and each.name not in columns}
        absent = [name for name, count in people.items() if count == 0 or name in in_part]
        given = [name for name in people if name not in absent]
        ranked = _ranked(tally.problems)
        return cls(
            about={
                "model": scorer.label,
                "data": scorer.bundle.about["data"],
                "drift_reference": scorer.bundle.drift_people,
                **about,
            },
            tally=tally,
            rejected_by=_of_kind(ranked, ""),
            not_eligible_by=_of_kind(ranked, _EXCLUDED),
            improbable_by=_of_kind(ranked, _IMPROBABLE),
            outside_by=_of_kind(ranked, _OUTSIDE),
            exclusions=scorer.exclusions,
            exclusion_columns=[each.feature.name for each in scorer.exclusions if each.feature.name in columns],
            given=given,
            absent=absent,
            auroc=scorer.bundle.auroc_without(absent) if whole else None,
            gains=gains(scorer.bundle, tally.lacking) if whole and tally.lacking else [],
            unused=unused_columns([name for name in tally.columns if name != PERSON], scorer.schema_features)
            if whole
            else {},
            shifts=shifts,
            expected=(tally.risks or RiskCounts.empty()).expected(),
            groups={
                name: cls.of(scorer, replace(group, columns=tally.columns), {}, whole=False)
                for name, group in tally.groups.items()
            },
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the content of the summary file."""
        tally, people = self.tally, self.expected["people"]
        auroc = dict(zip(("auroc_with_all", "auroc_without_absent"), self.auroc, strict=True)) if self.auroc else {}
        return {
            **self.about,
            "rows": tally.rows,
            "scored": tally.scored,
            "rejected": tally.rejected,
            "rejected_by": dict(self.rejected_by),
            "not_accepted": tally.not_accepted.named(),
            "not_eligible": tally.not_eligible,
            "not_eligible_by": dict(self.not_eligible_by),
            "not_for": [
                {**each.to_dict(), "given": each.feature.name in self.exclusion_columns} for each in self.exclusions
            ],
            "improbable_by": dict(self.improbable_by),
            "outside_domain": tally.outside_domain,
            "outside_by": dict(self.outside_by),
            "mean_risk": self.expected["cases"] / people if people else None,
            "risk_quantiles": (tally.risks or RiskCounts.empty()).quantiles(),
            "inputs": {"given": list(self.given), "absent": list(self.absent), **auroc},
            "worth_measuring": [each.to_dict() for each in self.gains],
            "unused_columns": dict(self.unused),
            "expected_performance": dict(self.expected),
            "drift": [shift.to_dict() for shift in self.shifts],
            **({"groups": {name: group.counted() for name, group in self.groups.items()}} if self.groups else {}),
        }

    def counted(self) -> dict[str, Any]:
        """Return the counts of rows, for a group and for the history of batches."""
        # Implied values, such as no gestational diabetes in men, are not a distribution of the file.
        shifts = [shift for shift in self.shifts if not (shift.people and shift.name in self.absent)]
        counted = replace(self, about={}, groups={}, shifts=shifts).to_dict()
        return {name: counted[name] for name in COUNTED}

    def lines(self) -> list[str]:
        """Return about ten lines of text, the most important first."""
        tally = self.tally
        codes = _codes(self.rejected_by)
        rejected = f"{tally.rejected:,} rejected" + (f" ({codes})" if codes else "")
        excluded = _codes(self.not_eligible_by, _EXCLUDED)
        others = f", {tally.not_eligible:,} not eligible ({excluded})" if excluded else ""
        counts = f"{tally.rows:,} rows: {tally.scored:,} scored by {self.about['model']}, {rejected}{others}"
        lines = [counts if tally.rows else NO_ROWS]
        lines += tally.not_accepted.lines()
        if self.improbable_by:
            lines.append(f"  improbable: {_codes(self.improbable_by, _IMPROBABLE)}")
        bundle = self.about.get("bundle", {})
        if tally.scored and bundle.get("parent"):
            parent = bundle["parent"]
            lines.append(f"recalibrated from {parent['name']} ({parent['sha256'][:12]}) for: {bundle['holds_for']}")
        if tally.scored:
            lines += unidentified_exclusions(self.exclusions, self.exclusion_columns)
        skipped = list(self.about.get("skipped", ()))
        if skipped:
            lines.append(f"files skipped, whose names begin with . or _ ({len(skipped)}): {few(skipped, most=5)}")
        lines += self._about_inputs()
        if tally.scored:
            lines += [*self._about_drift(), *self._about_expected()]
        return lines

    def _about_inputs(self) -> Iterator[str]:
        given, absent = self.given, self.absent
        if given:
            shorter = f": {few(given, most=6)}" if len(given) < len(absent) else f"; absent: {few(absent, most=4)}"
            yield f"inputs: {len(given)} of {len(given) + len(absent)} given{shorter if absent else ''}"
        if self.auroc:
            yield AUROC_WITHOUT.format(*self.auroc)
        for each in self.gains[:1]:
            if each.removes >= LITTLE:
                yield (
                    f"  worth measuring: {each.name}, absent for {_percent(each.absent)} of rows; it would remove "
                    f"{_percent(each.removes)} of the uncertainty from absent inputs"
                )
        more = {each.name: each.missing for each in self.shifts if each.name in given and each.misses_more}
        if more:
            often = [f"{name} {_percent(more[name])}" for name in sorted(more, key=lambda name: -more[name])]
            yield f"  missing more often than in {self.about['drift_reference']}: {few(often, most=2)}"
        yield from not_used(self.unused)

    def _about_drift(self) -> Iterator[str]:
        outside = f"out of distribution: {_percent(self.tally.outside_domain / self.tally.scored)} of rows"
        outside += f" ({_codes(self.outside_by, _OUTSIDE, most=2)})" if self.outside_by else ""
        shifts = [shift for shift in self.shifts if shift.enough and shift.name in self.given]
        if not shifts:
            yield f"distribution shift: too few rows to distinguish it from chance; {outside}"
            return
        large = [f"{shift.name} {shift.psi:.2f}" for shift in shifts if shift.exceeds(LARGE)]
        small = sum(shift.exceeds(SMALL) for shift in shifts) - len(large)
        names = f" ({few(large, most=3)})" if large else ""
        yield (
            f"distribution shift: PSI (population stability index) ≥ {LARGE} for {len(large)} of {len(shifts)} inputs"
            f"{names}, {SMALL} to {LARGE} for {small}; {outside}"
        )
        for shift in self.shifts:
            if shift.enough and shift.name == RISK:
                gap = f"KS statistic {shift.ks:.2f} (SE {shift.ks_se:.2f})"
                yield f"  risks: PSI {shift.psi:.2f}, {gap}"

    def _about_expected(self) -> Iterator[str]:
        expected = self.expected
        auroc = "" if expected["auroc"] is None else f", AUROC {expected['auroc']:.2f}"
        yield f"expected if calibrated, which only outcomes can show: {expected['cases']:,.1f} cases{auroc}"
        for at in expected["thresholds"]:
            if 0 < at["flagged"] < 1:
                yield (
                    f"  risk ≥ {100 * at['threshold']:g}%: {_percent(at['flagged'])} screen-positive, "
                    f"sensitivity {_percent(at['sensitivity'])}, specificity {_percent(at['specificity'])}, "
                    f"PPV {_percent(at['ppv'])}"
                )


def not_used(unused: Mapping[str, str]) -> Iterator[str]:
    """Yield a line with the columns that give no input, each with the input that was perhaps meant.

    Examples
    --------
    >>> list(not_used({"Waist": "waist_cm", "visit": ""}))
    ['columns not used (2): Waist (waist_cm?), visit']
    """
    if unused:
        names = [f"{brief(name)} ({meant}?)" if meant else brief(name) for name, meant in unused.items()]
        yield f"columns not used ({len(names)}): {', '.join(names)}"


def _of_kind(codes: Mapping[str, int], kind: str) -> dict[str, int]:
    """Return the codes that begin with `kind`; an empty kind is for codes that reject a row."""
    others = (_EXCLUDED, _IMPROBABLE, _OUTSIDE)
    return {code: count for code, count in codes.items() if code.startswith(kind or others) is bool(kind)}


def _codes(counts: Mapping[str, int], kind: str = "", *, most: int = 4) -> str:
    return few([f"{count:,} × {code.removeprefix(kind)}" for code, count in counts.items()], most=most)


def _ranked(problems: Counter[str]) -> dict[str, int]:
    """Return the codes by frequency, then by name, so that the order does not depend on the blocks."""
    return dict(sorted(problems.items(), key=lambda code: (-code[1], code[0])))


def _percent(share: float) -> str:
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f}%"
