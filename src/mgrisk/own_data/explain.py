"""Score the people of a file, explain their risks, and write one page.

The file is scored as by `mgrisk score`, so that the page shows the same risks as the scored file.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.explain.attributions import Explanation
from mgrisk.explain.summary import summarise
from mgrisk.report.explained import ExplainedPeople
from mgrisk.report.own_people import OwnPeople, own_content
from mgrisk.report.probe import page_model
from mgrisk.report.render import write_page
from mgrisk.run_folder.records import Importance
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.drift_monitor import LARGE
from mgrisk.score.eligibility import unidentified_exclusions
from mgrisk.score.input_schema import SEPARATOR
from mgrisk.score.parquet import inputs_frame, texts
from mgrisk.score.scorer import PERSON, Scorer
from mgrisk.score.summary import Summary
from mgrisk.survey.design import SinglePsu, SurveyDesign, WeightLevel

ROW: Final = "row"


@dataclass(frozen=True)
class ExplainedFile:
    """Counts of an explained file.

    Attributes
    ----------
    rows, scored, rejected, not_eligible, outside
        Rows of the file, rows with a risk, rows with values that are not usable, rows of people to whom the model does
        not apply, and scored rows out of the training distribution.
    size
        Size of the page in bytes.
    unused
        Columns that give no input, each with the input that was perhaps meant, or "".
    not_told
        A line that names exclusions for which the file has no column, or none.
    """

    rows: int
    scored: int
    rejected: int
    not_eligible: int
    outside: int
    size: int
    unused: Mapping[str, str]
    not_told: Sequence[str]


def explain_people(scorer: Scorer, source: str, target: str) -> ExplainedFile:
    """Score and explain a file, and write a page.

    Parameters
    ----------
    scorer
        The model.
    source
        CSV or Parquet; ``-`` for standard input. People are named by `person_id`, or by row number (1 is the first
        below the header) if the file has no such column.
    target
        The page.

    Raises
    ------
    MgRiskError
        As `score_table`.
    """
    scored, summary = _scored(scorer, source)
    answers = scored.select(scorer.columns(reasons=0)).to_pandas()
    usable = (answers["status"] == "scored").to_numpy()
    id_label = PERSON if PERSON in scored.column_names else ROW
    kept = answers[usable].reset_index(drop=True)
    given = inputs_frame(scored, scorer.inputs)[usable].reset_index(drop=True)
    explanation = scorer.attributions(given)
    recall = scorer.uncertainty(given)["recall_share"]
    people = _people(explanation, kept, _ids(scored)[usable].tolist(), recall)
    lacking = unidentified_exclusions(summary.exclusions, summary.exclusion_columns)
    own = OwnPeople(
        source="standard input" if source == "-" else Path(source).name,
        rows=len(answers),
        not_eligible=summary.tally.not_eligible,
        not_told=lacking,
        problems=_problems(answers["problems"]),
        id_label=id_label,
        explained=people,
        drift=[{**each.to_dict(), "large": each.exceeds(LARGE)} for each in summary.shifts],
        absent=summary.absent,
        auroc=summary.auroc,
        worth_measuring=[each.to_dict() for each in summary.gains],
        importance=[Importance(**record) for record in summarise(explanation, people.design)] if len(kept) else [],
        about=dict(scorer.bundle.about),
        reference=dict(scorer.bundle.reference),
        drift_people=scorer.bundle.drift_people,
        model=page_model(scorer.bundle),
    )
    written = write_page(own_content(own), Path(target))
    outside = int((~people.in_domain).sum())
    tally = summary.tally
    counts = tally.rows, tally.scored, tally.rejected, tally.not_eligible
    return ExplainedFile(*counts, outside, written.size, summary.unused, lacking)


def _ids(scored: pa.Table) -> pd.Series:
    """Return the name of each row: `person_id` with all its digits, or else the row number."""
    if PERSON not in scored.column_names:
        return pd.Series(map(str, range(1, scored.num_rows + 1)), dtype=object)
    return pd.Series(
        [name or f"row {place + 1}" for place, name in enumerate(texts(scored.column(PERSON)))], dtype=object
    )


def _scored(scorer: Scorer, source: str) -> tuple[pa.Table, Summary]:
    """Return the scored file (input columns and answer) and its summary."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "scored.parquet")
        summary = score_table(scorer, source, path, BatchOptions(reasons=0))
        # Metadata of pandas in the input may name an index that does not exist.
        return pq.read_table(path).replace_schema_metadata(None), summary


def _people(explanation: Explanation, scored: pd.DataFrame, ids: list[str], recall_share: pd.Series) -> ExplainedPeople:
    n = len(scored)
    # Weights of 1, simple random sampling.
    single = SurveyDesign(
        np.ones(n), np.zeros(n, dtype=np.int64), np.arange(n), WeightLevel.INTERVIEW, single_psu=SinglePsu.CERTAINTY
    )
    return ExplainedPeople(
        features=explanation.features,
        contributions=explanation.values,
        data=explanation.data,
        weight=np.ones(n),
        risk=scored["risk"].to_numpy(dtype=np.float64),
        low=scored["risk_low"].to_numpy(dtype=np.float64),
        high=scored["risk_high"].to_numpy(dtype=np.float64),
        low_inputs=scored["risk_low_inputs"].to_numpy(dtype=np.float64),
        high_inputs=scored["risk_high_inputs"].to_numpy(dtype=np.float64),
        in_domain=(scored["in_domain"] == "yes").to_numpy(),
        base_values=explanation.base_values,
        ids=ids,
        case=None,
        firmness=None,
        recall_share=recall_share.to_numpy(dtype=np.float64),
        design=single,
        inside=np.arange(n),
    )


def _problems(codes: pd.Series) -> dict[str, int]:
    each = (code for joined in codes[codes != ""] for code in str(joined).split(SEPARATOR))
    return dict(Counter(each).most_common())
