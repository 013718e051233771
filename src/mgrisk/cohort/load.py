"""Loading of NHANES participants with features, variables, outcome and survey design in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from mgrisk.cohort import leaks, select
from mgrisk.cohort.outcomes import outcome as outcome_named
from mgrisk.cohort.select import DEVELOPMENT
from mgrisk.cohort.variables import decoded, problem_in, refuse_many_rows
from mgrisk.cohort.weights import shares
from mgrisk.errors import bad_input, usage
from mgrisk.features import compute
from mgrisk.features.registry import computed_from
from mgrisk.features.registry import features as features_named
from mgrisk.features.summary import gather, paths
from mgrisk.nhanes.codebook import KEY, SYNTHETIC
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.eras import check_comparable, equation_sources
from mgrisk.nhanes.harmonise import apply_crosswalks
from mgrisk.nhanes.store import Store, default_cache, default_source, fetch
from mgrisk.survey.design import SurveyDesign


@dataclass(frozen=True, eq=False)
class People:
    """Eligible people of some NHANES cycles, for survey estimates and scikit-learn.

    Attributes
    ----------
    frame
        Features and variables, one row for each person, indexed by SEQN. Numbers are float64, answers categories.
    outcome
        1 for a case and 0 for others, same index; None if no outcome was requested.
    design
        The survey design, aligned with `frame`, with the combined weight of the smallest subsample in use. Its PSUs are
        those of all participants.
    attrition
        One row for each rule: rule, n, excluded, and events if there is an outcome.
    cycle
        Cycle of each person, same index.
    weight, forced_by
        Names of the weights, and the variable or feature that determined them.
    synthetic
        Whether the people are synthetic.
    harmonised
        Names of the breaks before which values were converted to the later scale.
    """

    frame: pd.DataFrame
    outcome: pd.Series | None
    design: SurveyDesign
    attrition: pd.DataFrame
    cycle: pd.Series
    weight: tuple[str, ...]
    forced_by: str
    synthetic: bool
    harmonised: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.frame)

    def __repr__(self) -> str:
        made_up = f"{SYNTHETIC}: " if self.synthetic else ""
        scale = f"; converted to the later scale of {', '.join(self.harmonised)}" if self.harmonised else ""
        cases = "" if self.outcome is None else f"; {int(self.outcome.sum()):,} cases of {self.outcome.name}"
        return (
            f"People({made_up}{len(self):,} of {', '.join(self.cycle.unique())}{cases}; {self.frame.shape[1]} columns; "
            f"{self.design.level} weight {', '.join(self.weight)}, because of {self.forced_by}{scale})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<p>{escape(repr(self))}</p>{self.attrition.to_html(index=False)}"


def load_nhanes(
    cycles: str | Sequence[str],
    *,
    features: Sequence[str] = (),
    outcome: str | None = None,
    variables: Sequence[str] = (),
    minimum_age: int = 20,
    across_breaks: Iterable[str] = (),
    harmonise: Iterable[str] = (),
    source: str | Path | None = None,
    offline: bool = False,
) -> People:
    """Read NHANES participants with features, variables, an outcome and the survey design, as in a model run.

    Parameters
    ----------
    cycles
        Names of cycles, such as ``2017-2018``; their weights are combined.
    features
        Features of the registry, such as ``magnesium_food_mg`` (`mgrisk codebook` lists them).
    outcome
        Outcome, such as ``undiagnosed``; only eligible people with a known outcome are kept. None keeps everyone of the
        minimum age in the subsample of the requested variables.
    variables
        NHANES variables, such as ``SLQ050``, from tables with one row for each person; answers have CDC's labels.
    minimum_age
        Minimum age in years.
    across_breaks, harmonise
        Names of breaks in question or method across which values are pooled unchanged, or converted to the later scale
        by CDC's equation.
    source
        Folder laid out like the CDC site, or base address; by default ``$MGRISK_NHANES`` or the CDC site.
    offline
        Whether to use only the cache and never a web site.

    Returns
    -------
    People

    Raises
    ------
    MgRiskError
        ``features.unknown``, ``codebook.unknown_variable``, ``outcomes.unknown``, ``cycles.unknown_cycle``, each with
        known names; ``harmonise.several_rows`` with the table; ``describe.not_measured`` if a cycle lacks a variable;
        ``leakage.by_name`` if a feature or variable leaks the outcome; ``eras.not_comparable`` with the break to name;
        ``load.twice``; ``load.nobody``; the errors of reading tables.

    Examples
    --------
    >>> from tempfile import mkdtemp
    >>> from mgrisk.nhanes.synthetic import write_cohort
    >>> tables = Path(mkdtemp())
    >>> _ = write_cohort(tables, people_per_cycle=300, cycles=[cycle("2017-2018")])
    >>> people = load_nhanes("2017-2018", features=["age_years", "sex"], variables=["BMXBMI"], source=tables)
    >>> people.frame.columns.tolist(), people.weight, people.forced_by
    (['age_years', 'sex', 'BMXBMI'], ('WTMEC2YR',), 'BMXBMI')
    >>> people.synthetic, len(people) == len(people.design)
    (True, True)
    """
    years = [cycles] if isinstance(cycles, str) else list(cycles)
    names = [*features, *variables]
    if twice := [name for name in names if names.count(name) > 1]:
        raise usage("load.twice", f"{twice[0]} is named twice", where="features, variables", hint="name each once")
    chosen, known = features_named(features, where="features"), [cycle(each) for each in years]
    row = None if outcome is None else outcome_named(outcome, where="outcome")
    for name in variables:
        refuse_many_rows(name)
    for name in names:
        for each in known:
            if problem := problem_in(name, each):
                raise problem
    if row is not None:
        leaks.refuse_leaks(row, chosen)
        leaks.refuse_leaking_variables(row, variables)
    family = computed_from(chosen)
    meant = [*(each.name for each in family), *variables, *(() if row is None else row.variables)]
    converted = tuple(harmonise)
    check_comparable(meant, years, across_breaks=frozenset(across_breaks), crosswalks=frozenset(converted))

    store = Store(source=str(source or default_source()), cache=default_cache(), offline=offline)
    needed = (*select.required_variables(row, chosen, [years], variables=variables), *equation_sources(converted))
    fetch(store, paths(known, chosen, needed, store=store))
    harmonised = gather(store, cycles=known, chosen=chosen, names=needed)
    raw = apply_crosswalks(harmonised.frame, converted)
    cohort = select.select(
        raw, outcome=row, chosen=chosen, development=years, held_out=(), minimum_age=minimum_age, variables=variables
    )
    people, full = select.design(cohort.frame, level=cohort.level, set_name=DEVELOPMENT)
    if full.n == 0:
        raise bad_input(
            "load.nobody",
            "nobody is eligible",
            where=", ".join(years),
            hint="use a lower minimum_age, other cycles, or fewer variables at a time",
        )
    models = compute.fit(compute.from_nhanes(raw, family), full, family)
    columns = compute.from_nhanes(raw, chosen, models=models)
    frame = columns.join(pd.DataFrame({name: decoded(name, raw[name]) for name in variables}, index=raw.index))
    kept = people["analysis"].to_numpy(dtype=bool)
    index = pd.Index(people.loc[kept, KEY], name=KEY)
    steps = pd.DataFrame([step.to_dict() for step in cohort.attrition if step.set == DEVELOPMENT]).drop(columns="set")
    return People(
        frame=frame[kept].set_axis(index),
        outcome=None if row is None else people.loc[kept, "outcome"].set_axis(index).astype("int64").rename(row.name),
        design=full.keep(kept),
        attrition=steps if row is not None else steps.drop(columns="events"),
        cycle=people.loc[kept, "cycle"].set_axis(index),
        weight=tuple(dict.fromkeys(each.weight for each in shares(cohort.level, years))),
        forced_by=cohort.forced_by,
        synthetic=harmonised.synthetic,
        harmonised=converted,
    )
