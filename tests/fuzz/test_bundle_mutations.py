"""A bundle with one error is refused when it is loaded or gives finite risks (see `bundle_mutations`)."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from bundle_mutations import Files, Verdict, mutations, of_every_kind, verdict

FEW, MANY = 100, 1_200
KINDS = pytest.mark.parametrize("kind", ["additive", "splines", "sum", "shapes"])


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    return of_every_kind(tmp_path_factory.mktemp("kinds"))


def what_comes_of(files: Files, folder: Path, *, some: int, seed: int) -> dict[str, Verdict]:
    """Return what came of some of the mutations, drawn at random, that neither were refused nor scored."""
    chosen = random.Random(seed).sample(list(mutations(files)), some)
    found = {what: verdict(make(), folder) for what, make in chosen}
    assert {"refused", "scored"} <= {each.kind for each in found.values()}
    return {what: each for what, each in found.items() if each.kind not in ("refused", "scored")}


@KINDS
def test_a_bundle_as_it_is_scores(bundles: dict[str, Files], kind: str, tmp_path: Path) -> None:
    assert verdict(bundles[kind], tmp_path / "bundle") == Verdict("scored")


@KINDS
def test_a_bundle_with_one_thing_wrong_is_refused_or_scores(
    bundles: dict[str, Files], kind: str, tmp_path: Path
) -> None:
    assert what_comes_of(bundles[kind], tmp_path / "bundle", some=FEW, seed=21) == {}


@pytest.mark.slow
@KINDS
def test_thousands_of_bundles_with_one_thing_wrong_are_refused_or_score(
    bundles: dict[str, Files], kind: str, tmp_path: Path
) -> None:
    assert what_comes_of(bundles[kind], tmp_path / "bundle", some=MANY, seed=22) == {}


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("additive", "additive.json knots.0.0 -1e+308"),
        ("additive", "bundle.json features.0.minimum nan"),
        ("additive", "bundle.json format DEEP"),
        ("additive", "patterns.json 0.auroc deleted"),
        ("additive", "patterns.json 0.absent None"),
        ("additive", "reference.json sex.people 'x'"),
        ("splines", "calibrator.json df 0"),
        ("splines", "uncertainty.npz loadings nan at 0"),
        ("sum", "attributions.npz 0.column_means inf at 0"),
        ("shapes", "fitted_features.json usual_magnesium.female.transform.power 1e+308"),
        ("shapes", "shapes.json shapes.0.cuts.0 []"),
    ],
)  # fmt: skip
def test_what_once_ended_as_a_bug_or_as_an_answer_is_refused(
    bundles: dict[str, Files], kind: str, wrong: str, tmp_path: Path
) -> None:
    (make,) = (make for what, make in mutations(bundles[kind]) if what.replace("'DEEP'", "DEEP") == wrong)
    assert verdict(make(), tmp_path / "bundle") == Verdict("refused")
