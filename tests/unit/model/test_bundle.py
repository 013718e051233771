"""A bundle gives the same risks after loading, and any damaged bundle is refused."""

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
from mgrisk.features.registry import FEATURES
from mgrisk.model import bundle as module
from mgrisk.model.additive import Additive
from mgrisk.model.bundle import Bundle, read_bundle
from mgrisk.model.bundle_files import SUMS
from mgrisk.model.calibration import Calibrator
from mgrisk.model.curves import FittedSplines
from mgrisk.model.splines import Term

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

Damage = Callable[[Path], None]
LEARNERS = pytest.mark.parametrize("learner", ["spline_logistic", "xgboost"])
ADDITIVE, TREES = "spline_logistic", "xgboost"


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
    one, other = written.predict(before[1]), loaded.predict(after[1])
    for name, values in vars(one).items():
        if values is None:
            assert getattr(other, name) is None
        else:
            np.testing.assert_array_equal(getattr(other, name), values, err_msg=name)
    np.testing.assert_array_equal(loaded.risk(after[1]), expit(one.log_odds))
    np.testing.assert_array_equal(loaded.interval(other), written.interval(one))
    np.testing.assert_array_equal(loaded.interval_of_inputs(other), written.interval_of_inputs(one))
    assert loaded.refits == written.refits == 20
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
        found, risk = bundle.predict(X), bundle.risk(X)
        (low, high), (lower, higher) = bundle.interval(found), bundle.interval(found, level=0.99)
        assert ((lower > 0) & (lower < low) & (low < risk) & (risk < high) & (high < higher) & (higher < 1)).all()


def test_the_error_of_the_learner_is_in_the_interval_where_refits_told_it(toy_bundles: dict[str, Bundle]) -> None:
    for name, bundle in toy_bundles.items():
        X = bundle.encode(pd.DataFrame({"age_years": [50.0], "bmi_kg_m2": [28.0]}))[1]
        plain = without_refits(bundle)
        of_calibration = bundle.calibrator.se(bundle.fitted.margin(X))
        np.testing.assert_array_equal(plain.predict(X).se, of_calibration)
        assert plain.refits == 0
        if isinstance(bundle.fitted, Additive):
            np.testing.assert_array_equal(bundle.predict(X).se, np.sqrt(bundle.fitted.answer(X).variance))
        if bundle.uncertainty is not None:
            np.testing.assert_array_equal(bundle.predict(X).se, bundle.uncertainty.se(X))
        assert (bundle.predict(X).se != of_calibration) == (name in (ADDITIVE, TREES))


def without_refits(bundle: Bundle) -> Bundle:
    fitted = replace(bundle.fitted, sampling=None) if isinstance(bundle.fitted, Additive) else bundle.fitted
    return replace(bundle, fitted=fitted, uncertainty=None)


def test_the_interval_of_inputs_is_the_risk_where_nothing_is_absent_and_holds_it_otherwise(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    bundle = toy_bundles[ADDITIVE]
    _, X = bundle.encode(toy_people.frame)
    found, risk = bundle.predict(X), bundle.risk(X)
    low, high = bundle.interval_of_inputs(found)
    lacks = np.isnan(X).any(axis=1)
    assert 100 < lacks.sum() < len(X) - 100
    np.testing.assert_array_equal(low[~lacks], risk[~lacks])
    np.testing.assert_array_equal(high[~lacks], risk[~lacks])
    assert ((low < risk) & (risk < high))[lacks].all()
    lower, higher = bundle.interval_of_inputs(found, level=0.99)
    assert ((lower < low) & (high < higher))[lacks].all()
    reach = 1.6448536269514722 * found.unknown[lacks]
    np.testing.assert_allclose(low[lacks], expit(found.expected[lacks] - reach), rtol=1e-12)


def test_what_the_absent_inputs_may_be_is_not_told_of_trees(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    for name in (TREES, "shapes", "blend"):
        bundle = toy_bundles[name]
        found = bundle.predict(bundle.encode(toy_people.frame)[1])
        assert np.isnan([found.unknown, found.expected, *bundle.interval_of_inputs(found)]).all()
        assert found.base is None
        assert found.contributions is None


def test_a_prediction_is_base_and_contributions_to_the_ninth_digit(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    bundle = replace(toy_bundles[ADDITIVE], calibrator=Calibrator(0.3, 0.8, np.eye(2), 20))
    _, X = bundle.encode(toy_people.frame)
    found = bundle.predict(X)
    assert found.base is not None
    assert found.contributions is not None
    np.testing.assert_allclose(found.base + found.contributions.sum(axis=0), found.log_odds, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(expit(found.log_odds), bundle.risk(X))


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


@pytest.mark.parametrize(
    "name",
    ["../secret", "deep/secret", "ABSOLUTE", "..", ".", "", "deep/../../secret", "a" * 5000, "a\0b"],
    ids=lambda name: repr(name[:20]),
)
def test_a_sum_for_a_file_outside_the_folder_is_refused_unread(folder: Path, name: str) -> None:
    secret = folder.parent / "secret"
    secret.write_bytes(b"secret")
    (folder / "deep").mkdir()
    shutil.copy(secret, folder / "deep" / "secret")
    name = str(secret) if name == "ABSOLUTE" else name
    with (folder / SUMS).open("a") as sums:
        sums.write(f"{hashlib.sha256(b'secret').hexdigest()}  {name}\n")
    assert refused(folder).code == "bundle.bad_sum"


@pytest.mark.parametrize("name", ["calibrator.json", SUMS])
def test_a_file_that_is_a_link_out_of_the_folder_is_refused_and_a_link_to_the_folder_is_followed(
    folder: Path, name: str
) -> None:
    away = folder.parent / "away"
    (folder / name).rename(away)
    (folder / name).symlink_to(away)
    error = refused(folder)
    assert (error.code, error.message) == ("bundle.bad_sum", f"{name} is a link that leads out of the folder")
    (folder / name).unlink()
    away.rename(folder / name)
    (folder.parent / "linked").symlink_to(folder)
    assert read_bundle(folder.parent / "linked").features == read_bundle(folder).features


def test_a_card_that_is_no_text_is_refused(folder: Path) -> None:
    rewrite(folder, "card.md", b"# \xff")
    assert refused(folder).message == "card.md is no UTF-8 text"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "lacks the pattern with all inputs"),
        ([{"absent": [], "auroc": 1.5, "calibration_slope": 1.0, "observed_expected": 1.0}], "patterns.0.auroc"),
        ([{"absent": [], "auroc": 0.8, "observed_expected": 1.0}], "patterns.0.calibration_slope"),
        (
            [
                {"absent": each, "auroc": 0.8, "calibration_slope": None, "observed_expected": None}
                for each in ([], ["shoe_size"])
            ],
            "inputs that the bundle does not have",
        ),
        ({}, "patterns: Input should be a valid list"),
    ],
)
def test_patterns_are_read_and_checked_when_the_bundle_is_loaded(folder: Path, rows: object, said: str) -> None:
    rewrite(folder, "patterns.json", json.dumps(rows).encode())
    error = refused(folder)
    assert (error.code, error.where) == ("bundle.bad_format", "patterns.json")
    assert said in error.message


def test_patterns_whose_calibration_could_not_be_estimated_are_read(folder: Path) -> None:
    row = {"absent": [], "auroc": 0.5, "calibration_slope": None, "observed_expected": 1.0}
    rewrite(folder, "patterns.json", json.dumps([row]).encode())
    assert read_bundle(folder).patterns[0].calibration_slope is None


def test_a_feature_with_other_levels_than_those_that_others_derive_from_is_refused(folder: Path) -> None:
    about = json.loads((folder / "bundle.json").read_bytes())
    (sex,) = (row for row in about["features"] if row["name"] == "sex")
    derived = json.loads(FEATURES["magnesium_below_ear"].model_dump_json())
    assert "sex" in derived["derived_from"]
    # Ahead of the feature itself, so that its parent is that of the registry.
    about["features"] = [derived, *(row for row in about["features"] if row is not sex), {**sex, "levels": ["m", "f"]}]
    rewrite(folder, "bundle.json", json.dumps(about).encode())
    assert "sex, which has other levels" in refused(folder).message


def test_a_file_too_large_to_be_ours_is_refused_before_it_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST_FILE", 50)
    assert "too large" in refused(folder).message


def test_another_format_version_is_named_with_the_one_that_this_mgrisk_reads(folder: Path) -> None:
    about = json.loads((folder / "bundle.json").read_bytes())
    rewrite(folder, "bundle.json", json.dumps({**about, "format": 99}).encode())
    error = refused(folder)
    assert (error.code, error.expected, error.got) == ("bundle.bad_format", "1 or 2", "99")


def of_format_1(bundle: Bundle) -> Bundle:
    """Return a bundle whose spline model fills gaps by a constant, as those of format 1 did."""
    encoder = bundle.encoder
    terms = tuple(Term(50.0 if place == 0 else 0.0, ()) for place in range(len(encoder.columns)))
    fitted = FittedSplines(terms, -1.0, np.linspace(-0.01, 0.02, len(terms)), np.zeros(len(terms)))
    return replace(bundle, fitted=fitted, uncertainty=None, calibrator=Calibrator(0.1, 0.9, np.eye(2) / 100, 20))


def test_a_bundle_of_format_1_is_read_and_scores_as_it_did(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, tmp_path: Path
) -> None:
    written = of_format_1(toy_bundles[ADDITIVE])
    written.write(tmp_path / "old")
    about = json.loads((tmp_path / "old" / "bundle.json").read_bytes())
    assert about["format"] == 2
    rewrite(tmp_path / "old", "bundle.json", json.dumps({**about, "format": 1}).encode())
    loaded = read_bundle(tmp_path / "old")
    assert loaded.about["format"] == 1
    assert isinstance(loaded.fitted, FittedSplines)
    _, X = loaded.encode(toy_people.frame)
    np.testing.assert_array_equal(loaded.risk(X), written.risk(X))
    np.testing.assert_array_equal(loaded.predict(X).se, written.predict(X).se)
    filled = np.where(np.isnan(X), 0.0, X)
    np.testing.assert_allclose(loaded.risk(filled), loaded.risk(X), rtol=1e-12)


@pytest.mark.parametrize("learner", [ADDITIVE, TREES])
def test_refits_that_are_told_but_not_there_are_refused(
    toy_bundles: dict[str, Bundle], tmp_path: Path, learner: str
) -> None:
    folder = tmp_path / "bundle"
    toy_bundles[learner].write(folder)
    about = json.loads((folder / "bundle.json").read_bytes())
    assert about["refits"] == 20
    rewrite(folder, "bundle.json", json.dumps({**about, "refits": 0}).encode())
    assert refused(folder).code == "bundle.bad_format"
    without_refits(toy_bundles[learner]).write(folder)
    assert json.loads((folder / "bundle.json").read_bytes())["refits"] == 0
    rewrite(folder, "bundle.json", json.dumps(about).encode())
    assert refused(folder).code == "bundle.bad_format"


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
        ("additive.json", b"{}"),
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
    ("learner", "name"),
    [
        (ADDITIVE, "bundle.json"),
        (ADDITIVE, "calibrator.json"),
        (ADDITIVE, "reference.json"),
        (ADDITIVE, "additive.json"),
        (TREES, "uncertainty.npz"),
    ],
)
def test_a_part_that_no_sum_speaks_for_is_not_read(
    toy_bundles: dict[str, Bundle], folder: Path, learner: str, name: str
) -> None:
    toy_bundles[learner].write(folder)
    assert (folder / name).is_file()
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
    assert not (folder / "additive.json").exists()
    assert read_bundle(folder).about["learner"] == "xgboost"
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]
