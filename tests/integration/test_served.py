"""The logged model in `mlflow models predict`, `serve` and Spark gives the results of `mgrisk score`."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mgrisk.cli.main import main
from mgrisk.pipeline.finished import Run

# Whole numbers, a unit that the header announces, cells that the contract refuses, columns that it does not know.

pytestmark = pytest.mark.slow
PEOPLE = """person_id,age_years,sex,bmi,height_in,weight_lb,magnesium_food_mg,smoking,remark
a,45,female,27.4,,,276,never,x
b,71,male,,70,212,300.5,former,
c,430,male,30,,,200,never,
d,52,female,text,,,-5,nobody knows,
e,38,female,,,,,,"a ""quoted"", one"
"""


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "people.csv"
    path.write_text(PEOPLE, "utf-8")
    return path


@pytest.fixture(scope="module")
def expected(small_run: Run, people: Path) -> list[dict[str, Any]]:
    """What `mgrisk score` writes, cell by cell; an empty cell of a number is None."""
    output = people.with_name("scored.csv")
    assert main(["score", str(people), "-o", str(output), "--model", str(small_run.bundle), "--digits", "17"]) == 0
    return cells(pd.read_csv(output, dtype=str, keep_default_na=False))


def cells(answers: pd.DataFrame) -> list[dict[str, Any]]:
    numbers = [name for name in answers if name.startswith("risk") or name.endswith("_effect") or name == "inputs_used"]
    names = list(answers.columns)[list(answers.columns).index("status") :]
    return [
        {name: (float(row[name]) if row[name] else None) if name in numbers else row[name] for name in names}
        for row in answers.to_dict("records")
    ]


def strictly(text: str | bytes) -> Any:
    """Read JSON as everybody but Python does: NaN is an error."""
    return json.loads(text, parse_constant=lambda constant: pytest.fail(f"{constant} is no JSON"))


@pytest.fixture(scope="module")
def registered(small_run: Run) -> tuple[str, dict[str, str]]:
    tracked = json.loads((small_run.folder / "tracking.json").read_text("utf-8"))
    environment = os.environ | {"MLFLOW_TRACKING_URI": tracked["uri"], "MLFLOW_DISABLE_TELEMETRY": "true"}
    # The interpreter of the tests, whatever `python` is on the PATH.
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    return f"models:/{tracked['model']}@{tracked['alias']}", environment


def test_mlflow_models_predict_gives_the_answers_of_the_scored_file(
    registered: tuple[str, dict[str, str]], people: Path, expected: list[dict[str, Any]]
) -> None:
    model, environment = registered
    output = people.with_name("predicted.json")
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", model, "--env-manager", "local"]
    subprocess.run(
        [*command, "-t", "csv", "-i", str(people), "-o", str(output)], env=environment, check=True, capture_output=True
    )
    assert strictly(output.read_bytes())["predictions"] == expected
    assert [row["status"] for row in expected] == ["scored", "scored", "rejected", "rejected", "scored"]


@pytest.fixture(scope="module")
def server(registered: tuple[str, dict[str, str]], people: Path) -> Iterator[str]:
    """`mlflow models serve` on a free port."""
    model, environment = registered
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    log = people.with_name("serve.log")
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "-p", str(port)], env=environment, stdout=stream, stderr=stream, start_new_session=True
        )
        try:
            for _ in range(240):
                assert process.poll() is None, log.read_text("utf-8")
                try:
                    urllib.request.urlopen(f"{address}/ping", timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            else:
                pytest.fail(log.read_text("utf-8"))
            yield address
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)


def ask(server: str, body: bytes, kind: str) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{server}/invocations", body, {"Content-Type": kind})
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: list[dict[str, Any]] = strictly(answer.read())["predictions"]
    return found


def test_mlflow_models_serve_answers_a_csv_like_the_scored_file(
    server: str, people: Path, expected: list[dict[str, Any]]
) -> None:
    assert ask(server, people.read_bytes(), "text/csv") == expected


def test_mlflow_models_serve_answers_json_and_takes_the_number_of_reasons(
    server: str, expected: list[dict[str, Any]]
) -> None:
    records = [
        {"age_years": 45, "sex": "female", "bmi": 27.4, "magnesium_food_mg": 276, "smoking": "never"},
        {"age_years": 430, "sex": "male", "bmi": 30, "magnesium_food_mg": 200, "smoking": "never"},
    ]
    answer = ask(server, json.dumps({"dataframe_records": records}).encode(), "application/json")
    assert answer == [expected[0], expected[2]]
    body = {"dataframe_records": records, "params": {"reasons": 1}}
    (scored, rejected) = ask(server, json.dumps(body).encode(), "application/json")
    assert scored == {
        name: value for name, value in expected[0].items() if not name.startswith(("reason_2", "reason_3"))
    }
    assert (rejected["status"], rejected["risk"]) == ("rejected", None)


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"height_in": 70, "height_m": 1.8}, b"both give height_cm"),
        ({"magnesium_food_oz": 1}, b"looks like magnesium_food_mg in a unit that is not converted"),
    ],
)
def test_mlflow_models_serve_refuses_columns_that_cannot_be_understood(
    server: str, columns: dict[str, float], problem: bytes
) -> None:
    person = {"dataframe_records": [{"age_years": 45, "sex": "female", **columns}]}
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(server, json.dumps(person).encode(), "application/json")
    with refused.value as told:
        assert problem in told.read()


SPARK = """
import sys
import mlflow
from pyspark.sql import SparkSession
from pyspark.sql.functions import struct

model, people, output, infer = sys.argv[1:]
spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
score = mlflow.pyfunc.spark_udf(spark, model, env_manager="local")
table = spark.read.csv(people, header=True, inferSchema=infer == "typed").repartition(3)
answers = table.withColumn("answer", score(struct(*table.columns))).select("person_id", "answer.*")
answers.toPandas().sort_values("person_id").to_json(output, orient="records", double_precision=15)
"""


@pytest.mark.spark
@pytest.mark.parametrize("types", ["typed", "text"])
def test_spark_gives_the_answers_of_the_scored_file(
    registered: tuple[str, dict[str, str]], people: Path, expected: list[dict[str, Any]], types: str
) -> None:
    if find_spec("pyspark") is None or shutil.which("java") is None:
        pytest.skip("pyspark (extra `spark`) or Java is not installed")
    model, environment = registered
    output = people.with_name(f"spark-{types}.json")
    command = [sys.executable, "-c", SPARK, model, str(people), str(output), types]
    environment = environment | {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    ended = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    answers = strictly(output.read_bytes())
    assert [answer.pop("person_id") for answer in answers] == ["a", "b", "c", "d", "e"]
    # Spark writes its numbers with 15 digits.
    assert [rounded(answer) for answer in answers] == [rounded(row) for row in expected]


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: float(f"{value:.12g}") if isinstance(value, float) else value for name, value in row.items()}
