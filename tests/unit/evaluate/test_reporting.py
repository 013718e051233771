"""Every item of TRIPOD+AI and PROBAST+AI has an answer and the path of its evidence; none is blank."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mgrisk.evaluate.checks import CHECKS, RunEvidence, check_run
from mgrisk.evaluate.records import Finding
from mgrisk.evaluate.reporting import REPOSITORY, probast, run_facts, tripod

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checks(sound_run: RunEvidence) -> list[Finding]:
    return check_run(sound_run)


@pytest.fixture
def facts(sound_run: RunEvidence, checks: list[Finding]) -> dict[str, str]:
    return run_facts(sound_run, checks, title="A run", mgrisk="0.1.0")


def test_tripod_has_its_52_items_in_order_and_none_is_blank(facts: dict[str, str]) -> None:
    items = tripod(facts, lambda _: True)
    assert len(items) == 52
    numbers = [int("".join(sign for sign in item["item"] if sign.isdigit())) for item in items]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, 28))
    for item in items:
        assert item["status"] in {"done", "not done", "not applicable"}
        assert all(item[key] for key in ("topic", "answer", "evidence", "source"))
        assert "{" not in item["answer"]


def test_probast_has_16_questions_of_development_and_18_of_evaluation(
    facts: dict[str, str], checks: list[Finding]
) -> None:
    questions = probast(facts, checks, lambda _: True)
    assert Counter(each["id"].split()[0] for each in questions) == {"development": 16, "evaluation": 18}
    for each in questions:
        assert each["answer"] in {"yes", "probably yes", "probably no", "not applicable"}
        assert all(each[key] for key in ("topic", "reason", "evidence", "source"))


def test_an_answer_follows_its_checks(facts: dict[str, str], checks: list[Finding]) -> None:
    def answered(status: str) -> str:
        changed = [replace(each, status=status) if each.id == "MGR501" else each for each in checks]
        questions = {each["id"]: each["answer"] for each in probast(facts, changed, lambda _: True)}
        return str(questions["development 4.1"])

    found = [answered(status) for status in ("passed", "finding", "not applicable")]
    assert found == ["yes", "probably no", "not applicable"]


def test_without_its_evidence_an_item_is_not_done(facts: dict[str, str], checks: list[Finding]) -> None:
    def exists(evidence: str) -> bool:
        return evidence != "leaks.json"

    items = {each["item"]: each for each in tripod(facts, exists)}
    assert (items["9b"]["status"], items["9b"]["answer"]) == ("not done", "leaks.json is not in the run folder")
    questions = {each["id"]: each for each in probast(facts, checks, exists)}
    assert questions["development 2.3"]["answer"] == "no information"


def test_pages_of_the_repository_are_there(facts: dict[str, str], checks: list[Finding]) -> None:
    rows = [*tripod(facts, lambda _: True), *probast(facts, checks, lambda _: True)]
    pages = {path for row in rows for path in row["evidence"] if path.startswith(REPOSITORY)}
    assert pages
    assert [page for page in pages if not (ROOT / page).is_file()] == []


def test_facts_are_numbers_of_the_run(facts: dict[str, str]) -> None:
    assert (facts["people_held_out"], facts["cases_held_out"]) == ("10,000", "500")
    assert facts["auroc"] == "0.800 (0.750 to 0.840)"
    assert (facts["development"], facts["held_out"]) == ("2015-2016", "2017-2018")
    assert facts["findings"] == f"0 of {len(CHECKS)} checks have a finding"
