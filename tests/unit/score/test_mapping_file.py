"""An invalid mapping file is refused with the place of the error; a valid one is described in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from mgrisk.errors import ExitStatus, MgRiskError
from mgrisk.score.mapping_file import MappedColumn, read_mapping

AGE = '[features.age_years]\nfrom = "AGE"\n'


def refused(tmp_path: Path, text: str) -> MgRiskError:
    (tmp_path / "mapping.toml").write_text(text, "utf-8")
    with pytest.raises(MgRiskError) as caught:
        read_mapping(tmp_path / "mapping.toml")
    assert caught.value.status == ExitStatus.USAGE
    return caught.value


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("", "exactly one of `from` and `constant`"),
        ("from = 'A'\nconstant = 'no'", "exactly one of `from` and `constant`"),
        ("from = ['A', 'B']", "`combine` is needed for several"),
        ("from = 'A'\ncombine = 'sum'", "`combine` is needed for several"),
        ("from = ['A', 'B']\ncombine = 'max'", "Input should be 'any', 'all', 'sum' or 'mean'"),
        ("from = ['A', 'B']\ncombine = 'any'", "any and all need"),
        ("from = 'A'\nlevels = 'boolean'\npart = 1", "levels and part at once"),
        ("from = 'A'\npart = 3", "Input should be 1 or 2"),
        ("from = 'A'\nage_at = 'B'\nfactor = 2", "unit, factor and offset need numbers"),
        ("from = ['A', 'B']\ncombine = 'sum'\nyear = true", "a date is in one column"),
        ("from = ['A', 'B']\ncombine = 'sum'\nlevels = 'boolean'", "sums and means need numbers"),
        ("from = 'A'\nempty = 0", "`empty` is for a sum"),
        ("from = 'A'\nrows = 'sum'", "age_years: `rows` needs [people]"),
        ("from = 'A'\nage_at = 7.5", "age_at"),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, column: str, says: str) -> None:
    problem = refused(tmp_path, f"[features.age_years]\n{column}\n")
    assert (problem.code, says in problem.message) == ("mapping.bad_value", True), problem.message


@pytest.mark.parametrize(
    ("feature", "code"),
    [
        ("[features.sex]\nfrom = 'S'\nlevels = 'boolean'", "bad_level"),
        ("[features.sex]\nconstant = 'man'", "bad_level"),
        ("[features.height_cm]\nconstant = 'tall'", "bad_level"),
        ("[features.sex]\nfrom = ['A', 'B']\ncombine = 'any'\nlevels = {yes = ['1']}", "bad_level"),
        ("[features.smoking]\nfrom = ['A', 'B']\ncombine = 'any'\nlevels = {never = ['1']}", "bad_value"),
        ("[features.sex]\nfrom = 'S'\npart = 1", "bad_value"),
        ("[features.sex]\nfrom = 'S'\nyear = true", "bad_value"),
        ("[features.height_cm]\nfrom = 'S'\nage_at = 'T'", "bad_value"),
        ("[features.weight_kg]\nfrom = 'S'\nunit = 'ft_in'", "bad_unit"),
        (f"{AGE}[keep]\nx = {{ from = 'S', unit = 'in' }}", "bad_unit"),
        (f"{AGE}[keep]\nx = {{ from = 'S', levels = {{ 1 = '' }} }}", "bad_level"),
    ],
)
def test_what_a_feature_cannot_be_is_refused(tmp_path: Path, feature: str, code: str) -> None:
    assert refused(tmp_path, feature).code == f"mapping.{code}"


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("encoding = 'latin-9000'", "no encoding of texts"),
        ("encoding = 'hex'", "no encoding of texts"),
        ('encoding = "a\\u0000b"', "no encoding of texts"),
        ("separator = ''", "file.separator"),
        ("separator = ';;'", "file.separator"),
        ("separator = '\"'", "file.separator"),
        ("decimal = ','\nthousands = ','", "the same character"),
        ("dates = '%d.%m.%y'", "a year of two digits"),
        ("dates = ['%Y-%m-%d', '%d.%m.%y']", "a year of two digits"),
        ("dates = '%Y'", "a date has a year"),
        ("dates = '%Y-%m-%d%'", "a date has a year"),
        ("dates = '%Y-%m-%d %z'", "a date has a year"),
        ("dates = '%Y-%m-%d %d'", "a date has a year"),
        ("dates = []", "file.dates"),
    ],
)
def test_how_no_file_is_written_is_refused(tmp_path: Path, file: str, says: str) -> None:
    problem = refused(tmp_path, f"[file]\n{file}\n{AGE}")
    assert (problem.code, says in problem.message) == ("mapping.bad_value", True), problem.message


def test_what_is_excluded_has_codes(tmp_path: Path) -> None:
    assert refused(tmp_path, f"[[exclude]]\nfrom = 'S'\ncodes = []\n{AGE}").code == "mapping.bad_value"


def test_the_columns_that_are_read_are_all_that_are_named(tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text(
        "[people]\nperson = 'ID'\nlast_by = 'DAY'\n[[exclude]]\nfrom = 'X'\ncodes = ['1']\n[keep]\nid = 'ID'\n"
        "[features.age_years]\nfrom = 'BORN'\nage_at = 'DAY'\n[features.energy_kcal]\nfrom = ['A', 'B']\n"
        "combine = 'sum'\n[features.height_cm]\nfrom = 'H'\n[features.pregnant]\nconstant = 'no'\n",
        "utf-8",
    )
    assert read_mapping(tmp_path / "mapping.toml").reads == {"ID", "DAY", "X", "BORN", "A", "B", "H"}


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ({"from": "A"}, "A"),
        ({"constant": "no"}, "no for all people"),
        ({"from": ["A", "B"], "combine": "sum", "rows": "mean"}, "A + B; mean of a person's rows"),
        ({"from": ["A", "B"], "combine": "any", "levels": "boolean"}, "any of A, B"),
        ({"from": "A", "part": 2}, "number 2 of A"),
        ({"from": "A", "year": True}, "year of A"),
        ({"from": "A", "age_at": "B"}, "completed years from A to B"),
    ],
)
def test_what_a_column_is_made_from_in_words(column: dict, words: str) -> None:
    assert MappedColumn.model_validate(column).words() == words
