"""A bundle scores after loading as before writing, and is refused in whatever way it was damaged.

Released bundles are found by name, load, and are named where another name was given.

A recalibrated bundle has the level, and the slope, of the new people, and says whose child it is.

Recall error moves the risk by as much as the model says of usual magnesium, and is told only where it is known.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickletools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.features import usual_magnesium
from mgrisk.features.compute import typed
from mgrisk.features.registry import features, with_ancestors
from mgrisk.model import bundle as module
from mgrisk.model.bundle import (
    DEFAULT,
    Bundle,
    read_bundle,
    recalibrate,
    recall_se,
    recall_share,
    released,
    released_bundles,
)
from mgrisk.model.bundle_files import SUMS
from mgrisk.model.calibration import Calibrator
from mgrisk.model.splines import FittedSplines, Term
from mgrisk.survey.design import SurveyDesign, WeightLevel
from mgrisk.survey.regression import fit_logistic

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle, Method

Damage = Callable[[Path], None]
LEARNERS = pytest.mark.parametrize("learner", ["spline_logistic", "xgboost"])


@pytest.fixture
def folder(toy_bundles: dict[str, Bundle], tmp_path: Path) -> Path:
    toy_bundles["spline_logistic"].write(tmp_path / "bundle")
    return tmp_path / "bundle"


def refused(folder: Path) -> MgRiskError:
    with pytest.raises(MgRiskError) as caught:
        read_bundle(folder)
    assert caught.value.status == ExitStatus.BUNDLE
    return caught.value


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Change a file and its sum, as somebody would who means it."""
    (folder / name).write_bytes(content)
    lines = (folder / SUMS).read_text().splitlines()
    kept = [line for line in lines if not line.endswith(f"  {name}")]
    (folder / SUMS).write_text("\n".join([*kept, f"{hashlib.sha256(content).hexdigest()}  {name}"]) + "\n")


@LEARNERS
def test_a_loaded_bundle_scores_as_the_written_one_did_bit_for_bit(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, tmp_path: Path, learner: str
) -> None:
    written = toy_bundles[learner]
    written.write(tmp_path / learner)
    loaded = read_bundle(tmp_path / learner)
    before, after = written.encode(toy_people.frame), loaded.encode(toy_people.frame)
    np.testing.assert_array_equal(after[1], before[1])
    margin = written.fitted.margin(before[1])
    np.testing.assert_array_equal(loaded.fitted.margin(after[1]), margin)
    np.testing.assert_array_equal(loaded.calibrator.risk(margin), written.calibrator.risk(margin))
    se = written.standard_error(before[1], margin)
    np.testing.assert_array_equal(loaded.standard_error(after[1], margin), se)
    np.testing.assert_array_equal(loaded.interval(margin, se), written.interval(margin, se))
    assert loaded.features == written.features
    assert loaded.reference == written.reference
    assert loaded.parts == written.parts
    assert written.about.items() <= loaded.about.items()


@LEARNERS
def test_the_same_bundle_is_written_as_the_same_bytes(
    toy_bundles: dict[str, Bundle], tmp_path: Path, learner: str
) -> None:
    toy_bundles[learner].write(tmp_path / "1")
    read_bundle(tmp_path / "1").write(tmp_path / "2")
    for path in (tmp_path / "1").iterdir():
        assert (tmp_path / "2" / path.name).read_bytes() == path.read_bytes()


def test_a_scoring_file_may_give_what_a_feature_derives_from(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    bundle = toy_bundles["spline_logistic"]
    assert {"height_cm", "weight_kg", "magnesium_food_mg"} <= {feature.name for feature in bundle.inputs}
    given = toy_people.frame.drop(columns="bmi_kg_m2").assign(height_cm=200.0, weight_kg=120.0)
    frame, _ = bundle.encode(given)
    assert list(frame) == [feature.name for feature in toy_people.features]
    assert (frame["bmi_kg_m2"] == 30.0).all()


def test_the_interval_holds_the_risk_and_a_higher_level_holds_the_lower_one(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    for bundle in toy_bundles.values():
        _, X = bundle.encode(toy_people.frame)
        margin = bundle.fitted.margin(X)
        risk, se = bundle.calibrator.risk(margin), bundle.standard_error(X, margin)
        (low, high), (lower, higher) = bundle.interval(margin, se), bundle.interval(margin, se, level=0.99)
        assert ((lower > 0) & (lower < low) & (low < risk) & (risk < high) & (high < higher) & (higher < 1)).all()


def test_the_error_of_the_learner_is_in_the_interval_where_refits_told_it(toy_bundles: dict[str, Bundle]) -> None:
    X = toy_bundles["spline_logistic"].encode(pd.DataFrame({"age_years": [50.0], "bmi_kg_m2": [28.0]}))[1]
    refitted, plain = toy_bundles["spline_logistic"], replace(toy_bundles["spline_logistic"], uncertainty=None)
    margin = refitted.fitted.margin(X)
    assert refitted.uncertainty is not None
    np.testing.assert_array_equal(refitted.standard_error(X, margin), refitted.uncertainty.se(X))
    np.testing.assert_array_equal(plain.standard_error(X, margin), plain.calibrator.se(margin))


@LEARNERS
def test_a_flipped_bit_in_any_file_is_refused(toy_bundles: dict[str, Bundle], tmp_path: Path, learner: str) -> None:
    folder = tmp_path / "bundle"
    toy_bundles[learner].write(folder)
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        places = range(len(content)) if path.name == SUMS else (0, len(content) // 2, len(content) - 1)
        for place in places:
            # A letter, its case, a line end to another kind of line end, a sign that is no UTF-8.
            for bits in (0x01, 0x20, 0x07, 0x80):
                flipped = bytearray(content)
                flipped[place] ^= bits
                path.write_bytes(flipped)
                assert refused(folder).code == "bundle.bad_sum", (path.name, place, bits)
        path.write_bytes(content)
    read_bundle(folder)


def test_a_file_that_is_gone_or_cut_short_is_refused(folder: Path) -> None:
    for name in sorted(path.name for path in folder.iterdir() if path.name != SUMS):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1])
        assert refused(folder).code == "bundle.bad_sum"
        (folder / name).unlink()
        assert refused(folder).code == "bundle.bad_sum"
        (folder / name).write_bytes(content)


def test_a_folder_that_is_no_bundle_or_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path).code == "bundle.missing"
    assert refused(tmp_path / "gone").code == "bundle.missing"


@pytest.mark.parametrize("name", ["../secret", "deep/secret", "ABSOLUTE", "..", ".", "", "deep/../../secret"])
def test_a_sum_for_a_file_outside_the_folder_is_refused_unread(folder: Path, name: str) -> None:
    secret = folder.parent / "secret"
    secret.write_bytes(b"secret")
    (folder / "deep").mkdir()
    shutil.copy(secret, folder / "deep" / "secret")
    name = str(secret) if name == "ABSOLUTE" else name
    with (folder / SUMS).open("a") as sums:
        sums.write(f"{hashlib.sha256(b'secret').hexdigest()}  {name}\n")
    assert refused(folder).code == "bundle.bad_sum"


def test_a_file_too_large_to_be_ours_is_refused_before_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE", 50)
    assert "too large" in refused(folder).message


def test_another_format_version_is_named_with_the_one_that_this_mgrisk_reads(folder: Path) -> None:
    about = json.loads((folder / "bundle.json").read_bytes())
    rewrite(folder, "bundle.json", json.dumps({**about, "format": 99}).encode())
    error = refused(folder)
    assert (error.code, error.expected, error.got) == ("bundle.bad_format", "1", "99")


@pytest.mark.parametrize(
    "row",
    [
        {"name": "bmi_squared", "derived_from": ["weight_kg", "height_cm"]},
        {"derived_from": ["weight_stone"]},
        {"derived_from": ["weight_kg"], "fitted": "no_such_model"},
    ],
    ids=str,
)
def test_a_feature_that_this_version_cannot_derive_is_refused_when_the_bundle_is_loaded(
    folder: Path, row: dict[str, object]
) -> None:
    about = json.loads((folder / "bundle.json").read_bytes())
    about["features"][0] |= row
    rewrite(folder, "bundle.json", json.dumps(about).encode())
    error = refused(folder)
    assert error.code == "bundle.bad_format"
    assert error.message == f"this version of mgrisk does not know how to derive {about['features'][0]['name']}"
    assert "version that wrote it" in error.hint


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bundle.json", b"{"),
        ("bundle.json", b"[]"),
        ("bundle.json", b'{"format": 1}'),
        ("bundle.json", b'{"format": 1, "refits": 20, "features": [{"name": "x"}]}'),
        ("calibrator.json", b"null"),
        ("calibrator.json", b'{"intercept": 0, "slope": 1, "covariance": [[0]], "df": 5}'),
        ("calibrator.json", b'{"intercept": null, "slope": 1, "covariance": [[0, 0], [0, 0]], "df": 5}'),
        ("calibrator.json", b'{"intercept": NaN, "slope": 1, "covariance": [[0, 0], [0, 0]], "df": 5}'),
        ("reference.json", b"\xff"),
        ("reference.json", b"[]"),
        ("coefficients.json", b"{}"),
        ("uncertainty.npz", b"PK"),
    ],
    ids=str,
)
def test_a_part_that_cannot_be_read_is_refused_although_its_sum_is_right(
    folder: Path, name: str, content: bytes
) -> None:
    rewrite(folder, name, content)
    assert refused(folder).code in {"bundle.bad_format", "bundle.bad_model"}


@pytest.mark.parametrize(
    "name", ["bundle.json", "calibrator.json", "reference.json", "coefficients.json", "uncertainty.npz"]
)
def test_a_part_that_no_sum_speaks_for_is_not_read(folder: Path, name: str) -> None:
    lines = [line for line in (folder / SUMS).read_text().splitlines() if not line.endswith(name)]
    (folder / SUMS).write_text("\n".join(lines) + "\n")
    assert refused(folder).code in {"bundle.bad_format", "bundle.bad_model"}


@LEARNERS
def test_a_bundle_holds_no_pickle(toy_bundles: dict[str, Bundle], tmp_path: Path, learner: str) -> None:
    toy_bundles[learner].write(tmp_path / "bundle")
    for path in (tmp_path / "bundle").iterdir():
        content = path.read_bytes()
        with pytest.raises(Exception, match=r"."):
            list(pickletools.genops(content))
        if path.suffix == ".npz":
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                assert all(arrays[name].dtype.kind in "fiub" for name in arrays.files)
        else:
            assert path.suffix in {".json", ".ubj", ".md", ""}


def test_a_bundle_that_is_written_again_replaces_the_old_one_whole(
    toy_bundles: dict[str, Bundle], folder: Path
) -> None:
    toy_bundles["xgboost"].write(folder)
    assert not (folder / "coefficients.json").exists()
    assert read_bundle(folder).about["learner"] == "xgboost"
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]


def test_the_default_is_released() -> None:
    assert DEFAULT in released_bundles()


@pytest.mark.parametrize("name", sorted(released_bundles()))
def test_every_released_bundle_loads_is_real_and_has_a_card(name: str) -> None:
    bundle = read_bundle(released(name))
    assert bundle.about["synthetic"] is False
    assert bundle.about["data"] == "NHANES"
    assert b"Not for" in bundle.parts["card.md"] or b"not" in bundle.parts["card.md"]


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(MgRiskError) as caught:
        released("pima")
    assert caught.value.code == "bundle.unknown"
    assert caught.value.status == ExitStatus.BUNDLE
    assert DEFAULT in (caught.value.expected or "")


N = 4000
TOLD = {"parent": {"name": "toy", "sha256": "0" * 64}, "holds_for": "a clinic, 2022"}


@pytest.fixture
def parent(toy_bundles: dict[str, Bundle]) -> Bundle:
    bundle = toy_bundles["spline_logistic"]
    return replace(bundle, about={**bundle.about, "interval": "an interval"})


def new_people(parent: Bundle, *, level: float, slope: float) -> tuple[np.ndarray, np.ndarray, SurveyDesign]:
    random = np.random.default_rng(8)
    margin = random.normal(-1, 1, N)
    y = (random.random(N) < expit(level + slope * parent.calibrator.log_odds(margin))).astype(float)
    design = SurveyDesign(random.uniform(1, 4, N), np.zeros(N), np.arange(N) % 80, WeightLevel.INTERVIEW)
    return margin, y, design


def test_intercept_moves_the_level_alone_and_the_mean_risk_is_that_observed(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=0.7, slope=1.0)
    made = recalibrate(parent, margin, y, design, method="intercept", told=TOLD)
    assert made.calibrator.slope == parent.calibrator.slope
    assert made.calibrator.intercept - parent.calibrator.intercept == pytest.approx(0.7, abs=0.15)
    weight = design.analysis_weight
    observed = np.average(y, weights=weight)
    assert np.average(made.calibrator.risk(margin), weights=weight) == pytest.approx(observed, abs=1e-9)
    assert made.about["recalibration"]["prevalence"] == pytest.approx(observed)


def test_logistic_is_the_regression_on_the_log_odds_of_the_parent(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=-0.4, slope=0.6)
    made = recalibrate(parent, margin, y, design, method="logistic", told=TOLD)
    log_odds = parent.calibrator.log_odds(margin)
    fit = fit_logistic(np.column_stack([np.ones(N), log_odds]), y, design)
    change = made.about["recalibration"]
    assert (change["intercept_of_parent"], change["slope_of_parent"]) == pytest.approx(
        tuple(fit.coefficients), abs=1e-8
    )
    np.testing.assert_allclose(
        made.calibrator.log_odds(margin), fit.coefficients[0] + fit.coefficients[1] * log_odds, atol=1e-8
    )


def test_it_names_its_parent_and_for_whom_it_holds(parent: Bundle) -> None:
    made = recalibrate(parent, *new_people(parent, level=0.0, slope=1.0), method="intercept", told=TOLD)
    assert made.about["parent"] == TOLD["parent"]
    assert made.about["holds_for"] == "a clinic, 2022"
    assert made.about["name"] == "toy-recalibrated"
    assert made.fitted is parent.fitted


@pytest.mark.parametrize("method", ["intercept", "logistic"])
def test_the_error_of_the_recalibration_is_added_to_that_of_the_parent(parent: Bundle, method: Method) -> None:
    margin, y, design = new_people(parent, level=0.5, slope=0.7)
    made = recalibrate(parent, margin, y, design, method=method, told=TOLD)
    X = np.full((1, len(parent.encoder.columns)), np.nan, dtype=np.float32)
    stretch = made.about["recalibration"]["slope_of_parent"]
    added = np.average(made.calibrator.se(margin) ** 2, weights=design.analysis_weight)
    at = np.zeros(1)
    expected = np.sqrt((stretch * parent.standard_error(X, at)) ** 2 + added)
    np.testing.assert_allclose(made.standard_error(X, at), expected)
    plain = recalibrate(replace(parent, uncertainty=None), margin, y, design, method=method, told=TOLD)
    np.testing.assert_array_equal(plain.standard_error(X, at), plain.calibrator.se(at))


def test_too_few_cases_are_refused_with_the_method_that_they_do_for(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=0.0, slope=1.0)
    few = np.zeros(N)
    few[np.flatnonzero(y)[:30]] = 1
    with pytest.raises(MgRiskError, match="30 cases") as caught:
        recalibrate(parent, margin, few, design, method="logistic", told=TOLD)
    assert caught.value.code == "recalibrate.too_few_events"
    assert caught.value.hint == "use --method intercept"
    few[np.flatnonzero(few)[:15]] = 0
    with pytest.raises(MgRiskError, match="15 cases") as caught:
        recalibrate(parent, margin, few, design, method="intercept", told=TOLD)
    assert "as it is" in caught.value.hint


def test_an_outcome_coded_the_wrong_way_round_is_refused(parent: Bundle) -> None:
    margin, y, design = new_people(parent, level=0.0, slope=1.0)
    with pytest.raises(MgRiskError) as caught:
        recalibrate(parent, margin, 1 - y, design, method="logistic", told=TOLD)
    assert caught.value.code == "recalibrate.reversed"


N, SLOPE, EFFECT = 800, 0.9, -0.004
CHOSEN = features(["age_years", "usual_magnesium_total_mg"])


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    random = np.random.default_rng(11)
    own = 5.6 + random.normal(0, 0.25, N)
    days = np.exp(own[:, None] + random.normal(0, 0.3, (N, 2)))
    days[random.random(N) < 0.3, 1] = np.nan
    frame = pd.DataFrame(
        {
            "age_years": random.uniform(20, 80, N).round(),
            "sex": random.choice(["female", "male"], N),
            "magnesium_food_day_1_mg": days[:, 0],
            "magnesium_food_day_2_mg": days[:, 1],
            "recall_day_1_weekend": random.choice(["no", "yes"], N),
            "recall_day_2_weekend": np.where(np.isnan(days[:, 1]), None, random.choice(["no", "yes"], N)),
            "magnesium_food_mg": np.nanmean(days, axis=1),
            "recall_days": np.isfinite(days).sum(axis=1).astype(float),
            "magnesium_supplement_mg": np.where(random.random(N) < 0.3, 100.0, 0.0),
        }
    )
    return typed(frame, with_ancestors(CHOSEN))


@pytest.fixture(scope="module")
def bundle(people: pd.DataFrame) -> Bundle:
    design = SurveyDesign(np.ones(N), np.arange(N) % 10, np.arange(N) // 10 % 2, WeightLevel.RECALL1)
    straight = FittedSplines((Term(50.0, ()), Term(300.0, ())), -2.0, np.array([0.03, EFFECT]), np.zeros(2))
    return Bundle(
        about={"name": "toy"},
        features=CHOSEN,
        fitted=straight,
        calibrator=Calibrator(0.1, SLOPE, np.eye(2) * 0.01, 20),
        reference={},
        parts={},
        models={"usual_magnesium": usual_magnesium.fit(people, design)},
    )


def test_of_a_straight_line_it_is_the_slope_times_the_error_of_usual_intake(
    bundle: Bundle, people: pd.DataFrame
) -> None:
    error = bundle.models["usual_magnesium"].predict(people)["usual_magnesium_se_mg"].to_numpy()
    found = recall_se(bundle, people)
    np.testing.assert_allclose(found, SLOPE * abs(EFFECT) * error, rtol=0.02)
    two = (people["recall_days"] == 2).to_numpy()
    assert found[two].mean() < found[~two].mean()


def test_it_is_not_told_where_it_is_not_known(bundle: Bundle, people: pd.DataFrame) -> None:
    few = people.iloc[:4].copy()
    recalls = ["magnesium_food_day_1_mg", "magnesium_food_day_2_mg", "magnesium_food_mg"]
    few.loc[few.index[0], recalls] = np.nan
    few["usual_magnesium_mg"] = [np.nan, 310.0, np.nan, np.nan]
    assert np.isnan(recall_se(bundle, few)).tolist() == [True, True, False, False]


def test_a_bundle_without_usual_magnesium_has_none(toy_bundles: dict[str, Bundle], people: pd.DataFrame) -> None:
    assert np.isnan(recall_se(toy_bundles["spline_logistic"], people)).all()


def test_the_share_is_that_of_the_variances_and_missing_with_the_recall_error() -> None:
    share = recall_share(np.array([0.0, 0.3, np.nan]), np.array([0.2, 0.4, 0.4]))
    np.testing.assert_allclose(share, [0.0, 0.36, np.nan])
