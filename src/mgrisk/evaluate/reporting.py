"""TRIPOD+AI and PROBAST+AI checklists, answered from the results of a run, with the paths of the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from mgrisk.config.toml import rows
from mgrisk.evaluate.checks import RunEvidence, shown
from mgrisk.evaluate.records import Finding

REPOSITORY: Final = "docs/"
"""Prefix of evidence that is a page of the repository and not a file of the run folder."""
ASK: Final = "Not known for the user's own data; to be answered by the authors of {elsewhere}."


def run_facts(run: RunEvidence, checks: Sequence[Finding], *, title: str, mgrisk: str) -> dict[str, str]:
    """Return the facts that the answers are filled with.

    Parameters
    ----------
    run
        Data and records of the run.
    checks
        Results of the coded checks.
    title, mgrisk
        Title of the pipeline; version of the program.
    """
    outcome, data, own = run.about.outcome, run.about.data, run.about.own
    found = {each.id: each.finding for each in checks}
    failed = [each.id for each in checks if each.passed is False]
    cycles = run.cohort.groupby("set", observed=True)["cycle"].unique()
    facts = {
        "title": title,
        "mgrisk": mgrisk,
        "outcome": outcome.label.lower(),
        "definition": outcome.definition.rstrip("."),
        "warning": outcome.warning,
        "source": {"SYNTHETIC": "SYNTHETIC people", "NHANES": "NHANES, public files of CDC/NCHS"}.get(data, data),
        "elsewhere": own.file if own else "",
        "evaluated_on": (own and own.split) or "a later cycle",
        "visit": "follow-up as the outcome says" if own else "one visit, no follow-up",
        "weight": run.about.weight,
        "breaks": ", ".join(each.name for each in run.about.breaks) or "none",
        "minimum_age": str(run.minimum_age),
        "features": str(run.features),
        "columns": str(run.columns),
        "folds": str(run.folds["fold"].nunique()),
        "candidates": str(len(run.tuning.candidates)),
        "learner": run.winner.replace("_", " "),
        "missing": found["MGR004"].removeprefix("most: "),
        "sample_size": found["MGR501"],
        "fairness": f"Observed over expected: {found['MGR601']}; AUROC: {found['MGR602']}",
        "findings": f"{len(failed)} of {len(checks)} checks have a finding"
        + (f" ({', '.join(failed)})" if failed else ""),
    }
    for name, held_out in (("development", False), ("held_out", True)):
        share = run.found("prevalence", held_out=held_out)
        facts[name] = ", ".join(cycles["held-out" if held_out else "development"])
        facts[f"people_{name}"] = f"{share.n:,}"
        facts[f"cases_{name}"] = f"{share.events:,}"
        facts[f"prevalence_{name}"] = f"{share.value:.1%}"
    for name, metric in (
        ("auroc", "auroc"),
        ("slope", "calibration_slope"),
        ("ratio", "observed_expected"),
        ("ici", "ici"),
    ):
        facts[name] = shown(run.found(metric, held_out=True))
    return facts


def tripod(facts: Mapping[str, str], exists: Callable[[str], bool]) -> list[dict[str, Any]]:
    """Answer the 52 sub-items of TRIPOD+AI.

    Parameters
    ----------
    facts
        Result of `run_facts`.
    exists
        Returns whether a file of evidence is in the run folder.

    Returns
    -------
    list of dict
        {item, topic, status, answer, evidence, source}; status is ``done``, ``not done`` or ``not applicable``. An item
        without its evidence is not done, nor is one that only the authors of the user's own data can answer.
    """
    answered = []
    for row in rows("mgrisk.evaluate", "tripod.toml", "item"):
        gone = _gone(row["evidence"], exists)
        status, answer = row["status"], row["answer"].format_map(facts)
        if row.pop("of_nhanes") and facts["elsewhere"]:
            status, answer = "not done", ASK.format_map(facts)
        elif gone:
            status, answer = "not done", f"{gone[0]} is not in the run folder"
        answered.append({**row, "status": status, "answer": answer})
    return answered


def probast(facts: Mapping[str, str], checks: Sequence[Finding], exists: Callable[[str], bool]) -> list[dict[str, Any]]:
    """Answer the 34 signalling questions of PROBAST+AI.

    Parameters
    ----------
    facts, exists
        As for `tripod`.
    checks
        Results of the coded checks.

    Returns
    -------
    list of dict
        {id, topic, answer, reason, check, evidence, source}; answer is ``yes``, ``probably yes``, ``probably no``,
        ``not applicable`` or, where the evidence is missing, ``no information``. The answers are those of the model's
        developers; PROBAST+AI is meant for independent assessors.
    """
    verdicts = {each.id: each for each in checks}
    answered = []
    for row in rows("mgrisk.evaluate", "probast.toml", "question"):
        asked = [verdicts[name] for name in row["check"]]
        answer, reason = row["answer"], row["reason"].format_map(facts)
        if asked:
            passed = [each.passed for each in asked if each.passed is not None]
            answer = "not applicable" if not passed else "yes" if all(passed) else "probably no"
            reason = " ".join([reason, *(f"{each.id}: {each.finding}." for each in asked)])
        gone = _gone(row["evidence"], exists)
        if row.pop("of_nhanes") and facts["elsewhere"]:
            answer, reason = "no information", ASK.format_map(facts)
        elif gone:
            answer, reason = "no information", f"{gone[0]} is not in the run folder"
        answered.append({**row, "answer": answer, "reason": reason})
    return answered


def _gone(evidence: Sequence[str], exists: Callable[[str], bool]) -> list[str]:
    return [each for each in evidence if not each.startswith(REPOSITORY) and not exists(each)]
