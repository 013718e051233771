"""A mapping converts an extract to a scoring file with its units and codes, without imputation or lost rows."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest

from mgrisk.cli.main import main
from mgrisk.errors import MgRiskError
from mgrisk.score.mapping import map_file
from mgrisk.score.mapping_file import read_mapping
from mgrisk.score.parquet import BATCH_ROWS

EXAMPLES = Path(__file__).parents[3] / "data" / "examples"
EXTRACT, MAPPING = EXAMPLES / "extract.csv", EXAMPLES / "extract.mapping.toml"


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "mapping.toml").write_text(text, "utf-8")
    return tmp_path / "mapping.toml"


def test_the_example_comes_out_in_the_units_and_levels_of_the_contract(tmp_path: Path) -> None:
    done = map_file(str(EXTRACT), read_mapping(MAPPING), str(tmp_path / "people.csv"))
    found = rows(tmp_path / "people.csv")
    assert (done.rows, len(found)) == (6, 6)
    first = found[0]
    assert (first["person_id"], first["diabetes"]) == ("made-up-A", "0")
    assert (first["sex"], first["smoking"]) == ("female", "never")
    assert float(first["height_cm"]) == pytest.approx(64.5 * 2.54)
    assert float(first["weight_kg"]) == pytest.approx(150 * 0.45359237)
    assert float(first["magnesium_food_mg"]) == pytest.approx(12.1 * 24.305)
    assert found[2]["height_cm"] == found[2]["magnesium_food_mg"] == found[2]["family_history_diabetes"] == ""
    assert found[4]["smoking"] == "7"
    assert done.as_they_are["smoking"] == 1
    assert done.missing["height_cm"] == 1
    assert done.not_carried == ()


def test_what_was_mapped_is_scored_evaluated_and_recalibrated_without_a_survey_design(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """120 copies of the example, so that there are cases; the rows with the unknown code are rejected and counted."""
    extract = pd.read_csv(EXTRACT, dtype=str, keep_default_na=False)
    many = pd.concat([extract.assign(MRN=[f"{name}-{k}" for name in extract["MRN"]]) for k in range(120)])
    many.loc[many["MRN"].str.contains("A-1"), "DM_2Y"] = "1"
    many.to_csv(tmp_path / "extract.csv", index=False)
    people, model = tmp_path / "people.csv", ["--model", "undiagnosed"]
    assert main(["map", str(tmp_path / "extract.csv"), "--mapping", str(MAPPING), "-o", str(people)]) == 0
    assert "smoking: 120 cells not understood" in capsys.readouterr().out
    assert main(["score", str(people), "-o", str(tmp_path / "scored.csv"), *model]) == 0
    scored = rows(tmp_path / "scored.csv")
    assert [row["person_id"] for row in scored] == list(many["MRN"])
    assert sum(row["status"] == "rejected" for row in scored) == 120
    labelled = [str(people), "--outcome", "diabetes", *model]
    assert main(["evaluate", *labelled, "-o", str(tmp_path / "evaluated")]) == 0
    assert main(["recalibrate", *labelled, "--method", "intercept", "-o", str(tmp_path / "bundle")]) == 0
    assert main(["score", str(people), "-o", str(tmp_path / "again.csv"), "--model", str(tmp_path / "bundle")]) == 0
    risk = [float(row["risk"]) for row in rows(tmp_path / "again.csv") if row["risk"]]
    cases = [float(row["diabetes"]) for row in rows(tmp_path / "again.csv") if row["risk"]]
    assert sum(risk) == pytest.approx(sum(cases), rel=0.01)


def test_typed_columns_of_parquet_are_read_as_their_codes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"AGE": [50.0, None], "GENDER": [1, 2]})
    frame.to_parquet(tmp_path / "extract.parquet", index=False)
    mapping = read_mapping(
        written(
            tmp_path,
            '[features.age_years]\nfrom = "AGE"\n'
            '[features.sex]\nfrom = "GENDER"\nlevels = { 1 = "male", 2 = "female" }\n',
        )
    )
    map_file(str(tmp_path / "extract.parquet"), mapping, str(tmp_path / "people.csv"))
    assert rows(tmp_path / "people.csv") == [{"age_years": "50", "sex": "male"}, {"age_years": "", "sex": "female"}]


def test_a_text_in_a_number_and_a_formula_stay_for_the_contract_to_judge(tmp_path: Path) -> None:
    (tmp_path / "extract.csv").write_text("AGE,HT,NAME\n50,tall,=1+1\n", "utf-8")
    mapping = read_mapping(
        written(
            tmp_path,
            '[keep]\nperson_id = "NAME"\n[features.age_years]\nfrom = "AGE"\n'
            '[features.height_cm]\nfrom = "HT"\nunit = "in"\n',
        )
    )
    done = map_file(str(tmp_path / "extract.csv"), mapping, str(tmp_path / "people.csv"))
    assert rows(tmp_path / "people.csv") == [{"person_id": "'=1+1", "age_years": "50", "height_cm": "tall"}]
    assert done.as_they_are == {"age_years": 0, "height_cm": 1}


def mapped(tmp_path: Path, content: str, mapping: str, **options: list[str]) -> list[dict[str, str]]:
    (tmp_path / "extract.csv").write_text(content, "utf-8")
    made = map_file(
        str(tmp_path / "extract.csv"), read_mapping(written(tmp_path, mapping)), str(tmp_path / "people.csv"), **options
    )
    assert not any(made.as_they_are.values())
    return rows(tmp_path / "people.csv")


def test_codes_compare_as_numbers_where_they_are_numbers(tmp_path: Path) -> None:
    mapping = (
        'missing = ["-9"]\n[features.sex]\nfrom = "S"\nlevels = { 1 = "male", "2.0" = "female" }\n'
        '[features.weight_change_10y_kg]\nfrom = "W"\nmissing = ["777.0"]\n'
    )
    found = mapped(tmp_path, "S,W\n1.0,-9.0\n2,777\n01,-9.5\n-9.00,4.0\n", mapping)
    assert [tuple(row.values()) for row in found] == [("male", ""), ("female", ""), ("male", "-9.5"), ("", "4.0")]


def test_what_tells_whom_a_model_does_not_hold_for_is_mapped_though_it_is_no_input(tmp_path: Path) -> None:
    mapping = '[features.diabetes_told]\nfrom = "E11"\nlevels = { 1 = "yes", 0 = "no" }\n'
    assert [row["diabetes_told"] for row in mapped(tmp_path, "E11,X\n1,\n0,\n", mapping)] == ["yes", "no"]
    with pytest.raises(MgRiskError, match="glucose_mg_dl is not a feature of a scoring file"):
        read_mapping(written(tmp_path, '[features.glucose_mg_dl]\nfrom = "G"\n'))


def test_a_code_that_is_written_in_the_mapping_comes_before_the_number_that_it_is(tmp_path: Path) -> None:
    mapping = '[features.sex]\nfrom = "S"\nlevels = { 1 = "male", 01 = "female", NA = "female" }\n'
    found = mapped(tmp_path, "S,X\n1,\n01,\nNA,\n1.0,\n", mapping)
    assert [row["sex"] for row in found] == ["male", "female", "female", "male"]


def test_booleans_are_yes_and_no_unless_the_mapping_says_otherwise(tmp_path: Path) -> None:
    levels = '[features.hypertension_told]\nfrom = "B"\nlevels = '
    content = "B,X\nTrue,\nFALSE,\nyes,\n"
    plain = mapped(tmp_path, content, levels + '{ yes = "yes" }\n')
    other = mapped(tmp_path, content, levels + '{ true = "no", false = "yes", yes = "yes" }\n')
    assert [row["hypertension_told"] for row in plain] == ["yes", "no", "yes"]
    assert [row["hypertension_told"] for row in other] == ["no", "yes", "yes"]


def test_words_for_missing_are_those_of_the_list_and_those_that_are_named(tmp_path: Path) -> None:
    mapping = '[keep]\nnote = "N"\n[features.bmi_kg_m2]\nfrom = "B"\n'
    found = mapped(tmp_path, "B,N\n.A,.A\nn/a,x\n99,x\nunknown,x\n", mapping, missing=["99.0", "unknown"])
    assert [row["bmi_kg_m2"] for row in found] == [""] * 4
    assert found[0]["note"] == ".A"


def test_ids_of_parquet_keep_every_digit_beside_a_missing_one(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ID": pd.array([2**53 + 1, 2**53, None], dtype="Int64"), "AGE": [50, 61, 40]})
    frame.to_parquet(tmp_path / "extract.parquet", index=False)
    mapping = read_mapping(written(tmp_path, '[keep]\nperson_id = "ID"\n[features.age_years]\nfrom = "AGE"\n'))
    map_file(str(tmp_path / "extract.parquet"), mapping, str(tmp_path / "people.csv"))
    assert [row["person_id"] for row in rows(tmp_path / "people.csv")] == ["9007199254740993", "9007199254740992", ""]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("features = 3", "mapping.bad_value"),
        ("[features.age_years]\nfrom = 'AGE'\nfactr = 2", "mapping.bad_value"),
        ("[keep]\nage_years = 'A'\n[features.age_years]\nfrom = 'B'", "mapping.bad_value"),
        ("[features.age_yaers]\nfrom = 'AGE'", "mapping.unknown_feature"),
        ("[features.height_cm]\nfrom = 'HT'\nunit = 'furlong'", "mapping.bad_unit"),
        ("[features.sex]\nfrom = 'S'\nlevels = { 1 = 'man' }", "mapping.bad_level"),
        ("[features.age_years]\nfrom = 'S'\nlevels = { 1 = 'man' }", "mapping.bad_level"),
        ("[features.height_cm]\nfrom = 'HT'\noffset = inf", "mapping.bad_value"),
        ("[features.height_cm]\nfrom = 'HT'\nfactor = nan", "mapping.bad_value"),
        ("[features", "mapping.not_toml"),
    ],
)
def test_a_mapping_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(MgRiskError) as refused:
        read_mapping(written(tmp_path, text))
    assert refused.value.code == code


def test_an_extract_that_the_mapping_does_not_fit_is_refused(tmp_path: Path) -> None:
    mapping = read_mapping(written(tmp_path, "[features.age_years]\nfrom = 'AGE'"))
    for content, code in {"AGES,X\n5,1\n": "mapping.missing_column", "AGE,X\n5\n": "input.wrong_field_count"}.items():
        (tmp_path / "extract.csv").write_text(content, "utf-8")
        with pytest.raises(MgRiskError) as refused:
            map_file(str(tmp_path / "extract.csv"), mapping, str(tmp_path / "people.csv"))
        assert refused.value.code == code
        assert not (tmp_path / "people.csv").exists()


@pytest.mark.parametrize(
    ("cell", "how"),
    [
        ("inf", ""),
        ("-Infinity", ""),
        ("1e999", ""),
        ("inf", 'unit = "in"'),
        ("1e308", "factor = 1000"),
    ],
)
def test_a_number_that_is_infinite_is_refused_by_row_and_column_and_nothing_is_left(
    tmp_path: Path, cell: str, how: str
) -> None:
    (tmp_path / "extract.csv").write_text(f"HT\n170\n{cell}\n", "utf-8")
    mapping = read_mapping(written(tmp_path, f'[features.height_cm]\nfrom = "HT"\n{how}\n'))
    with pytest.raises(MgRiskError) as refused:
        map_file(str(tmp_path / "extract.csv"), mapping, str(tmp_path / "people.csv"))
    assert (refused.value.code, refused.value.status) == ("mapping.infinite", 3)
    assert "row 2" in refused.value.message
    assert refused.value.where.endswith("extract.csv: column HT")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["extract.csv", "mapping.toml"]


def test_an_infinity_of_parquet_is_refused_and_a_code_for_missing_is_none(tmp_path: Path) -> None:
    pd.DataFrame({"HT": [170.0, float("inf")]}).to_parquet(tmp_path / "extract.parquet", index=False)
    source, target = str(tmp_path / "extract.parquet"), str(tmp_path / "people.csv")
    plain = '[features.height_cm]\nfrom = "HT"\n'
    with pytest.raises(MgRiskError) as refused:
        map_file(source, read_mapping(written(tmp_path, plain)), target)
    assert refused.value.code == "mapping.infinite"
    map_file(source, read_mapping(written(tmp_path, f'{plain}missing = ["inf"]\n')), target)
    assert rows(Path(target)) == [{"height_cm": "170"}, {"height_cm": ""}]


def test_a_row_is_told_by_its_number_in_the_file_and_not_in_its_block(tmp_path: Path) -> None:
    heights = [170.0] * (BATCH_ROWS + 5)
    heights[BATCH_ROWS + 1] = float("inf")
    pd.DataFrame({"HT": heights}).to_parquet(tmp_path / "extract.parquet", index=False)
    mapping = read_mapping(written(tmp_path, '[features.height_cm]\nfrom = "HT"\n'))
    with pytest.raises(MgRiskError, match=f"of row {BATCH_ROWS + 2} is infinite"):
        map_file(str(tmp_path / "extract.parquet"), mapping, str(tmp_path / "people.csv"))


@pytest.mark.parametrize("spelled", ["true = 'yes', false = 'no'", "True = 'yes', False = 'no'"])
@pytest.mark.parametrize("column", [[True, False], [True, False, None]])
def test_booleans_of_parquet_are_the_codes_true_and_false(
    tmp_path: Path, spelled: str, column: list[bool | None]
) -> None:
    pd.DataFrame({"TOLD": column}).to_parquet(tmp_path / "extract.parquet", index=False)
    mapping = f'[features.hypertension_told]\nfrom = "TOLD"\nlevels = {{ {spelled} }}\n'
    source, target = str(tmp_path / "extract.parquet"), str(tmp_path / "people.csv")
    done = map_file(source, read_mapping(written(tmp_path, mapping)), target)
    assert [row["hypertension_told"] for row in rows(Path(target))] == ["yes", "no", ""][: len(column)]
    assert done.as_they_are == {"hypertension_told": 0}


MESSY = """
[[exclude]]
from = "STATUS"
codes = ["test*"]
[people]
person = "ID"
last_by = "DAY"
[keep]
person_id = "ID"
[features.age_years]
from = "AGE"
[features.sex]
from = "S"
levels = { male = ["m*"], female = ["f*"] }
"""
VISITS = "ID,DAY,AGE,S,STATUS\nb,2020-05-01,50,M,\n"
VISITS += "a,2021-01-01,41,f,\na,2020-01-01,40,F,\nb,,49,x,\nb,2024-01-01,99,f,Test 3\n"


def test_the_last_row_by_date_is_that_of_a_person_and_what_was_left_out_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "extract.csv").write_text(VISITS, "utf-8")
    source, target = str(tmp_path / "extract.csv"), tmp_path / "people.csv"
    done = map_file(source, read_mapping(written(tmp_path, MESSY)), str(target))
    assert [tuple(row.values()) for row in rows(target)] == [("b", "50", "male"), ("a", "41", "female")]
    assert (done.rows, done.written, done.excluded, done.undated) == (5, 2, {"STATUS": 1}, 1)
    assert done.as_they_are == {"age_years": 0, "sex": 1}
    assert main(["map", source, "--mapping", str(tmp_path / "mapping.toml"), "-o", str(target), "--overwrite"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[:4] == [
        f"2 rows in {target}",
        "  excluded by STATUS: 1 of 5 rows",
        "  without a date to order them by: 1 rows, sorted before a person's other rows",
        "  4 rows merged into one for each of 2 people",
    ]


def test_without_a_date_the_last_row_is_the_last_in_the_file(tmp_path: Path) -> None:
    found = mapped(tmp_path, VISITS.replace("49,x", "49,m"), MESSY.replace('last_by = "DAY"', ""))
    assert [row["age_years"] for row in found] == ["49", "40"]


@pytest.mark.parametrize("name", ["people.parquet", "people.PQ"])
def test_parquet_has_the_texts_of_the_csv_and_nulls(tmp_path: Path, name: str) -> None:
    map_file(str(EXTRACT), read_mapping(MAPPING), str(tmp_path / "people.csv"))
    map_file(str(EXTRACT), read_mapping(MAPPING), str(tmp_path / name))
    table = pd.read_parquet(tmp_path / name)
    assert table["height_cm"].isna().sum() == 1
    assert table.fillna("").to_dict("records") == rows(tmp_path / "people.csv")


def test_an_extract_without_rows_is_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "extract.csv").write_text("ID,DAY,AGE,S,STATUS\n", "utf-8")
    of_rows = MESSY.replace('[people]\nperson = "ID"\nlast_by = "DAY"\n', "")
    for content in (MESSY, of_rows):
        mapping = read_mapping(written(tmp_path, content))
        for name in ("people.csv", "people.parquet"):
            done = map_file(str(tmp_path / "extract.csv"), mapping, str(tmp_path / name))
            assert (done.rows, done.written) == (0, 0)
        assert list(pd.read_parquet(tmp_path / "people.parquet").columns) == ["person_id", "age_years", "sex"]
        assert (tmp_path / "people.csv").read_text("utf-8") == "person_id,age_years,sex\n"


def test_a_dry_run_shows_ten_different_cells_escaped_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [f"v{number}" for number in range(14) for _ in range(3)]
    (tmp_path / "extract.csv").write_text("AGE,S\n" + "".join(f"5,{cell}\n" for cell in ["\x1b[2J", *cells]), "utf-8")
    mapping = written(tmp_path, '[features.sex]\nfrom = "S"\nlevels = { m = "male" }\n')
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(["map", str(tmp_path / "extract.csv"), "--mapping", str(mapping), "--explain"]) == 0
    told = capsys.readouterr().out
    shown = "'\\x1b[2J', " + ", ".join(f"'v{number}'" for number in range(9))
    assert told.splitlines() == [
        "43 rows would be written",
        "sex: S",
        "  0 understood, 0 missing, 43 not understood",
        f"  not understood: {shown}",
        "  not copied: AGE",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_an_output_or_a_dry_run_and_not_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["map", str(EXTRACT), "--mapping", str(MAPPING)]
    for more in ([], ["-o", str(tmp_path / "people.csv"), "--explain"]):
        with pytest.raises(SystemExit) as refused:
            main([*asked, *more])
        assert refused.value.code == 2
        assert "--explain" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
