"""Each step passes the right outcomes, weights and files to the next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

import mgrisk
from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.config.pipeline_file import load
from mgrisk.errors import MgRiskError
from mgrisk.evaluate.added_value import is_magnesium
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.evaluate.leak_audit import audit_permuted
from mgrisk.evaluate.missing_inputs import NOTHING, patterns
from mgrisk.evaluate.thresholds import threshold_for_sensitivity
from mgrisk.explain.attributions import Explainer, build
from mgrisk.explain.groups import grouped_values, summarise_groups
from mgrisk.explain.stability import compare, stability
from mgrisk.features.registry import Feature
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle
from mgrisk.model.calibration import Calibrator, fit_calibrator
from mgrisk.model.candidates import Part, make_learners
from mgrisk.model.fits import Fits
from mgrisk.model.learners import Encoder, Fitted, Learner, Params
from mgrisk.model.refit import LeftOut, left_out_log_odds
from mgrisk.model.train import fit_space
from mgrisk.pipeline import added, audit, checks, imputation, items
from mgrisk.pipeline.evaluate import evaluate
from mgrisk.pipeline.finished import Run
from mgrisk.pipeline.trained import read_trained, refitter
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.riskscores.scores import Method, cross_fitted, load_score, recalibrate
from mgrisk.storage.files import read_json
from mgrisk.survey.estimates import weighted_quantile

Floats = NDArray[np.float64]
METRICS = {"auroc": roc_auc_score, "log_loss": log_loss, "brier": brier_score_loss}
LEARNERS = ("spline_logistic", "xgboost")


def at(folder: Path) -> Workspace:
    return Workspace(load(folder / "resolved.toml"), folder)


def bundle_at(folder: Path) -> Bundle:
    return mgrisk.load_model(folder).bundle


@pytest.fixture(scope="module")
def workspace(small_run: Run) -> Workspace:
    return at(small_run.folder)


@pytest.fixture(scope="module")
def development(workspace: Workspace) -> SetOfPeople:
    return workspace.people(DEVELOPMENT)


@pytest.fixture(scope="module")
def held_out(workspace: Workspace) -> SetOfPeople:
    return workspace.people(HELD_OUT)


@pytest.fixture(scope="module")
def oof(workspace: Workspace, development: SetOfPeople) -> pd.DataFrame:
    """Rows of oof.parquet in the order of the analysed development people."""
    found = pd.read_parquet(workspace.run.path("oof.parquet")).set_index("SEQN")
    return found.loc[development.rows["SEQN"].to_numpy()[development.inside]]


@pytest.fixture(scope="module")
def bundles(workspace: Workspace) -> dict[str, Bundle]:
    return {name: bundle_at(workspace.run.path("trained") / name) for name in LEARNERS}


def records(workspace: Workspace, name: str, **wanted: Any) -> list[dict[str, Any]]:
    return [row for row in read_json(workspace.run.path(name)) if wanted.items() <= row.items()]


def learner_of(workspace: Workspace, model: str, chosen: tuple[Feature, ...] | None = None) -> tuple[Learner, Params]:
    """Return a learner of the pipeline with its tuned parameters, perhaps for fewer features."""
    encoder = Encoder(workspace.model_features if chosen is None else chosen)
    data, settings = workspace.training_data(workspace.people(DEVELOPMENT)), workspace.pipeline.model
    space = fit_space(settings, encoder, data.matrix(encoder), data)
    (learner,) = (each for each in make_learners(settings, encoder, space, threads=1) if each.name == model)
    params: Params = read_json(workspace.run.path("tuning.json"))["models"][model]["parts"][0]["params"]
    return learner, params


def weights(people: SetOfPeople) -> Floats:
    return people.design.analysis_weight[people.inside]


def cases(people: SetOfPeople) -> Floats:
    return people.y[people.inside]


def test_cross_validated_figures_are_those_of_the_out_of_fold_risks(workspace: Workspace, oof: pd.DataFrame) -> None:
    for model in LEARNERS:
        for metric, recomputed in METRICS.items():
            (row,) = records(
                workspace, "evaluation.json", set=CROSS_VALIDATED, group="all", level="all", model=model, metric=metric
            )
            expected = recomputed(oof["outcome"], oof[f"{model}_risk"], sample_weight=oof["weight"])
            assert row["estimate"] == pytest.approx(expected, rel=1e-9), (model, metric)


@pytest.mark.parametrize("model", LEARNERS)
def test_out_of_fold_risks_come_from_fits_and_calibrations_without_the_fold(
    model: str, workspace: Workspace, development: SetOfPeople, oof: pd.DataFrame, bundles: dict[str, Bundle]
) -> None:
    learner, params = learner_of(workspace, model)
    given = Encoder(workspace.model_features).matrix(development.frame.iloc[development.inside])
    X, fitted = learner.design(given), bundles[model].fitted
    case, weight, fold = cases(development), weights(development), oof["fold"].to_numpy()
    assert set(fold) == {0, 1, 2}
    margin = np.zeros(len(case))
    for k in range(3):
        unseen = fold == k
        margin[unseen] = learner.fit(X[~unseen], case[~unseen], weight[~unseen], params).margin(X[unseen])
    np.testing.assert_allclose(oof[f"{model}_margin"], margin, rtol=1e-9)
    everybody = np.nan_to_num(development.expanded(margin))
    of_everybody = development.expanded(fold.astype(float))
    for k in range(3):
        others = development.design.where(of_everybody != k)
        log_odds = fit_calibrator(everybody, development.y, others).log_odds(margin[fold == k])
        if isinstance(fitted, Additive):
            log_odds = fitted.of_expected_risk(log_odds, given[fold == k])
        np.testing.assert_allclose(oof.loc[fold == k, f"{model}_risk"], expit(log_odds), rtol=1e-9)


def calibration_of(development: SetOfPeople, oof: pd.DataFrame, model: str) -> Calibrator:
    margin = np.nan_to_num(development.expanded(oof[f"{model}_margin"].to_numpy()))
    return fit_calibrator(margin, development.y, development.design)


def test_the_calibrator_of_a_bundle_is_fitted_on_out_of_fold_margins(
    workspace: Workspace, development: SetOfPeople, oof: pd.DataFrame, bundles: dict[str, Bundle]
) -> None:
    told = read_json(workspace.run.path("tuning.json"))["models"]
    for model, bundle in bundles.items():
        expected = calibration_of(development, oof, model)
        assert told[model]["calibration"] == expected.to_dict()
        if isinstance(bundle.fitted, Additive):
            assert bundle.calibrator.to_dict() == expected.taken_in().to_dict()
        else:
            assert bundle.calibrator.to_dict() == expected.to_dict()


def fitted_again(
    workspace: Workspace,
    development: SetOfPeople,
    calibration: Calibrator,
    model: str,
    features: tuple[Feature, ...] | None = None,
    factor: Floats | None = None,
) -> tuple[Fitted, Calibrator]:
    """Return a learner fitted to everybody as a bundle holds it, perhaps to fewer features or under other weights."""
    learner, params = learner_of(workspace, model, features)
    encoder = Encoder(workspace.model_features if features is None else features)
    data = workspace.training_data(development)
    X, part = data.matrix(encoder), Part(learner, data.outcome)
    fits = Fits((part,), (part.fit(X, params, factor=factor),), None)
    return fits.model(encoder.owners, calibration, X, development.design.analysis_weight)


def test_a_bundle_is_its_learner_fitted_to_everybody_of_development(
    workspace: Workspace, development: SetOfPeople, oof: pd.DataFrame, bundles: dict[str, Bundle]
) -> None:
    for model, bundle in bundles.items():
        fitted, _ = fitted_again(workspace, development, calibration_of(development, oof, model), model)
        X = bundle.encode(development.frame.iloc[development.inside])[1]
        np.testing.assert_allclose(bundle.fitted.margin(X), fitted.margin(X), rtol=1e-9)


def test_held_out_figures_are_those_of_the_bundles_on_the_held_out_people(
    workspace: Workspace, held_out: SetOfPeople, bundles: dict[str, Bundle]
) -> None:
    predicted = pd.read_parquet(workspace.run.path("predictions.parquet")).set_index("SEQN")
    predicted = predicted.loc[held_out.rows["SEQN"].to_numpy()[held_out.inside]]
    assert set(predicted["set"]) == {HELD_OUT}
    for model, bundle in bundles.items():
        risk = held_out.risk(bundle)[held_out.inside]
        np.testing.assert_array_equal(predicted[model], risk)
        for metric, recomputed in METRICS.items():
            (row,) = records(
                workspace, "evaluation.json", set="2017-2018", group="all", level="all", model=model, metric=metric
            )
            expected = recomputed(cases(held_out), risk, sample_weight=weights(held_out))
            assert row["estimate"] == pytest.approx(expected, rel=1e-9), (model, metric)


def test_the_winner_is_additive_where_trees_are_not_surely_better_and_is_what_is_shipped(
    workspace: Workspace, oof: pd.DataFrame, bundles: dict[str, Bundle]
) -> None:
    losses = {model: log_loss(oof["outcome"], oof[f"{model}_risk"], sample_weight=oof["weight"]) for model in LEARNERS}
    best = "spline_logistic"
    assert losses[best] < losses["xgboost"] + 1e-3
    assert isinstance(bundles[best].fitted, Additive)
    assert read_json(workspace.run.path("tuning.json"))["winner"] == best
    shipped = bundle_at(workspace.run.path("bundle"))
    assert shipped.fitted.to_files() == bundles[best].fitted.to_files()
    assert shipped.calibrator.to_dict() == bundles[best].calibrator.to_dict()
    assert shipped.parts["card.md"] == workspace.run.path("card.md").read_bytes()
    for name in ("calibration.json", "explanation_summary.json", "stability.json"):
        assert read_json(workspace.run.path(name))["learner"] == best, name
    for name in ("added_value.json", "imputation.json", "temporal.json"):
        assert read_json(workspace.run.path(name))["model"] == best, name


def test_a_threshold_of_a_wanted_sensitivity_is_that_of_the_development_people_in_both_sets(
    workspace: Workspace, development: SetOfPeople, oof: pd.DataFrame
) -> None:
    for model in LEARNERS:
        risk = development.expanded(oof[f"{model}_risk"].to_numpy())
        for wanted in (0.8, 0.9):
            expected = threshold_for_sensitivity(development.y, risk, development.design, sensitivity=wanted)
            for name in (CROSS_VALIDATED, "2017-2018"):
                rows = records(
                    workspace, "thresholds.json", set=name, model=model, rule=f"sensitivity {wanted:g}", group="all"
                )
                assert rows
                assert {row["threshold"] for row in rows} == {expected}, (model, wanted, name)


def test_shuffled_outcomes_of_the_held_out_people_move_no_threshold_and_no_cross_validated_figure(
    workspace: Workspace, run_copy: Path
) -> None:
    cohort = pd.read_parquet(run_copy / "cohort.parquet")
    later = np.flatnonzero((cohort["set"] == HELD_OUT) & cohort["analysis"])
    shuffled = np.random.default_rng(4).permutation(cohort["outcome"].to_numpy()[later])
    assert (shuffled != cohort["outcome"].to_numpy()[later]).any()
    cohort.iloc[later, cohort.columns.get_loc("outcome")] = shuffled
    cohort.to_parquet(run_copy / "cohort.parquet")
    evaluate(at(run_copy))
    before, after = (
        {
            (row["set"], row["model"], row["rule"], row["metric"]): row
            for row in read_json(folder / "thresholds.json")
        }
        for folder in (workspace.folder, run_copy)
    )  # fmt: skip
    assert {key: row["threshold"] for key, row in after.items()} == {
        key: row["threshold"] for key, row in before.items()
    }
    moved = {key[0] for key in before if before[key]["estimate"] != after[key]["estimate"]}
    assert moved == {"2017-2018"}
    for name in ("evaluation.json", "differences.json"):
        kept, again = (
            [row for row in read_json(folder / name) if row["set"] == CROSS_VALIDATED]
            for folder in (workspace.folder, run_copy)
        )
        assert again == kept


def test_the_base_value_is_the_weighted_mean_of_the_calibrated_log_odds_of_the_development_people(
    workspace: Workspace, development: SetOfPeople, bundles: dict[str, Bundle]
) -> None:
    told = read_json(workspace.run.path("explanation_summary.json"))
    for model, bundle in bundles.items():
        _, X = bundle.encode(development.frame.iloc[development.inside])
        additive = isinstance(bundle.fitted, Additive)
        log_odds = bundle.predict(X).expected if additive else bundle.predict(X).log_odds
        expected = np.average(log_odds, weights=weights(development))
        # Means of incomplete columns are estimated in steps that end where little moves.
        near = 1e-3 if additive else 1e-5
        assert abs(expected - log_odds.mean()) > 2 * near, "weights that do not matter would test nothing"
        assert Explainer(bundle).base_value == pytest.approx(expected, abs=near)
        if model == told["learner"]:
            assert told["base_value"] == pytest.approx(expected, abs=near)


def test_contributions_of_the_weighted_development_people_average_to_nothing(
    workspace: Workspace, development: SetOfPeople
) -> None:
    explained = pd.read_parquet(workspace.run.path("explanations.parquet"))
    of_set = explained[explained["set"] == DEVELOPMENT].set_index("SEQN")
    of_set = of_set.loc[development.rows["SEQN"].to_numpy()[development.inside]]
    names = [feature.name for feature in workspace.model_features]
    mean = np.average(of_set[names], axis=0, weights=weights(development))
    # What an absent input would have told is credited to others of the same person: near nothing, not nothing.
    np.testing.assert_allclose(mean, 0.0, atol=5e-3)
    assert np.abs(of_set[names].mean()).max() > 2e-2, "weights that do not matter would test nothing"


def test_a_bundle_says_whom_it_was_developed_on(
    workspace: Workspace, development: SetOfPeople, oof: pd.DataFrame, bundles: dict[str, Bundle]
) -> None:
    weight = weights(development)
    attrition = {row["set"]: row for row in read_json(workspace.run.path("attrition.json"))}[DEVELOPMENT]
    age = development.frame["age_years"].to_numpy(dtype=float)[development.inside]
    assert weighted_quantile(age, weight, [0.5])[0] != np.median(age)
    for model, bundle in bundles.items():
        about = bundle.about
        assert about["learner"] == model
        assert (about["people"], about["cases"]) == (attrition["n"], attrition["events"])
        assert about["prevalence"] == pytest.approx(np.average(cases(development), weights=weight))
        assert (about["cycles"][0], about["cycles"][-1], about["held_out"]) == ("2007-2008", "2015-2016", ["2017-2018"])
        risk = oof[f"{model}_risk"].to_numpy()
        for row, values in ((bundle.reference["age_years"], age), (bundle.reference["risk"], risk)):
            for p, found in row["quantiles"].items():
                assert found == pytest.approx(weighted_quantile(values, weight, [float(p)])[0]), (model, p)
    np.testing.assert_array_equal(oof["weight"], weight)
    np.testing.assert_array_equal(oof["outcome"], cases(development))


def test_recalibrated_scores_are_cross_fitted_on_development_and_fitted_there_for_the_held_out_people(
    workspace: Workspace, development: SetOfPeople, held_out: SetOfPeople
) -> None:
    predicted = pd.read_parquet(workspace.run.path("predictions.parquet"))
    fold = workspace.fold(development)
    points = [load_score("ada").score(people.frame).value for people in (development, held_out)]
    of_development = cross_fitted(Method.LOGISTIC, points[0], development.y, development.design, fold)
    fitted = recalibrate(Method.LOGISTIC, points[0], development.y, development.design)
    for name, people, risk in (
        (DEVELOPMENT, development, of_development),
        (HELD_OUT, held_out, fitted.risk(points[1])),
    ):
        there = predicted[predicted["set"] == name]
        np.testing.assert_array_equal(there["SEQN"], people.rows["SEQN"].to_numpy()[people.inside])
        np.testing.assert_allclose(there["ada:logistic"], risk[people.inside], rtol=1e-9)


def test_a_published_score_has_its_published_cut_and_is_compared_with_the_winner(workspace: Workspace) -> None:
    (cut,) = {row["threshold"] for row in records(workspace, "thresholds.json", model="ada", rule="published cut")}
    assert cut == load_score("ada").cuts[0]
    winner = read_json(workspace.run.path("tuning.json"))["winner"]
    compared = {row["model"] for row in records(workspace, "differences.json") if row["reference"] == "ada"}
    assert winner in compared
    of_groups = {row["model"] for row in records(workspace, "evaluation.json") if row["group"] == "sex"}
    assert winner in of_groups
    told = {row["set"]: row for row in records(workspace, "table_one.json", group="all", variable="age_years")}
    attrition = {row["set"]: row["n"] for row in read_json(workspace.run.path("attrition.json"))}
    assert {name: row["n"] for name, row in told.items()} == attrition


def test_scores_are_compared_with_the_chosen_model_on_the_same_people(
    workspace: Workspace, held_out: SetOfPeople
) -> None:
    winner = read_json(workspace.run.path("tuning.json"))["winner"]
    predicted = pd.read_parquet(workspace.run.path("predictions.parquet"))
    later = predicted[predicted["set"] == HELD_OUT]
    weight = weights(held_out)
    auroc = {
        name: roc_auc_score(later["outcome"], later[name], sample_weight=weight) for name in ("findrisc", "ada", winner)
    }
    for score, other in (("findrisc", winner), ("findrisc", "ada"), ("ada", winner)):
        wanted = {"set": "2017-2018", "group": "all", "model": score, "reference": other, "metric": "auroc"}
        rows = records(workspace, "differences.json", **wanted)
        assert rows
        for row in rows:
            assert row["estimate"] == pytest.approx(auroc[score] - auroc[other]), (score, other)


def test_shares_of_unanswered_items_are_weighted(workspace: Workspace, development: SetOfPeople) -> None:
    told = next(row for row in read_json(workspace.run.path("scores.json")) if row["name"] == "ada")
    lacking = load_score("ada").score(development.frame).unanswered.any(axis=0)[development.inside]
    share = np.average(lacking, weights=weights(development))
    assert abs(share - lacking.mean()) > 1e-4
    assert told["sets"][DEVELOPMENT]["unanswered"] == pytest.approx(share)


def explained_values(bundle: Bundle, people: SetOfPeople) -> Floats:
    return Explainer(bundle).values(bundle.encode(people.frame.iloc[people.inside])[1])


def test_explanations_are_of_the_winner_and_each_person_stands_in_the_own_set(
    workspace: Workspace, development: SetOfPeople, held_out: SetOfPeople, bundles: dict[str, Bundle]
) -> None:
    told = read_json(workspace.run.path("explanation_summary.json"))
    bundle, explained = bundles[told["learner"]], pd.read_parquet(workspace.run.path("explanations.parquet"))
    names = [feature.name for feature in workspace.model_features]
    for name, people in ((DEVELOPMENT, development), (HELD_OUT, held_out)):
        of_set = explained[explained["set"] == name]
        np.testing.assert_array_equal(of_set["SEQN"], people.rows["SEQN"].to_numpy()[people.inside])
        values = explained_values(bundle, people)
        np.testing.assert_allclose(of_set[names], values, rtol=1e-9, atol=1e-12)
        importance = dict(zip(names, np.average(np.abs(values), axis=0, weights=weights(people)), strict=True))
        rows = [row for row in told["features"] if row["set"] == name]
        assert {row["feature"]: row["importance"] for row in rows} == pytest.approx(importance)


def test_groups_are_explained_against_development_and_comparisons_are_of_the_held_out_people(
    workspace: Workspace, development: SetOfPeople, held_out: SetOfPeople, bundles: dict[str, Bundle]
) -> None:
    told = read_json(workspace.run.path("explanation_summary.json"))
    winner = told["learner"]
    X, later = (bundles[winner].encode(each.frame.iloc[each.inside])[1] for each in (development, held_out))
    found = grouped_values(bundles[winner], X, weights(development), later)
    rows = [row for row in told["groups"] if row["set"] == HELD_OUT]
    expected = {row["group"]: row["importance"] for row in summarise_groups(found, held_out.design)}
    assert {row["group"]: row["importance"] for row in rows} == pytest.approx(expected)
    sex = held_out.frame["sex"].iloc[held_out.inside]
    counted = {row["level"]: row["n"] for row in told["subgroups"] if row["by"] == "sex"}
    assert counted == sex.value_counts().to_dict()
    (other,) = (name for name in LEARNERS if name != winner)
    values = [explained_values(bundles[name], held_out) for name in (winner, other)]
    (agreement,) = told["agreement"]
    expected = compare(*values, weights(held_out))
    assert {key: agreement[key] for key in ("same_first", "in_common", "log_odds")} == pytest.approx(
        {key: expected[key] for key in ("same_first", "in_common", "log_odds")}
    )


def test_stability_compares_refits_without_a_fold_over_the_held_out_people(
    workspace: Workspace,
    development: SetOfPeople,
    held_out: SetOfPeople,
    bundles: dict[str, Bundle],
    oof: pd.DataFrame,
) -> None:
    told = read_json(workspace.run.path("stability.json"))
    bundle, fold = bundles[told["learner"]], workspace.fold(development)
    X, weight = bundle.encode(development.frame.iloc[development.inside])[1], weights(development)
    calibration = calibration_of(development, oof, told["learner"])
    refits = []
    for k in range(3):
        seen = (fold != k).astype(float)
        fitted, _ = fitted_again(workspace, development, calibration, told["learner"], factor=seen)
        tables = build(fitted, bundle.encoder, X, weight)
        refits.append(explained_values(replace(bundle, fitted=fitted, parts={**bundle.parts, **tables}), held_out))
    values = explained_values(bundle, held_out)
    expected = stability(values, refits, weights(held_out))
    ways = {row["way"]: row for row in told["ways"]}
    for key in ("refits", "same_first", "in_common", "always_first", "log_odds"):
        assert ways["folds"][key] == pytest.approx(expected[key]), key
    # The winner of this run is made of splines: what draws nothing is the same fit with another seed.
    assert (told["learner"], ways["seed"]["moved"]) == ("spline_logistic", 0.0)
    people = pd.read_parquet(workspace.run.path("stability.parquet"))
    np.testing.assert_array_equal(people["SEQN"], held_out.rows["SEQN"].to_numpy()[held_out.inside])
    share = people["firmness"].to_numpy()
    n = ways["psus"]["refits"] + ways["folds"]["refits"]
    np.testing.assert_allclose(share * n, np.round(share * n), atol=1e-9)
    of_ways = [ways[way]["same_first"] * ways[way]["refits"] for way in ("psus", "folds")]
    assert np.average(share, weights=weights(held_out)) == pytest.approx(sum(of_ways) / n)


def test_a_cycle_left_out_is_predicted_by_the_others_and_measured_by_itself(
    workspace: Workspace, development: SetOfPeople
) -> None:
    told = read_json(workspace.run.path("temporal.json"))
    learner, params = learner_of(workspace, told["model"])
    X = learner.design(Encoder(workspace.model_features).matrix(development.frame.iloc[development.inside]))
    case, weight = cases(development), weights(development)
    cycle = development.rows["cycle"].to_numpy()[development.inside]
    found = of_cycles_left_out(workspace, development).predicted[NOTHING][development.inside]
    for name in np.unique(cycle):
        own = cycle == name
        alone = learner.fit(X[~own], case[~own], weight[~own], params).margin(X[own])
        # Another calibration than that margin's, and design columns that the cycle has no part in.
        assert np.corrcoef(alone, found[own])[0, 1] > 0.999, name
        (row,) = (row for row in told["cycles"] if (row["cycle"], row["metric"]) == (name, "auroc"))
        assert row["n"] == own.sum()
        assert row["estimate"] == pytest.approx(roc_auc_score(case[own], found[own], sample_weight=weight[own]))


def of_cycles_left_out(workspace: Workspace, development: SetOfPeople) -> LeftOut:
    bundle = read_trained(workspace, read_json(workspace.run.path("tuning.json"))["winner"])
    return left_out_log_odds(
        refitter(workspace, bundle, development),
        workspace.training_data(development),
        pd.factorize(development.rows["cycle"], sort=True)[0],
        absent={each.name: each.absent for each in patterns(workspace.model_features)},
    )


def test_each_pattern_of_absent_inputs_is_measured_on_everybody_of_cycles_that_were_left_out(
    workspace: Workspace, development: SetOfPeople
) -> None:
    told, found = read_json(workspace.run.path("temporal.json")), of_cycles_left_out(workspace, development)
    chosen = {each.name: each for each in patterns(workspace.model_features)}
    names = [feature.name for feature in workspace.model_features]
    assert {row["pattern"] for row in told["patterns"]} == chosen.keys()
    inside, case, weight = development.inside, cases(development), weights(development)
    for row in told["patterns"]:
        pattern, log_odds = chosen[row["pattern"]], found.predicted[row["pattern"]][inside]
        assert (row["kind"], row["label"]) == (pattern.kind, pattern.label)
        assert row["absent"] == [names[place] for place in pattern.absent]
        if row["metric"] in METRICS:
            expected = METRICS[row["metric"]](case, expit(log_odds), sample_weight=weight)
            assert row["estimate"] == pytest.approx(expected), row
        refitted = roc_auc_score(case, found.refitted[row["pattern"]][inside], sample_weight=weight)
        assert row["refitted_auroc"] == pytest.approx(refitted)
        assert row["n"] == len(case)
    of_pattern = {name: {r["metric"] for r in told["patterns"] if r["pattern"] == name} for name in chosen}
    assert set(map(frozenset, of_pattern.values())) == {
        frozenset({"auroc", "calibration_slope", "observed_expected", "log_loss"})
    }


def test_steps_that_fit_the_winner_again_find_the_figures_that_the_evaluation_has(workspace: Workspace) -> None:
    winner = read_json(workspace.run.path("tuning.json"))["winner"]
    imputed = read_json(workspace.run.path("imputation.json"))["records"]
    for name in (CROSS_VALIDATED, "2017-2018"):
        for metric in ("auroc", "log_loss", "brier", "calibration_slope", "observed_expected"):
            (row,) = records(
                workspace, "evaluation.json", set=name, group="all", level="all", model=winner, metric=metric
            )
            (native,) = (each for each in imputed if (each["set"], each["metric"]) == (name, metric))
            assert native["estimate"] == pytest.approx(row["estimate"], rel=1e-6), (name, metric)
            assert native["n"] == row["n"]
            assert native["between"] > 0.0, "imputations that do not differ impute nothing"
    loss = next(
        row["estimate"]
        for row in read_json(workspace.run.path("calibration.json"))["records"]
        if (row["model"], row["metric"]) == ("logistic", "log_loss")
    )
    (row,) = records(workspace, "evaluation.json", set=CROSS_VALIDATED, group="all", model=winner, metric="log_loss")
    # Calibrators map the expected log-odds; what the absent inputs leave unknown comes after them.
    assert loss == pytest.approx(row["estimate"], rel=1e-3)
    assert loss != pytest.approx(row["estimate"], rel=1e-9)


def test_what_magnesium_adds_is_told_by_models_that_had_not_seen_the_person(
    workspace: Workspace, development: SetOfPeople, held_out: SetOfPeople, oof: pd.DataFrame
) -> None:
    told = read_json(workspace.run.path("added_value.json"))
    assert told["model"] == "spline_logistic"
    features = [each for each in workspace.model_features if each.name in told["variants"]["without magnesium"]]
    learner, params = learner_of(workspace, told["model"], tuple(features))
    encoder = Encoder(tuple(features))
    given, later = (encoder.matrix(people.frame.iloc[people.inside]) for people in (development, held_out))
    X = learner.design(given)
    case, weight, fold = cases(development), weights(development), oof["fold"].to_numpy()
    margin = np.zeros(len(case))
    for k in range(3):
        margin[fold == k] = learner.fit(X[fold != k], case[fold != k], weight[fold != k], params).margin(X[fold == k])
    everybody, of_everybody = np.nan_to_num(development.expanded(margin)), development.expanded(fold.astype(float))
    unseen = np.zeros(len(case))
    reported = fit_calibrator(everybody, development.y, development.design)
    fitted, calibrator = fitted_again(workspace, development, reported, told["model"], tuple(features))
    assert isinstance(fitted, Additive)
    for k in range(3):
        others = development.design.where(of_everybody != k)
        log_odds = fit_calibrator(everybody, development.y, others).log_odds(margin[fold == k])
        unseen[fold == k] = expit(fitted.of_expected_risk(log_odds, given[fold == k]))
    of_later = calibrator.risk(fitted.margin(later))
    predicted = pd.read_parquet(workspace.run.path("predictions.parquet"))
    for name, label, people, less in (
        (DEVELOPMENT, CROSS_VALIDATED, development, unseen),
        (HELD_OUT, "2017-2018", held_out, of_later),
    ):
        full = predicted.loc[predicted["set"] == name, told["model"]].to_numpy()
        found = [
            row
            for row in told["records"]
            if (row["set"], row["metric"], row["question"])
            == (label, "log_loss", "magnesium, beside everything else")
        ]  # fmt: skip
        losses = [log_loss(cases(people), risk, sample_weight=weights(people)) for risk in (full, less)]
        assert [row["estimate"] for row in found] == [pytest.approx(losses[0] - losses[1], rel=1e-6)]


def test_all_magnesium_of_a_person_is_swapped_together(
    workspace: Workspace, held_out: SetOfPeople, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Floats] = []
    family = [feature.name for feature in workspace.model_features if is_magnesium(feature)]
    assert len(family) == 2
    encode = Encoder.matrix

    def watched(self: Encoder, frame: pd.DataFrame) -> Any:
        seen.append(frame[family].to_numpy(dtype=float))
        return encode(self, frame)

    monkeypatch.setattr(Encoder, "matrix", watched)
    added._shuffled(workspace, held_out, "spline_logistic")
    own = held_out.frame.iloc[held_out.inside][family].to_numpy(dtype=float)
    assert len(seen) == added.SHUFFLES
    for dealt in seen:
        moved = ~np.isclose(dealt, own, equal_nan=True)
        assert (moved.mean(axis=0) > 0.8).all()
        # Rows stay whole: whoever gets one amount of another person gets both.
        assert sorted(map(str, dealt.tolist())) == sorted(map(str, own.tolist()))


def test_an_imputation_for_a_fold_is_learned_from_the_other_folds(
    workspace: Workspace, development: SetOfPeople, run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned_from: list[int] = []

    class Watched(imputation.Imputer):
        def __init__(self, columns: Any, X: Any, weight: Any, cluster: Any, *, seed: int) -> None:
            learned_from.append(len(X))
            super().__init__(columns, X, weight, cluster, seed=seed)

    monkeypatch.setattr(imputation, "Imputer", Watched)
    imputation.impute(at(run_copy))
    fold = workspace.fold(development)[development.inside]
    of_folds = [int((fold != k).sum()) for k in range(3)]
    # For each of the two imputations: each fold, the model of everybody, and the held-out people by that.
    assert learned_from == 2 * [*of_folds, len(fold), len(fold)]


def test_the_permuted_outcome_is_learned_without_the_fold_that_it_is_measured_in(
    workspace: Workspace, development: SetOfPeople
) -> None:
    told = read_json(workspace.run.path("leaks.json"))
    assert told["learner"] == read_json(workspace.run.path("tuning.json"))["winner"]
    learner, params = learner_of(workspace, told["learner"])
    X = learner.design(Encoder(workspace.model_features).matrix(development.frame.iloc[development.inside]))
    fold, weight = workspace.fold(development), weights(development)

    def out_of_fold(outcome: Floats) -> Floats:
        margin, case, of_inside = np.zeros(len(outcome)), outcome[development.inside], fold[development.inside]
        for k in range(3):
            unseen = of_inside == k
            fitted = learner.fit(X[~unseen], case[~unseen], weight[~unseen], params)
            margin[development.inside[unseen]] = fitted.margin(X[unseen])
        return margin

    data = workspace.training_data(development)
    expected = audit_permuted(out_of_fold, data, seed=workspace.pipeline.model.seed, repeats=audit.REPEATS)
    assert told["permuted"]["auroc"] == pytest.approx(expected.auroc)
    alone = {row["feature"]: row["auroc"] for row in told["alone"]}
    assert set(alone) == {feature.name for feature in workspace.model_features}


def test_a_run_with_a_failed_check_of_severity_error_stops_and_says_which(run_copy: Path) -> None:
    cohort = pd.read_parquet(run_copy / "cohort.parquet")
    pd.concat([cohort, cohort[cohort["analysis"]].iloc[[0]]]).to_parquet(run_copy / "cohort.parquet")
    with pytest.raises(MgRiskError, match="MGR001") as caught:
        checks.check(at(run_copy))
    assert caught.value.code == "checks.failed"
    written = {row["id"]: row["passed"] for row in read_json(run_copy / "checks.json")}
    assert written["MGR001"] is False
    assert len(written) > 20


def test_an_item_whose_evidence_is_not_in_the_report_is_not_done(run_copy: Path) -> None:
    answers = {row["item"]: row for row in read_json(run_copy / "tripod.json")}
    assert answers["3b"]["answer"].startswith("Adults of 20 years and older")
    before = {item: row["status"] for item, row in answers.items()}
    (run_copy / "thresholds.json").unlink()
    (run_copy / "attrition.json").write_text("[", "utf-8")
    items.answer_items(at(run_copy))
    rows = read_json(run_copy / "tripod.json")
    lost = {row["item"]: row for row in rows if row["status"] != before[row["item"]]}
    assert lost
    assert any("report.html#attrition" in row["evidence"] for row in lost.values())
    assert all(row["status"] == "not done" for row in lost.values())
