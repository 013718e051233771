"""Step `options`: risks under what-if options, of typical people and of the held-out population."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from mgrisk.cohort.select import HELD_OUT
from mgrisk.evidence.what_if import FEATURES, OPTIONS, TOGETHER, TYPICAL, changed, what_if
from mgrisk.features.compute import complete, from_nhanes
from mgrisk.features.registry import features, with_ancestors
from mgrisk.features.summary import gather
from mgrisk.nhanes.codebook import KEY
from mgrisk.nhanes.cycles import cycle
from mgrisk.nhanes.store import Store
from mgrisk.pipeline.engine import Step
from mgrisk.pipeline.workspace import Workspace
from mgrisk.run_folder import names
from mgrisk.score.scorer import load_scorer
from mgrisk.survey.estimates import mean

POPULATION = "population"


def options(workspace: Workspace, store: Store) -> str:
    """Write the risks of three typical people and of the held-out population under each option."""
    records = [*_typical(workspace), *_population(workspace, store)]
    workspace.run.write_records(names.WHAT_IF, records)
    return f"{len(OPTIONS)} options for {len(TYPICAL)} typical people and the held-out population"


def _typical(workspace: Workspace) -> list[dict[str, Any]]:
    """Return the options of each typical person, with the risk by the model of the run."""
    run = workspace.run
    scorer = load_scorer(run.path(run.bundle_of_winner))
    frame = pd.DataFrame([person.values for person in TYPICAL])
    scored = scorer.score(frame)
    risk = scored["risk"].to_numpy(dtype=np.float64)
    answers = what_if(frame, risk)
    response = {
        name: scorer.score(changed(frame, answers, name))["risk"].to_numpy(dtype=np.float64)
        for name in (*OPTIONS, TOGETHER)
    }
    records = []
    for place, person in enumerate(TYPICAL):
        answer = answers.iloc[place]
        known = {"person": person.name, "description": person.description, "baseline": float(risk[place]), "n": 1}
        for name in (*OPTIONS, TOGETHER):
            bounds = {bound: answer.get(f"what_if_{name}_{bound}", np.nan) for bound in ("risk", "low", "high", "dose")}
            records.append(
                {
                    **known,
                    "option": name,
                    "estimate": _number(bounds["risk"]),
                    "low": _number(bounds["low"]),
                    "high": _number(bounds["high"]),
                    "dose": _number(bounds["dose"]),
                    "share": None,
                    "advice": answer.get(f"what_if_{name}_advice", ""),
                    "model_response": float(response[name][place]),
                }
            )
    return records


def _population(workspace: Workspace, store: Store) -> list[dict[str, Any]]:
    """Return the mean risk of the held-out population under each option."""
    people = workspace.people(HELD_OUT)
    run = workspace.run
    winner = run.winner
    predicted = run.predictions[[KEY, winner]]
    chosen = with_ancestors(features(FEATURES))
    found = gather(store, cycles=[cycle(years) for years in workspace.pipeline.cohort.held_out], chosen=chosen)
    computed = complete(from_nhanes(found.frame, chosen), chosen, models=workspace.models)
    computed.insert(0, KEY, found.frame[KEY])
    rows = people.rows[[KEY]].merge(computed, on=KEY, how="left", validate="one_to_one")
    rows = rows.merge(predicted, on=KEY, how="left", validate="one_to_one")
    risk = rows[winner].to_numpy(dtype=np.float64)
    answers = what_if(rows, risk)
    baseline = mean(risk, people.design)
    records = []
    for name in (*OPTIONS, TOGETHER):
        if f"what_if_{name}_risk" not in answers:
            continue
        # People with an unknown dose keep their baseline risk, so that the mean is over the whole population.
        bounds = {
            bound: mean(answers[f"what_if_{name}_{bound}"].fillna(pd.Series(risk)), people.design).estimate
            for bound in ("risk", "low", "high")
        }
        dose = answers.get(f"what_if_{name}_dose", pd.Series(np.nan, index=answers.index))
        changed = (dose > 0).astype(float).where(dose.notna(), 0.0)
        records.append(
            {
                "person": POPULATION,
                "description": f"adults of {workspace.held_out_name} without known diabetes",
                "baseline": baseline.estimate,
                "n": people.design.n,
                "option": name,
                "estimate": bounds["risk"],
                "low": bounds["low"],
                "high": bounds["high"],
                "dose": _number(np.average(dose.fillna(0.0), weights=people.design.analysis_weight)),
                "share": mean(changed, people.design).estimate if name != TOGETHER else None,
                "advice": "",
                "model_response": None,
            }
        )
    return records


def _number(value: Any) -> float | None:
    return float(value) if pd.notna(value) else None


STEP = Step(
    "options",
    "estimate what-if options",
    inputs=(*names.PEOPLE, names.TRAINED, names.TUNING, names.PREDICTIONS),
    outputs=(names.WHAT_IF,),
    logged=(names.WHAT_IF,),
    settings=("cohort", "evidence"),
    raw=True,
    wanted=lambda workspace: workspace.pipeline.evidence is not None,
    action=lambda workspace: options(workspace, workspace.store),
)
