"""Every command that reads people reads a folder of files as one table, like `score`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mgrisk.cli.main import main
from mgrisk.errors import MgRiskError
from mgrisk.features.registry import features
from mgrisk.score.sources import open_source

INPUTS = features(["age_years", "sex", "bmi_kg_m2"])


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Three parts in three formats; the second has no body mass index, the others a column of their own."""
    folder = tmp_path / "people"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(1)
    rows = pd.DataFrame(
        {"age_years": random.integers(20, 80, 300), "sex": "male", "bmi_kg_m2": 25.0, "ill": random.integers(0, 2, 300)}
    )
    rows.loc[0, "age_years"] = 430
    rows[:100].assign(ward="w").to_csv(folder / "a.csv", index=False)
    rows[100:200].drop(columns="bmi_kg_m2").to_parquet(folder / "b.PARQUET")
    rows[200:].assign(site="x").to_json(folder / "more" / "c.jsonl", orient="records", lines=True)
    (folder / "_notes.txt").write_text("no part", "utf-8")
    return folder


def test_it_has_the_columns_and_rows_of_all_its_files(people: Path) -> None:
    with open_source(str(people), folder=True) as table:
        assert table.columns == ["age_years", "sex", "bmi_kg_m2", "ill", "ward", "site"]
        read = [table.read(block, INPUTS) for block in table.blocks()]
        assert table.share_read() == 1.0
    assert [len(rows.checked) for rows in read] == [100, 100, 100]
    assert [int(np.isfinite(rows.checked.numbers[2]).sum()) for rows in read] == [100, 0, 100]
    assert [set(rows.texts(["site"])["site"]) for rows in read] == [{""}, {""}, {"x"}]
    assert read[1].texts(["site"], np.array([3, 4]))["site"].tolist() == ["", ""]


def test_a_folder_is_taken_only_where_it_is_read_as_one_table(people: Path) -> None:
    with pytest.raises(MgRiskError) as caught, open_source(str(people)):
        pass
    assert caught.value.code == "input.folder"


def test_validate_counts_what_score_rejects(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(people)]) == 3
    told = capsys.readouterr().out
    assert told.startswith("300 rows: 299 can be scored, 1 would be rejected\n  1 × out_of_range:age_years\n")
    assert main(["score", str(people), "-o", str(tmp_path / "out"), "--reasons", "0", "--workers", "1"]) == 0
    summary = json.loads((tmp_path / "out.summary.json").read_text("utf-8"))
    assert (summary["rows"], summary["rejected_by"]) == (300, {"out_of_range:age_years": 1})
    # Each part comes out in the format of its name.
    assert len((tmp_path / "out" / "more" / "c.jsonl").read_bytes().splitlines()) == 100
    assert len(pd.read_parquet(tmp_path / "out" / "b.PARQUET")) == 100


def test_evaluate_takes_everybody_of_a_folder(people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(people), "--outcome", "ill", "-o", str(tmp_path / "evaluated")]) == 0
    assert capsys.readouterr().out.startswith("299 people, ")


def test_map_takes_everybody_of_a_folder(people: Path, tmp_path: Path) -> None:
    (tmp_path / "mapping.toml").write_text('[features.age_years]\nfrom = "age_years"\n[features.sex]\nfrom = "sex"\n')
    mapping = ["--mapping", str(tmp_path / "mapping.toml"), "-o", str(tmp_path / "mapped.csv")]
    assert main(["map", str(people), *mapping]) == 0
    assert len((tmp_path / "mapped.csv").read_text("utf-8").splitlines()) == 301


def test_a_file_that_cannot_be_read_refuses_the_folder(people: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (people / "d.csv").write_text("a;b\n", "utf-8")
    assert main(["validate", str(people)]) == 3
    assert "[input.other_separator]" in capsys.readouterr().err
