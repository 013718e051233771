"""Create the cohort of a run from a user's file, with or without a mapping and a survey design.

This module writes the same files as `cohort.make_cohort` does for NHANES, so that later steps need no changes. A row of
the file is a participant, with its row number, from 1, as SEQN, so that no identifier of a person is in the run folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mgrisk.cohort import leaks, select, targets
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT, AttritionStep
from mgrisk.config.pipeline_file import RANDOM, Cohort, Own
from mgrisk.errors import bad_input, usage
from mgrisk.features.compute import complete
from mgrisk.features.registry import FEATURES
from mgrisk.nhanes.codebook import KEY, SYNTHETIC
from mgrisk.own_data.labelled import LabelColumns, LabelledPeople, Rule, read_labelled
from mgrisk.pipeline.cohort import fit_features, write_cohort
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.workspace import AGE, Workspace
from mgrisk.run_folder import names
from mgrisk.score.column_names import given_columns
from mgrisk.score.mapping import Mapped, map_file
from mgrisk.score.mapping_file import read_mapping
from mgrisk.score.scorer import PERSON
from mgrisk.score.sources import USUAL, open_source
from mgrisk.storage.files import sha256
from mgrisk.storage.temporary import temporary
from mgrisk.survey.design import WeightLevel
from mgrisk.types import Booleans


def files(own: Own) -> tuple[Path, ...]:
    """Return the files that the run reads: the cohort, and its mapping."""
    return tuple(Path(name) for name in (own.file, own.mapping) if name)


def columns(own: Own) -> tuple[str, ...]:
    """Return the columns of the file, after mapping, from its header."""
    mapping = read_mapping(Path(own.mapping)) if own.mapping else None
    with open_source(own.file, dialect=USUAL if mapping is None else mapping.file.dialect) as table:
        return tuple(table.columns if mapping is None else mapping.columns)


def given(own: Own) -> frozenset[str]:
    """Return the features that the file gives: `Workspace.given`."""
    return frozenset(given_columns(columns(own), [row for row in FEATURES.values() if row.given]))


def refuse_misuse(workspace: Workspace, own: Own) -> None:
    """Refuse problems that the header of the file shows, before anything is written.

    Raises
    ------
    MgRiskError
        Those of `read_mapping` and `open_source`; `own.missing_column`; `own.no_feature` for a feature that neither is
        in the file nor can be derived; those of `cohort.leaks.refuse_leaks`.
    """
    leaks.refuse_leaks(workspace.outcome, workspace.model_features)
    there = columns(own)
    for name in filter(None, (*_labels(own).names, own.period, own.held_out_by)):
        if name not in there:
            hint = "name it under [keep] of the mapping file" if own.mapping else "give the name as in the header"
            raise bad_input(
                "own.missing_column",
                f"the column {name} is missing",
                where=own.file,
                got=f"{len(there)} other columns",
                hint=hint,
            )
    lacking = [feature.name for feature in workspace.model_features if not workspace.has_feature(feature)]
    if lacking:
        raise usage(
            "own.no_feature",
            f"the file has neither {lacking[0]} nor the inputs it is derived from",
            where="model.features",
            got=", ".join(lacking),
            hint="map a column to it, or leave it out of model.features",
        )


def make_cohort(workspace: Workspace, own: Own) -> str:
    """Read the file; write features, cohort, attrition and the provenance of the file."""
    with _in_shape(own, workspace.folder) as (source, mapped):
        people = _read(workspace, own, source)
    settings = workspace.pipeline.cohort
    when = _periods(people.carried[own.period], settings, own) if own.period else _drawn(people, settings, own)
    of_set = when.map(_sets(settings))
    inside = of_set.notna().to_numpy()
    _refuse_person_twice(people.carried, of_set, own)
    rules = [*people.rules, *_age_rule(people, settings)]
    left = np.logical_and.reduce([inside, *(~rule.out for rule in rules)])
    frame = pd.DataFrame(
        {
            KEY: np.arange(1, len(when) + 1, dtype=np.int64),
            "cycle": when,
            "set": of_set,
            "stratum": people.design.stratum,
            "psu": people.design.psu,
            "weight": people.design.weight,
            "outcome": people.outcome,
            "eligible": left,
            "analysis": left,
        }
    )
    if people.prediabetes is not None:
        frame[select.PREDIABETES] = people.prediabetes
    attrition = tuple(_attrition(frame, rules, settings))
    cohort = select.Cohort(frame[inside].reset_index(drop=True), attrition, WeightLevel.INTERVIEW, "nothing")
    _refuse_one_class(attrition, own)
    _refuse_few_units(cohort.frame, settings, own)
    given = complete(people.values, workspace.read_features)[inside].reset_index(drop=True)
    models = fit_features(workspace, cohort, given)
    computed = complete(people.values, workspace.all_features, models=models)[inside].reset_index(drop=True)
    _refuse_empty(workspace, computed)
    computed.insert(0, KEY, cohort.frame[KEY])
    about = {
        "weight": own.weight or "nothing: everybody counts the same",
        "breaks": [],
        "absent": [],
        "own": {
            "data": own.data,
            "file": Path(own.file).name,
            "sampling": people.sampling,
            "outcome_column": own.outcome,
            "other_periods": int((~inside).sum()),
            "problems": people.problems,
            "mapping": _mapping_record(own, mapped),
            "split": _split(own, people),
        },
    }
    return write_cohort(
        workspace,
        cohort,
        computed,
        models=models,
        behind=targets.nothing_measured(),
        tables=_tables(own, len(when)),
        about=about,
    )


@contextmanager
def _in_shape(own: Own, folder: Path) -> Iterator[tuple[str, Mapped | None]]:
    """Yield the path of the file as a scoring file: itself, or a mapped temporary file beside the run."""
    if not own.mapping:
        yield own.file, None
        return
    # If this run is killed, the next one removes a file of this name.
    there = temporary(folder / "mapped")
    there.mkdir(mode=0o700)
    try:
        target = there / "people.csv"
        mapped = map_file(own.file, read_mapping(Path(own.mapping)), str(target))
        yield str(target), mapped
    finally:
        shutil.rmtree(there, ignore_errors=True)


def _read(workspace: Workspace, own: Own, source: str) -> LabelledPeople:
    person = [PERSON] if PERSON in columns(own) else []
    inputs = tuple(feature for feature in workspace.read_features if feature.given)
    carry = dict.fromkeys(name for name in (own.period, own.held_out_by, *person) if name)
    return read_labelled(source, inputs, _labels(own), carry=[*carry])


def _labels(own: Own) -> LabelColumns:
    return LabelColumns(own.outcome, own.weight, own.strata, own.psu, own.prediabetes)


def _sets(settings: Cohort) -> Mapping[str, str]:
    return dict.fromkeys(settings.development, DEVELOPMENT) | dict.fromkeys(settings.held_out, HELD_OUT)


def _periods(column: pd.Series, settings: Cohort, own: Own) -> pd.Series:
    when = column.str.strip()
    found = set(when)
    for name in _sets(settings):
        if name not in found:
            raise bad_input(
                "own.no_such_period",
                f"no row has {own.period} {name}",
                where=own.file,
                got=f"{len(found)} other values",
                hint="check that cohort.development and cohort.held_out name values of the column",
            )
    return when


def _unit_of_split(own: Own, people: LabelledPeople) -> tuple[str, pd.Series]:
    """Return a description of the units that are held out as a whole, and the unit of each row."""
    if own.held_out_by:
        return f"values of {own.held_out_by}", people.carried[own.held_out_by].str.strip()
    if own.psu:
        return "sampling units", pd.Series(list(zip(people.design.stratum, people.design.psu, strict=True)))
    if PERSON in people.carried:
        names = people.carried[PERSON].str.strip()
        return "people", names.where(names != "", names.index.to_series())
    return "rows", people.carried.index.to_series()


def _drawn(people: LabelledPeople, settings: Cohort, own: Own) -> pd.Series:
    """Hold out a random share of the units; all rows of a unit are in the same set."""
    _, of_row = _unit_of_split(own, people)
    unit, found = pd.factorize(of_row)
    count = min(max(round(len(found) * (own.held_out_share or 0.0)), 1), len(found) - 1)
    held = np.random.default_rng(settings.seed).permutation(len(found))[:count]
    return pd.Series(np.where(np.isin(unit, held), RANDOM[1], RANDOM[0]))


def _split(own: Own, people: LabelledPeople) -> str:
    if own.held_out_share is None:
        return ""
    return f"{100 * own.held_out_share:g} % of the {_unit_of_split(own, people)[0]}, drawn at random"


def _refuse_person_twice(carried: pd.DataFrame, of_set: pd.Series, own: Own) -> None:
    """Refuse people with rows in both sets or in several folds, who would be used to fit and to evaluate."""
    if PERSON not in carried:
        return
    person = carried[PERSON].str.strip()
    known = (person != "") & of_set.notna()
    sets = of_set[known].groupby(person[known]).agg(["size", "nunique"])
    if both := int((sets["nunique"] > 1).sum()):
        raise bad_input(
            "own.person_in_both_sets",
            f"{both} people have rows in both the development and the held-out set",
            where=f"{own.file}: {PERSON}",
            hint="keep the first row of each person, or hold out periods with other people",
        )
    if own.psu is None and (twice := int((sets["size"] > 1).sum())):
        raise bad_input(
            "own.person_twice",
            f"{twice} people have several rows, which would be in several folds",
            where=f"{own.file}: {PERSON}",
            hint=f'give psu = "{PERSON}" in [own], or keep one row per person',
        )


def _age_rule(people: LabelledPeople, settings: Cohort) -> list[Rule]:
    if AGE not in people.values:
        return []
    young = (people.values[AGE] < settings.minimum_age).to_numpy()
    return [Rule(f"{settings.minimum_age} years and older", f"younger than {settings.minimum_age} years", young)]


def _attrition(frame: pd.DataFrame, rules: Iterable[Rule], settings: Cohort) -> Iterator[AttritionStep]:
    cases = (frame["outcome"] == 1).to_numpy()
    for set_name, periods in ((DEVELOPMENT, settings.development), (HELD_OUT, settings.held_out)):
        left: Booleans = (frame["set"] == set_name).to_numpy()
        yield AttritionStep(set_name, f"rows of {', '.join(periods)}", int(left.sum()), 0, int(cases[left].sum()))
        for rule in rules:
            before, left = int(left.sum()), left & ~rule.out
            yield AttritionStep(set_name, rule.keeps, int(left.sum()), before - int(left.sum()), int(cases[left].sum()))


def _refuse_one_class(attrition: Iterable[AttritionStep], own: Own) -> None:
    for set_name, step in {step.set: step for step in attrition}.items():
        if not 0 < step.events < step.n:
            raise bad_input(
                "own.one_class",
                f"{step.n} people of {set_name} can be analysed, {step.events} of them cases",
                where=f"{own.file}: {own.outcome}",
                expected="both cases and non-cases in both sets",
                hint="`mgrisk validate` shows problems of rows; `mgrisk schema` shows allowed values",
            )


def _refuse_few_units(frame: pd.DataFrame, settings: Cohort, own: Own) -> None:
    """Refuse strata with one sampling unit, and fewer sampling units than folds."""
    units = frame.drop_duplicates(["set", "stratum", "psu"])
    alone = units.groupby(["set", "stratum"]).size()
    if single := int((alone < 2).sum()):
        raise bad_input(
            "own.single_psu",
            f"{single} strata have one sampling unit in the development or held-out set, so variance is undefined",
            where=f"{own.file}: {own.psu}",
            hint="combine similar strata, or leave strata out",
        )
    in_development = int((units["set"] == DEVELOPMENT).sum())
    if in_development < settings.folds:
        raise bad_input(
            "own.few_units",
            f"{in_development} sampling units cannot be assigned to {settings.folds} folds",
            where=f"{own.file}: {own.psu}",
            hint="lower cohort.folds; or leave psu out, if people in one unit are independent",
        )


def _refuse_empty(workspace: Workspace, computed: pd.DataFrame) -> None:
    empty = [feature.name for feature in workspace.model_features if computed[feature.name].isna().all()]
    if empty:
        raise bad_input(
            "own.empty_feature",
            f"no row has a value of {empty[0]}",
            where="model.features",
            got=", ".join(empty),
            hint="leave it out of model.features, or check its unit and codes with `mgrisk validate`",
        )


def _mapping_record(own: Own, mapped: Mapped | None) -> dict[str, Any] | None:
    if mapped is None:
        return None
    return {
        "file": Path(own.mapping).name,
        "left_as_they_are": {name: count for name, count in mapped.as_they_are.items() if count},
        "not_carried": list(mapped.not_carried),
        "excluded": mapped.excluded,
        "rows": mapped.rows if mapped.of_people else None,
    }


def _tables(own: Own, rows: int) -> list[dict[str, Any]]:
    return [
        {
            "cycle": own.data,
            "table": path.name,
            "rows": rows if path == Path(own.file) else None,
            "size": path.stat().st_size,
            "sha256": sha256(path),
            "synthetic": own.data == SYNTHETIC,
        }
        for path in files(own)
    ]


def _make(workspace: Workspace) -> str:
    own = workspace.pipeline.own
    assert own is not None
    return make_cohort(workspace, own)


STEP = Step(
    "cohort",
    "read the file, select the cohort and compute its features",
    inputs=(),
    outputs=names.OF_COHORT,
    logged=(names.COHORT, names.ATTRITION, names.TABLES),
    settings=MODEL,
    raw=True,
    wanted=lambda workspace: workspace.pipeline.own is not None,
    action=_make,
)
