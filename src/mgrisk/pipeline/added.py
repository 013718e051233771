"""Step `added`: incremental value of magnesium, from refits of the chosen model with fewer features."""

from __future__ import annotations

from typing import Final

import numpy as np

from mgrisk.cohort.select import DEVELOPMENT, HELD_OUT
from mgrisk.evaluate.added_value import FULL, SUSPICIOUS, added_value, is_magnesium, shuffled_value, variants
from mgrisk.evaluate.assess import CROSS_VALIDATED
from mgrisk.model.refit import refit
from mgrisk.nhanes.codebook import KEY
from mgrisk.pipeline.engine import MODEL, Step
from mgrisk.pipeline.trained import read_trained
from mgrisk.pipeline.workspace import SetOfPeople, Workspace
from mgrisk.run_folder import names
from mgrisk.types import Floats

SHUFFLES: Final = 20


def add_value(workspace: Workspace) -> str:
    """Refit the variants of the chosen model; write added_value.json."""
    tuning = workspace.run.tuning
    winner = tuning.winner
    chosen = variants(workspace.model_features)
    about = {"model": winner, "limit": SUSPICIOUS}
    if not chosen:
        reason = "the model has no feature of magnesium, or no other one"
        workspace.run.write_object(names.ADDED_VALUE, {**about, "reason": reason, "variants": {}, "records": []})
        return f"not applicable: {reason}"
    people = {name: workspace.people(name) for name in (DEVELOPMENT, HELD_OUT)}
    risks = {name: {FULL: _reported(workspace, each, winner)} for name, each in people.items()}
    development, held_out = people[DEVELOPMENT], people[HELD_OUT]
    data = workspace.training_data(development)
    made: dict[tuple[str, ...], str] = {tuple(each.name for each in chosen[FULL]): FULL}
    for name, features in chosen.items():
        read = tuple(each.name for each in features)
        if read in made:  # magnesium is the only feature of diet, so that two variants are the same
            for of_set in risks.values():
                of_set[name] = of_set[made[read]]
            continue
        made[read] = name
        encoder, model = refit(
            data,
            features=features,
            settings=workspace.pipeline.model,
            model=winner,
            parts=tuning.parts,
            threads=workspace.pipeline.threads,
        )
        risks[DEVELOPMENT][name] = model.oof_risk
        X = encoder.matrix(held_out.frame.iloc[held_out.inside])
        risks[HELD_OUT][name] = held_out.expanded(model.calibrator.risk(model.fitted.margin(X)))
    outcome, later = workspace.outcome.name, workspace.held_out_name
    records = []
    for name, label in ((DEVELOPMENT, CROSS_VALIDATED), (HELD_OUT, later)):
        records += added_value(people[name].y, risks[name], people[name].design, outcome=outcome, set_name=label)
    shuffled = _shuffled(workspace, held_out, winner)
    records += shuffled_value(
        held_out.y, risks[HELD_OUT][FULL], shuffled, held_out.design, outcome=outcome, set_name=later
    )
    sets = {name: [each.name for each in features] for name, features in chosen.items()}
    workspace.run.write_object(names.ADDED_VALUE, {**about, "reason": "", "variants": sets, "records": records})
    gains = [record for record in records if record["metric"] == "auroc" and record["set"] == later]
    return "; ".join(f"{each['question']}: AUROC {each['estimate']:+.4f}" for each in gains[:2])


def _reported(workspace: Workspace, people: SetOfPeople, winner: str) -> Floats:
    """Return the risks of the chosen model in the run, shape of the design."""
    predictions = workspace.run.predictions[[KEY, winner]]
    rows = people.rows.iloc[people.inside][[KEY]].merge(predictions, on=KEY, validate="one_to_one")
    return people.expanded(rows[winner].to_numpy(dtype=np.float64))


def _shuffled(workspace: Workspace, people: SetOfPeople, winner: str) -> list[Floats]:
    """Return the risks of the bundle with all magnesium features permuted together between people."""
    bundle = read_trained(workspace, winner)
    frame = people.frame.iloc[people.inside]
    family = [feature.name for feature in bundle.features if is_magnesium(feature)]
    random = np.random.default_rng(workspace.pipeline.model.seed)
    risks = []
    for _ in range(SHUFFLES):
        shuffled = frame.copy()
        other = random.permutation(len(frame))
        for name in family:
            shuffled[name] = frame[name].iloc[other].set_axis(frame.index)
        risks.append(people.expanded(bundle.risk(bundle.encoder.matrix(shuffled))))
    return risks


STEP = Step(
    "added",
    "estimate the incremental value of magnesium",
    inputs=(*names.PEOPLE, names.TARGETS, names.FOLDS, names.TRAINED, names.TUNING, names.PREDICTIONS),
    outputs=(names.ADDED_VALUE,),
    logged=(names.ADDED_VALUE,),
    settings=MODEL,
    action=add_value,
)
