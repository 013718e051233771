"""Pipeline files: misspellings, inheritance, overrides, round trip, digests."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mgrisk.config.pipeline_file import Pipeline, load
from mgrisk.errors import ExitStatus, MgRiskError

SMALL = """
name = "small"
title = "A small run"

[cohort]
development = ["2013-2014", "2015-2016"]
held_out = ["2017-2018"]

[model]
features = ["age_years", "sex"]

[model.spline_logistic]
"""
PIPELINES = Path(__file__).parents[3] / "pipelines"


def write(folder: Path, text: str, name: str = "small.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path, *overrides: str) -> MgRiskError:
    with pytest.raises(MgRiskError) as caught:
        load(path, overrides=overrides)
    assert caught.value.status == ExitStatus.USAGE
    return caught.value


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_pipeline_of_the_repository_loads(path: Path) -> None:
    assert load(path).name == path.stem


@pytest.mark.parametrize(
    ("override", "key", "nearest"),
    [
        ("cohort.minimun_age=30", "cohort.minimun_age", "minimum_age"),
        ("threds=1", "threds", "threads"),
        ("model.xgboost.lerning_rate=[0.1]", "model.xgboost.lerning_rate", "learning_rate"),
        ("synthetic.sed=3", "synthetic.sed", "seed"),
    ],
)
def test_a_misspelt_key_is_named_with_the_nearest_known_one(
    tmp_path: Path, override: str, key: str, nearest: str
) -> None:
    error = refused(write(tmp_path, SMALL), override)
    assert error.code == "config.unknown_key"
    assert key in error.message
    assert error.hint == f"did you mean {nearest}?"


def test_a_key_like_no_other_gets_the_list_of_known_ones(tmp_path: Path) -> None:
    error = refused(write(tmp_path, SMALL), "tracking.zzzz=1")
    assert error.hint == "known keys: uri, artifacts, experiment, register_as, alias, people, gate"


def test_a_misspelt_key_is_told_before_the_value_that_is_therefore_missing(tmp_path: Path) -> None:
    error = refused(write(tmp_path, SMALL.replace("development", "developement")))
    assert error.code == "config.unknown_key"
    assert error.hint == "did you mean development?"


def test_a_file_that_extends_another_changes_only_what_it_names(tmp_path: Path) -> None:
    base = load(write(tmp_path, SMALL))
    (tmp_path / "variants").mkdir()
    child = write(
        tmp_path / "variants", 'extends = "../small.toml"\nname = "child"\n[cohort]\nfolds = 3\n', "child.toml"
    )
    loaded = load(child)
    assert (loaded.name, loaded.cohort.folds) == ("child", 3)
    own = {"name": base.name, "cohort": base.cohort, "tracking": base.tracking}
    assert loaded.model_copy(update=own) == base
    assert loaded.cohort.model_copy(update={"folds": base.cohort.folds}) == base.cohort


def test_a_run_is_registered_under_its_own_name_where_no_other_is_given(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    assert load(path).tracking.register_as == load(path).name == "small"
    assert load(path, overrides=["tracking.register_as="]).tracking.register_as == "small"
    assert load(path, overrides=["tracking.register_as=Our model_2.1"]).tracking.register_as == "Our model_2.1"


@pytest.mark.parametrize("name", ["a/b", "a:b", "a@b", "a'b", "a?b", " a", "a\n", "\x1b[2J"])
def test_a_name_that_the_registry_does_not_take_is_refused_when_the_file_is_read(tmp_path: Path, name: str) -> None:
    error = refused(write(tmp_path, SMALL), f"tracking.register_as={name}")
    assert "register_as: use letters" in error.message


@pytest.mark.parametrize("alias", ["latest", "v1", "challenger"])
def test_an_alias_that_means_something_else_is_refused_when_the_file_is_read(tmp_path: Path, alias: str) -> None:
    assert "reserved in the registry" in refused(write(tmp_path, SMALL), f"tracking.alias={alias}").message


def test_set_comes_last_and_its_value_is_toml_or_else_a_bare_string(tmp_path: Path) -> None:
    loaded = load(
        write(tmp_path, SMALL),
        overrides=["cohort.folds=4", "source=/data/nh anes", "model.spline_logistic.c=[0.5]", "cohort.folds=7"],
    )
    assert loaded.cohort.folds == 7
    assert loaded.source == "/data/nh anes"
    assert loaded.model.spline_logistic is not None
    assert loaded.model.spline_logistic.c == (0.5,)


@pytest.mark.parametrize("item", ["cohort.folds", "=3", "name.first=x", "name.first.deep=1"])
def test_an_override_that_is_not_key_and_value_is_refused_with_what_was_typed(tmp_path: Path, item: str) -> None:
    error = refused(write(tmp_path, SMALL), item)
    assert error.code == "config.bad_override"
    assert error.where == f"--set {item}"


def test_files_that_extend_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 'extends = "b.toml"', "a.toml")
    write(tmp_path, 'extends = "c.toml"', "b.toml")
    write(tmp_path, 'extends = "a.toml"', "c.toml")
    assert refused(tmp_path / "a.toml").code == "config.circle"


def test_a_missing_base_is_named_by_its_own_path(tmp_path: Path) -> None:
    error = refused(write(tmp_path, 'extends = "gone.toml"', "a.toml"))
    assert error.code == "config.missing_file"
    assert error.where.endswith("gone.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    assert refused(path).code == "config.not_toml"


def test_a_path_through_a_file_or_to_a_folder_is_a_missing_file(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    assert refused(tmp_path).code == "config.missing_file"
    assert refused(path / "more.toml").code == "config.missing_file"


def test_a_cycle_in_both_sets_is_refused_by_name(tmp_path: Path) -> None:
    error = refused(write(tmp_path, SMALL), 'cohort.held_out=["2015-2016", "2017-2018"]')
    assert error.code == "config.bad_value"
    assert "2015-2016" in error.message


def test_a_held_out_cycle_that_is_not_later_than_development_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path, SMALL), 'cohort.held_out=["2011-2012"]')
    assert error.code == "config.bad_value"
    assert "later" in error.message


@pytest.mark.parametrize(
    "override",
    [
        "cohort.folds=1",
        "threads=0",
        "name=Not A Name",
        "model.spline_logistic.knots=2",
        "model.spline_logistic.c=[]",
        "model.spline_logistic.c=[0.0]",
        "model.xgboost.trees=[]",
        "model.xgboost.trees=[0]",
        "model.xgboost.learning_rate=[-0.1]",
        "model.features=[]",
        "cohort.development=[]",
    ],
)
def test_a_value_that_no_run_could_use_is_refused_before_any_data_is_touched(tmp_path: Path, override: str) -> None:
    error = refused(write(tmp_path, SMALL), override)
    assert error.code == "config.bad_value"
    assert override.partition("=")[0] in error.message


def test_a_pipeline_without_a_learner_is_refused(tmp_path: Path) -> None:
    error = refused(write(tmp_path, SMALL.replace("[model.spline_logistic]", "")))
    assert "no algorithm" in error.message


texts = st.text(st.characters(codec="utf-8"), max_size=30)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    title=texts,
    source=texts,
    threads=st.integers(1, 256),
    folds=st.integers(2, 20),
    c=st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=4),
    synthetic=st.none() | st.fixed_dictionaries({"people_per_cycle": st.integers(200, 100_000)}),
    xgboost=st.none() | st.fixed_dictionaries({"subsample": st.floats(0.01, 1.0)}),
)
def test_a_resolved_pipeline_written_as_toml_loads_as_the_same_pipeline(
    tmp_path: Path,
    title: str,
    source: str,
    threads: int,
    folds: int,
    c: list[float],
    synthetic: object,
    xgboost: object,
) -> None:
    pipeline = Pipeline.model_validate(
        {
            "name": "round-trip",
            "title": title,
            "source": source,
            "threads": threads,
            "synthetic": synthetic,
            "cohort": {"development": ["2015-2016"], "held_out": ["2017-2018"], "folds": folds},
            "model": {"features": ["sex"], "spline_logistic": {"c": c}, "xgboost": xgboost},
        }
    )
    assert load(write(tmp_path, pipeline.to_toml(), "resolved.toml")) == pipeline


def test_a_digest_changes_with_what_its_sections_say_and_with_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    before = load(path)
    again = load(path)
    moved = load(path, overrides=["threads=9", "source=elsewhere", "tracking.alias=other"])
    assert before.digest("cohort", "model") == again.digest("cohort", "model") == moved.digest("cohort", "model")
    assert before.digest("tracking") != moved.digest("tracking")
    for override in ("cohort.seed=2", "model.seed=2", "model.spline_logistic.knots=5"):
        assert load(path, overrides=[override]).digest("cohort", "model") != before.digest("cohort", "model")


def test_a_loaded_pipeline_cannot_be_changed(tmp_path: Path) -> None:
    pipeline = load(write(tmp_path, SMALL))
    with pytest.raises(ValueError, match="frozen"):
        pipeline.threads = 3  # type: ignore[misc]


@pytest.mark.parametrize("text", ['extends = "/dev/zero"', "a = " + "[" * 100_000, 'extends = "."'])
def test_what_has_no_end_or_no_bottom_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "endless.toml").write_text(text, encoding="utf-8")
    with pytest.raises(MgRiskError) as refused:
        load(tmp_path / "endless.toml")
    assert refused.value.code in {"config.missing_file", "config.not_toml"}
