"""Requests to the MLflow server, in this process, are answered like files or refused with mgrisk's error message."""

from __future__ import annotations

import asyncio
import json
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow.pyfunc
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server

from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.scorer import MOST_REASONS, Scorer
from mgrisk.track.served import signature

if TYPE_CHECKING:
    from mgrisk.model.bundle import Bundle

PERSON = {"age_years": 50, "sex": "male", "bmi_kg_m2": 31.5}
OTHER = {"age_years": None, "sex": "female", "bmi_kg_m2": 24}
Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(scope="module")
def scorer(toy_bundles: dict[str, Bundle]) -> Scorer:
    return Scorer(replace(toy_bundles["spline_logistic"], about={**toy_bundles["spline_logistic"].about, "x": 1}))


@pytest.fixture(scope="module")
def ask(scorer: Scorer, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Send a request to the server that `mlflow models serve` runs, and return status and content of its answer."""
    folder = tmp_path_factory.mktemp("served")
    scorer.bundle.write(folder / "bundle")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pyfunc.save_model(
            str(folder / "model"),
            loader_module="mgrisk.track",
            data_path=str(folder / "bundle"),
            signature=signature(scorer),
        )
        app = scoring_server.init(mlflow.pyfunc.load_model(str(folder / "model")))

    def asked(body: object, kind: str = "application/json") -> tuple[int, dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        parts = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> dict[str, Any]:
            return parts.pop() if parts else await asyncio.Event().wait()  # type: ignore[return-value]

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/invocations", "raw_path": b"/invocations", "query_string": b"", "root_path": "",
            "headers": [(b"content-type", kind.encode())], "client": ("test", 1), "server": ("test", 80),
        }  # fmt: skip
        asyncio.run(app(scope, receive, send))
        answer = b"".join(message.get("body", b"") for message in sent[1:])
        return sent[0]["status"], json.loads(answer, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))

    return asked


def from_file(scorer: Scorer, content: str, folder: Path) -> list[dict[str, Any]]:
    """Return the answers of `mgrisk score`."""
    (folder / "people.csv").write_text(content, "utf-8")
    score_table(scorer, str(folder / "people.csv"), str(folder / "scored.csv"), BatchOptions(reasons=3, digits=17))
    scored = pd.read_csv(folder / "scored.csv", dtype=str, keep_default_na=False)
    return scored[scorer.columns(reasons=3)].to_dict("records")


def same(served: Any, filed: str) -> bool:
    return math.isclose(served, float(filed), rel_tol=1e-12) if isinstance(served, float) else (served or "") == filed


CELLS = [
    "n/a", "#N/A", "<NA>", "NULL", "None", "nan", "", " 25 ", "text", "1e400", "inf", "0x1F", "TRUE", "-5", "2,5",
]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_of_a_csv_is_read_as_in_a_file(cell: str, ask: Ask, scorer: Scorer, tmp_path: Path) -> None:
    content = f'age_years,sex,bmi_kg_m2\n50,male,"{cell}"\n61,female,25\n'
    status, answer = ask(content, "text/csv")
    assert status == 200
    filed = from_file(scorer, content, tmp_path)
    for served, wanted in zip(answer["predictions"], filed, strict=True):
        assert [name for name in served if not same(served[name], wanted[name])] == []


@pytest.mark.parametrize("people", [[PERSON], [PERSON, OTHER], [PERSON] * 3])
def test_every_form_of_a_request_has_the_same_answer(people: list[dict[str, Any]], ask: Ask) -> None:
    status, wanted = ask({"dataframe_records": people})
    assert status == 200
    columns = {name: [person[name] for person in people] for name in PERSON}
    rows = [[person[name] for name in PERSON] for person in people]
    for body in (
        {"instances": people},
        {"inputs": columns},
        {"inputs": people},
        {"dataframe_split": {"columns": list(PERSON), "data": rows}},
    ):
        assert ask(body) == (200, wanted), body
    assert ask(pd.DataFrame(people).to_csv(index=False), "text/csv") == (200, wanted)


def test_one_person_may_be_sent_as_plain_values(ask: Ask) -> None:
    assert ask({"inputs": PERSON}) == ask({"dataframe_records": [PERSON]})


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"instances": [[50, "male"]]}, "input.not_a_frame"),
        ({"instances": 5}, "input.not_a_frame"),
        ({"inputs": {}}, "input.missing_column"),
        ({"inputs": {"age_years": [[50, 51]], "sex": [["male", "male"]]}}, "input.uneven_columns"),
        ({"inputs": {"age_years": [50, 51], "sex": ["male"]}}, "input.uneven_columns"),
        ({"dataframe_records": []}, "input.missing_column"),
        ({"dataframe_records": [{"age_years": 50}]}, "input.missing_column"),
        ({"dataframe_records": [{**PERSON, "BMXWT": 80}]}, "input.unclear_name"),
        ({"dataframe_records": [{**PERSON, "weight_oz": 80}]}, "input.unknown_unit"),
        ({"dataframe_records": [{**PERSON, "Age_Years": 50}]}, "input.duplicate_column"),
        ({"dataframe_split": {"columns": ["sex", "sex"], "data": [["male", "male"]]}}, "input.duplicate_column"),
        ({"dataframe_records": [PERSON], "params": {"reasons": -1}}, "score.reasons"),
        ({"dataframe_records": [PERSON], "params": {"reasons": MOST_REASONS + 1}}, "score.reasons"),
        ({"dataframe_records": [PERSON], "params": {"reasons": 10**30}}, "score.reasons"),
    ],
)
def test_a_wrong_request_is_refused_in_our_own_words_and_without_a_traceback(
    body: dict[str, Any], code: str, ask: Ask
) -> None:
    status, answer = ask(body)
    assert status == 400
    assert answer["message"].startswith("error: ")
    assert f"[{code}]; where: " in answer["message"]
    assert "stack_trace" not in answer
    assert "male" not in answer["message"].replace("female or male", "")


def test_a_heading_that_stands_twice_in_a_csv_is_refused(ask: Ask) -> None:
    status, answer = ask("age_years,sex,sex\n50,male,female\n", "text/csv")
    assert (status, answer["message"].partition(" [")[0]) == (400, "error: the column sex is there twice")


def test_columns_that_only_look_numbered_are_no_repeated_headings(ask: Ask) -> None:
    status, _ = ask("age_years,sex,note,note.1,visit.2\n50,male,a,b,c\n", "text/csv")
    assert status == 200


def test_reasons_that_are_null_are_the_usual_ones(ask: Ask) -> None:
    usual = ask({"dataframe_records": [PERSON]})
    assert ask({"dataframe_records": [PERSON], "params": {"reasons": None}}) == usual
    assert ask({"dataframe_records": [PERSON], "params": {"reasons": 3}}) == usual


def test_no_people_have_no_answers(ask: Ask) -> None:
    assert ask("age_years,sex\n", "text/csv") == (200, {"predictions": []})


def test_a_short_row_is_filled_up_by_mlflow_as_the_documentation_says(ask: Ask) -> None:
    """What the file rejects MLflow's reader fills up before the model sees it."""
    short, whole = (ask(f"age_years,sex,bmi_kg_m2\n50,male{rest}\n", "text/csv") for rest in ("", ","))
    assert short == whole


def test_a_long_row_moves_cells_or_refuses_the_request_as_the_documentation_says(ask: Ask) -> None:
    """Two rows that are scored come out rejected below a longer first one; a longer one below them refuses all."""
    head, row = "age_years,sex,bmi_kg_m2\n", "50,male,25\n"
    _, answer = ask(f"{head}50,male,25,7\n{row}{row}", "text/csv")
    assert [person["status"] for person in answer["predictions"]] == ["rejected"] * 3
    status, _ = ask(f"{head}{row}{row}50,male,25,7\n", "text/csv")
    assert status == 400
