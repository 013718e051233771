"""A bundle scores after loading as before writing, and is refused in whatever way it was damaged."""

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

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.model import bundle as module
from mgrisk.model.bundle import SUMS, load_bundle

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

Damage = Callable[[Path], None]
LEARNERS = pytest.mark.parametrize("learner", ["spline_logistic", "xgboost"])


@pytest.fixture
def folder(toy_bundles: dict[str, Bundle], tmp_path: Path) -> Path:
    toy_bundles["spline_logistic"].write(tmp_path / "bundle")
    return tmp_path / "bundle"


def refused(folder: Path) -> MgRiskError:
    with pytest.raises(MgRiskError) as caught:
        load_bundle(folder)
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
    loaded = load_bundle(tmp_path / learner)
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
    load_bundle(tmp_path / "1").write(tmp_path / "2")
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
    load_bundle(folder)


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
    assert load_bundle(folder).about["learner"] == "xgboost"
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]
