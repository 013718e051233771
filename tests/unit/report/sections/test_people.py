"""Two people calculated completely, from their base values to the reported risks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mgrisk.report.blocks import Section, blocks_of
from mgrisk.report.explained import explained_people
from mgrisk.report.sections.people import _base_in_words, people
from mgrisk.run_folder.folder import RunFolder


def adds_up(found: Section, name: str) -> str:
    (said,) = (
        block["text"]
        for part in found["sections"]
        if part["id"] == name
        for block in part["blocks"]
        if block["kind"] == "text" and "The base value" in block["text"]
    )
    return str(said)


def test_the_base_and_the_contributions_of_each_person_add_up_to_the_reported_risk(run_folder: Path) -> None:
    found = people(RunFolder(run_folder))
    for name in ("person-median", "person-high"):
        residual = float(adds_up(found, name).rpartition("Difference: ")[2].rstrip("."))
        assert residual < 1e-5


def test_the_base_of_somebody_who_lacks_an_input_is_not_called_that_of_the_population(run_folder: Path) -> None:
    everybody = explained_people(RunFolder(run_folder))
    lacking = everybody.data.isna().any(axis=1).to_numpy()
    assert lacking.any()
    assert not lacking.all()
    same = replace(everybody, base_values=np.full(len(lacking), -2.0))
    own = replace(everybody, base_values=np.where(lacking, -1.9, -2.0))
    one_who_lacks, one_who_does_not = int(lacking.argmax()), int((~lacking).argmax())
    assert "the same inputs missing" in _base_in_words(own, one_who_lacks)
    for shown, place in ((own, one_who_does_not), (same, one_who_lacks), (same, one_who_does_not)):
        assert _base_in_words(shown, place) == "weighted mean log-odds of the development population"


def test_a_run_s_page_has_the_model_whose_risks_it_shows_and_says_where_it_has_not(run_folder: Path) -> None:
    def model() -> dict[str, Any]:
        (block,) = blocks_of({"sections": [people(RunFolder(run_folder))]}, "explorer")
        found: dict[str, Any] = block["data"]["model"]
        return found

    run = RunFolder(run_folder)
    assert len(model()["inputs"]) == len(run.features)
    (run_folder / run.bundle_of_winner / "calibrator.json").write_text("{}", encoding="utf-8")
    assert list(model()) == ["absent"]
    assert model()["absent"].startswith("The inputs cannot be changed on this page: ")
    assert "bundle.bad_sum" in model()["absent"]
