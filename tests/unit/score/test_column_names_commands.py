"""Unused and misnamed columns are treated alike by every command and for frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from mgrisk.cli.main import main
from mgrisk.errors import MgRiskError
from mgrisk.score.scorer import Scorer
from mgrisk.track.served import _Pyfunc

if TYPE_CHECKING:
    from tests.conftest import ToyPeople

    from mgrisk.model.bundle import Bundle

COMMANDS = {
    "score": ["-o", "out.csv"],
    "validate": [],
    "explain": ["-o", "out.html"],
    "evaluate": ["--outcome", "ill", "-o", "out"],
    "recalibrate": ["--outcome", "ill", "--method", "intercept", "-o", "out"],
}


@pytest.fixture
def run(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    """Run a command on people whose columns have other names."""
    toy_bundles["spline_logistic"].write(tmp_path / "model")
    monkeypatch.chdir(tmp_path)

    def command(name: str, rename: dict[str, str], rows: int | None = None, suffix: str = ".csv") -> int:
        frame = toy_people.frame.assign(ill=np.arange(len(toy_people.frame)) % 4 == 0).rename(columns=rename)[:rows]
        if suffix == ".csv":
            frame.to_csv("people.csv", index=False)
        else:
            frame.to_parquet("people.parquet", index=False)
        return main([name, f"people{suffix}", "--model", "model", *COMMANDS[name]])

    return command


@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_under_another_name_refuses_the_file(
    command: str, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, {"bmi_kg_m2": "BMI (kg/m2)"}) == 3
    assert "the column BMI (kg/m2) looks like bmi_kg_m2 under another name" in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir()) == ["model", "people.csv"]


@pytest.mark.parametrize("command", COMMANDS)
def test_case_and_blanks_are_no_other_name_and_every_unused_column_is_listed(
    command: str, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, {"bmi_kg_m2": " BMI kg m2", "smoking": "Smoker", "sex": "SEX"}) == 0
    told = "".join(capsys.readouterr())
    assert f"columns not used ({2 if command in {'score', 'validate', 'explain'} else 1}): " in told
    assert "Smoker" in told
    assert "BMI" not in told


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_of_no_rows_is_answered_in_words(
    command: str, suffix: str, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    labelled = command in {"evaluate", "recalibrate"}
    assert run(command, {}, 0, suffix) == (3 if labelled else 0)
    out, err = capsys.readouterr()
    assert ("the file has no rows" if labelled else "0 rows") in out + err


def test_frames_and_requests_take_the_same_names_for_the_same(
    toy_bundles: dict[str, Bundle], toy_people: ToyPeople
) -> None:
    scorer = Scorer(toy_bundles["spline_logistic"])
    people = toy_people.frame[:20]
    capitals = people.rename(columns=str.upper)
    unclear = people.rename(columns={"bmi_kg_m2": "BMXBMI"})
    wanted = scorer.score(people)["risk"]
    pd.testing.assert_series_equal(scorer.score(capitals)["risk"], wanted)
    np.testing.assert_array_equal(scorer.explain(capitals).values, scorer.explain(people).values)
    assert _Pyfunc(scorer).predict(capitals)["risk"].tolist() == wanted.tolist()
    for answer in (scorer.score, scorer.explain):
        with pytest.raises(MgRiskError) as caught:
            answer(unclear)
        assert caught.value.code == "input.unclear_name"
