"""The stations of the pipeline: each reads files of the run folder and writes files of the run folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mgrisk import __version__
from mgrisk.artifacts import atomic_folder, write_json
from mgrisk.cohort import leakage, select, targets
from mgrisk.cohort.split import assign_folds, check_folds
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.cohort.weights import shares
from mgrisk.errors import bad_source
from mgrisk.evaluate.assess import CROSS_VALIDATED, assess
from mgrisk.evaluate.assess_scores import assess_scores
from mgrisk.evaluate.table_one import table_one
from mgrisk.evaluate.thresholds import Thresholds, choose_thresholds
from mgrisk.evidence import what_if
from mgrisk.evidence.people import evidence_features, evidence_variables, panels
from mgrisk.explain import attributions
from mgrisk.explain.parts import PART
from mgrisk.features import fitted
from mgrisk.features.compute import from_nhanes
from mgrisk.features.registry import features
from mgrisk.features.summary import gather, paths, pattern_files
from mgrisk.model import calibrate, reference, uncertainty
from mgrisk.model.bundle import FITTED_FEATURES, Bundle, load_bundle
from mgrisk.model.train import Trained, train
from mgrisk.nhanes.codebook import KEY
from mgrisk.nhanes.cycles import Cycle, cycle
from mgrisk.nhanes.eras import Break, check_comparable
from mgrisk.nhanes.store import Store
from mgrisk.steps import known_answers
from mgrisk.steps.scores import score_people
from mgrisk.steps.workspace import NHANES, SetOfPeople, Workspace


def cycles(workspace: Workspace) -> tuple[Cycle, ...]:
    """Return the cycles of the run, development first."""
    cohort = workspace.pipeline.cohort
    return tuple(cycle(years) for years in (*cohort.development, *cohort.held_out))


def known_variables(workspace: Workspace) -> tuple[str, ...]:
    """Return the NHANES variables that the known answers need; none for SYNTHETIC people."""
    return () if workspace.synthetic else known_answers.variables(each.years for each in cycles(workspace))


def selection_variables(workspace: Workspace) -> tuple[str, ...]:
    """Return the NHANES variables that selecting people needs."""
    cohort, outcome = workspace.pipeline.cohort, workspace.outcome
    names = select.required_variables(outcome, workspace.model_features, (cohort.development, cohort.held_out))
    learned = targets.required_variables(outcome, workspace.pipeline.model.targets, cohort.development)
    return tuple(dict.fromkeys((*names, *learned)))


def tables(workspace: Workspace, store: Store) -> tuple[str, ...]:
    """Return the paths of the raw tables that the run reads, each once."""
    names = [*selection_variables(workspace), *known_variables(workspace)]
    chosen = workspace.all_features
    if workspace.pipeline.evidence:
        chosen = (*chosen, *evidence_features(), *features(what_if.FEATURES))
        names += evidence_variables([each.years for each in cycles(workspace)])
    return paths(cycles(workspace), chosen, names, store=store)


def given_files(workspace: Workspace, store: Store) -> tuple[Path, ...]:
    """Return the files that the run reads and that no NHANES site has."""
    return pattern_files(store, cycles(workspace), workspace.all_features)


def refuse_misuse(workspace: Workspace) -> tuple[Break, ...]:
    """Refuse leaking features and cycles over which something in use does not mean the same; return what is accepted.

    Raises
    ------
    MgRiskError
        `leakage.by_name`, or that of `eras.check_comparable`.
    """
    leakage.refuse_leaks(workspace.outcome, workspace.model_features)
    settings = workspace.pipeline.cohort
    learned = workspace.pipeline.model.targets
    names = [*(feature.name for feature in workspace.all_features), *workspace.outcome.variables, *learned]
    years = [each.years for each in cycles(workspace)]
    if workspace.pipeline.evidence:
        panels(workspace.pipeline.evidence.outcomes)
        chapter = [*(feature.name for feature in evidence_features()), *evidence_variables(years)]
        check_comparable(chapter, years, across_breaks=frozenset(workspace.pipeline.evidence.across_breaks))
    return check_comparable(names, years, across_breaks=frozenset(settings.across_breaks))


def make_cohort(workspace: Workspace, store: Store) -> str:
    """Read raw tables; write features, cohort, attrition and the provenance of the tables."""
    harmonised = gather(
        store,
        cycles=cycles(workspace),
        chosen=workspace.all_features,
        names=selection_variables(workspace),
    )
    if harmonised.synthetic and not workspace.synthetic:
        raise bad_source(
            "cohort.synthetic_source",
            "the tables say that they are SYNTHETIC, the pipeline takes them for NHANES",
            where=str(store.source),
            hint="run pipelines/demo.toml, which says SYNTHETIC on all it writes, or name the real tables",
        )
    settings = workspace.pipeline.cohort
    crossed = refuse_misuse(workspace)
    cohort = select.select(
        harmonised.frame,
        outcome=workspace.outcome,
        chosen=workspace.model_features,
        development=settings.development,
        held_out=settings.held_out,
        minimum_age=settings.minimum_age,
    )
    computed = from_nhanes(harmonised.frame, workspace.all_features)
    models = fit_features(workspace, cohort, computed)
    computed = from_nhanes(harmonised.frame, workspace.all_features, models=models)
    computed.insert(0, KEY, harmonised.frame[KEY])
    used = [
        share
        for cycles_of_set in (settings.development, settings.held_out)
        for share in shares(cohort.level, cycles_of_set)
    ]
    learned = workspace.pipeline.model.targets
    return write_cohort(
        workspace,
        cohort,
        computed,
        models=models,
        behind=targets.measure_targets(harmonised.frame, cohort.frame, learned, development=settings.development),
        tables=[table.to_dict() for table in harmonised.tables],
        about={
            "weight": " or ".join(dict.fromkeys(share.weight for share in used)),
            "breaks": [each.to_dict() for each in crossed],
            "absent": [table.to_dict() for table in harmonised.absent],
        },
    )


def write_cohort(
    workspace: Workspace,
    cohort: select.Cohort,
    computed: pd.DataFrame,
    *,
    models: fitted.Models,
    behind: pd.DataFrame,
    tables: list[dict[str, Any]],
    about: Mapping[str, Any],
) -> str:
    """Write the files of the cohort, wherever its people are from; return a line that says how many they are.

    Parameters
    ----------
    workspace, cohort
        The run, and its people.
    computed
        Their features with SEQN, row for row with the cohort.
    models
        The fitted models of features.
    behind
        Targets, as of `targets.measure_targets`.
    tables
        The files that were read: {cycle, table, rows, size, sha256, synthetic}.
    about
        What cohort.json says of the weights and of what was accepted.
    """
    workspace.write_frame("features.parquet", computed)
    workspace.write_frame("cohort.parquet", cohort.frame)
    workspace.write_frame("targets.parquet", behind)
    write_json(workspace.path(FITTED_FEATURES), {"data": workspace.data_label, "models": fitted.to_dict(models)})
    workspace.write_records("attrition.json", [step.to_dict() for step in cohort.attrition])
    workspace.write_records("tables.json", tables)
    write_json(
        workspace.path("cohort.json"),
        {
            "data": workspace.data_label,
            "weight_level": str(cohort.level),
            "forced_by": cohort.forced_by,
            **about,
            "outcome": workspace.outcome.model_dump(mode="json"),
        },
    )
    left = {step.set: step for step in cohort.attrition}
    return ", ".join(f"{name}: {step.n:,} people, {step.events} cases" for name, step in left.items())


def fit_features(workspace: Workspace, cohort: select.Cohort, computed: pd.DataFrame) -> fitted.Models:
    """Fit the models of features on the people of development in the analysis; no outcome is looked at."""
    of_set = (cohort.frame["set"] == DEVELOPMENT).to_numpy()
    _, design = select.design(cohort.frame, level=cohort.level, set_name=DEVELOPMENT)
    return fitted.fit(computed[of_set].reset_index(drop=True), design, workspace.all_features)


def know(workspace: Workspace, store: Store) -> str:
    """Reproduce published NHANES figures from the same tables, if they are; stop where one is missed."""
    cohort, others = workspace.pipeline.cohort, "" if workspace.data_label == NHANES else workspace.data_label
    years = [*cohort.development, *cohort.held_out]
    records = known_answers.known_answers(store, cycles=years, others=others)
    workspace.write_records("known_answers.json", records)
    known_answers.stop_at_misses(records)
    passed = sum(record["passed"] is True for record in records)
    return f"{passed} known answers reproduced, {len(records) - passed} not applicable"


def make_folds(workspace: Workspace) -> str:
    """Deal PSUs to folds."""
    cohort = pd.read_parquet(workspace.path("cohort.parquet"))
    settings = workspace.pipeline.cohort
    folds = assign_folds(cohort, folds=settings.folds, seed=settings.seed)
    check_folds(folds, cohort)
    workspace.write_frame("folds.parquet", folds)
    psus = len(folds[["stratum", "psu"]].drop_duplicates())
    return f"{psus} PSUs in {settings.folds} folds"


def make_model(workspace: Workspace) -> str:
    """Tune, calibrate and refit every learner; write a bundle of each, out-of-fold margins and all candidates."""
    people = workspace.people(DEVELOPMENT)
    fold = _folds(workspace, people)
    trained = train(
        people.frame,
        people.y,
        people.design,
        fold,
        features=workspace.model_features,
        settings=workspace.pipeline.model,
        threads=workspace.pipeline.threads,
        targets=workspace.targets(people),
    )
    with atomic_folder(workspace.path("trained")) as part:
        for name, bundle in _bundles(workspace, people, trained).items():
            bundle.write(part / name)
    margins = {
        f"{name}_{kind}": values
        for name, model in trained.models.items()
        for kind, values in (("margin", model.oof_margin), ("risk", model.oof_risk))
    }
    oof = people.rows[[KEY]].assign(fold=fold, outcome=people.y, weight=people.design.analysis_weight, **margins)
    workspace.write_frame("oof.parquet", oof.iloc[people.inside].reset_index(drop=True))
    write_json(
        workspace.path("tuning.json"),
        {
            "data": workspace.data_label,
            "winner": trained.winner,
            "models": {name: model.to_dict() for name, model in trained.models.items()},
            "candidates": [candidate.to_dict() for part in trained.tuned for candidate in part.candidates],
        },
    )
    tried = sum(len(part.candidates) for part in trained.tuned)
    best = trained.models[trained.winner]
    return f"{tried} candidates, {len(trained.models)} models, best {trained.winner} (log loss {best.log_loss:.4f})"


def _folds(workspace: Workspace, people: SetOfPeople) -> NDArray[np.int64]:
    """Return the fold of everybody in development, shape of the design, once the folds are seen to be whole."""
    folds = pd.read_parquet(workspace.path("folds.parquet"))
    check_folds(folds, pd.read_parquet(workspace.path("cohort.parquet")))
    return workspace.fold(people)


def _bundles(workspace: Workspace, people: SetOfPeople, trained: Trained) -> Mapping[str, Bundle]:
    inside, weight = people.inside, people.design.analysis_weight[people.inside]
    chosen, models = workspace.model_features, workspace.models
    analysed = people.frame.iloc[inside]
    background = trained.encoder.matrix(analysed)
    data_digest = hashlib.sha256(workspace.path("tables.json").read_bytes()).hexdigest()
    about: dict[str, Any] = {
        "name": workspace.pipeline.tracking.register_as,
        "title": workspace.pipeline.title,
        "synthetic": workspace.synthetic,
        "data": workspace.data_label,
        "mgrisk": __version__,
        "outcome": workspace.outcome.model_dump(mode="json", exclude={"leaks"}),
        "cycles": list(workspace.pipeline.cohort.development),
        "held_out": list(workspace.pipeline.cohort.held_out),
        "minimum_age": workspace.pipeline.cohort.minimum_age,
        "holds_for": f"{workspace.data_label} {', '.join(workspace.pipeline.cohort.development)}",
        "weight_level": str(people.design.level),
        "people": len(inside),
        "cases": int(people.y[inside].sum()),
        "prevalence": float(np.average(people.y[inside], weights=weight)),
        "in_domain": "every number, and its distance from what the number closest to it leads one to expect, within "
        "the weighted 0.05-99.95 % range of the development people; every category seen among them",
        "explanation": "interventional Shapley values of the calibrated log-odds; background: all development people, "
        "survey-weighted",
        "configuration_sha256": workspace.pipeline.digest(*workspace.pipeline.decisive),
        "data_sha256": data_digest,
    }
    spread_of_features = reference.describe(analysed, chosen, weight)
    return {
        name: Bundle(
            about={
                **about,
                "interval": calibrate.MEANING if model.uncertainty is None else uncertainty.MEANING,
                "learner": name,
                "parts": model.to_dict()["parts"],
            },
            features=chosen,
            fitted=model.fitted,
            calibrator=model.calibrator,
            reference=spread_of_features | {reference.RISK: reference.describe_numbers(model.oof_risk[inside], weight)},
            parts={PART: attributions.build(model.fitted, trained.encoder, background, weight)},
            models=models,
            uncertainty=model.uncertainty,
        )
        for name, model in trained.models.items()
    }


def evaluate(workspace: Workspace) -> str:
    """Evaluate all learners and published scores, cross-validated and on the held-out cycle."""
    records, differences, acted, tables, curves, predictions = [], [], [], [], {}, []
    winner = workspace.read_json("tuning.json")["winner"]
    sets = {name: workspace.people(name) for name in (DEVELOPMENT, HELD_OUT)}
    scores, about_scores = score_people(workspace, sets, _folds(workspace, sets[DEVELOPMENT]))
    thresholds: Thresholds = {}
    for set_name, label in ((DEVELOPMENT, CROSS_VALIDATED), (HELD_OUT, workspace.held_out_name)):
        people, of_set = sets[set_name], scores[set_name]
        risks = _out_of_fold_risks(workspace, people) if set_name == DEVELOPMENT else _risks(workspace, people)
        reference = {name: of_set.points[name] for name in workspace.reference}
        cuts = {name: of_set.cuts[name][0] for name in workspace.reference}
        # Chosen on the first set, the development people, and only looked at on the second.
        thresholds = thresholds or choose_thresholds(people.y, risks, reference, people.design, cuts=cuts)
        found = assess(
            people.y,
            risks,
            reference,
            people.design,
            people.frame,
            chosen=winner,
            thresholds=thresholds,
            outcome=workspace.outcome.name,
            set_name=label,
        )
        of_scores, score_differences = assess_scores(
            people.y,
            of_set.risks,
            of_set.points,
            people.design,
            cuts=of_set.cuts,
            reference=workspace.reference,
            model={winner: risks[winner]},
            context={"outcome": workspace.outcome.name, "set": label, "group": "all", "level": "all"},
        )
        records += [*found.records, *of_scores]
        differences += [*found.differences, *score_differences]
        acted += found.thresholds
        curves[label] = found.curves
        tables += table_one(people.frame, people.y, people.design, chosen=workspace.all_features, set_name=set_name)
        kept = people.rows.iloc[people.inside][[KEY, "cycle", "set", "weight", "outcome"]]
        columns = {**risks, **of_set.points, **of_set.risks}
        kept = kept.assign(**{name: values[people.inside] for name, values in columns.items()})
        predictions.append(kept)
    workspace.write_records("evaluation.json", records)
    workspace.write_records("differences.json", differences)
    workspace.write_records("thresholds.json", acted)
    workspace.write_records("table_one.json", tables)
    workspace.write_records("scores.json", about_scores)
    write_json(workspace.path("curves.json"), {"data": workspace.data_label, "sets": curves})
    workspace.write_frame("predictions.parquet", pd.concat(predictions, ignore_index=True))
    return "; ".join(
        f"{name} AUROC {_estimate(records, name, workspace.held_out_name)}" for name in (winner, *workspace.reference)
    )


def _out_of_fold_risks(workspace: Workspace, people: SetOfPeople) -> dict[str, NDArray[np.float64]]:
    """Return risks by learner of which neither learner nor calibrator had seen the person, shape of the design."""
    oof = pd.read_parquet(workspace.path("oof.parquet"))
    ordered = people.rows.iloc[people.inside][[KEY]].merge(oof, on=KEY, validate="one_to_one")
    names = sorted(workspace.read_json("tuning.json")["models"])
    return {name: people.spread(ordered[f"{name}_risk"].to_numpy()) for name in names}


def _risks(workspace: Workspace, people: SetOfPeople) -> dict[str, NDArray[np.float64]]:
    """Return the reported risks by learner, as the bundles give them, shape of the design."""
    paths = sorted(workspace.path("trained").iterdir())
    return {path.name: people.risk(load_bundle(path, threads=workspace.pipeline.threads)) for path in paths}


def _estimate(records: list[dict[str, Any]], model: str, set_name: str) -> str:
    row = next(r for r in records if r["model"] == model and r["set"] == set_name and r["metric"] == "auroc")
    return f"{row['estimate']:.3f} ({row['low']:.3f}-{row['high']:.3f})"
