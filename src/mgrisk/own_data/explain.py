"""Score the people of a file, explain their risks, and write one page.

The file is scored in blocks as by `mgrisk score`, so that the page shows the same risks as the scored file. At most
`MOST_PEOPLE` of those scored are explained, drawn at random, so that memory is bounded. If a column has the outcome,
all people with a known outcome are evaluated as by `mgrisk evaluate`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mgrisk.errors import usage
from mgrisk.explain.attributions import Explanation
from mgrisk.explain.sampling import ContributionErrors
from mgrisk.explain.summary import summarise
from mgrisk.own_data.external import evaluate_people, evaluation_lines
from mgrisk.own_data.labelled import LabelColumns, LabelledPeople, read_labelled
from mgrisk.report.evaluated import EvaluatedFile
from mgrisk.report.explained import ExplainedPeople
from mgrisk.report.own_people import OwnPeople, own_content
from mgrisk.report.people_table import MOST_PEOPLE
from mgrisk.report.probe import page_model
from mgrisk.report.render import write_page
from mgrisk.run_folder.records import Importance
from mgrisk.score.batch import BatchOptions, score_table
from mgrisk.score.drift_monitor import LARGE
from mgrisk.score.eligibility import unidentified_exclusions
from mgrisk.score.input_schema import OUTSIDE_DOMAIN
from mgrisk.score.parquet import BATCH_ROWS, inputs_frame, texts
from mgrisk.score.scorer import PERSON, Scorer
from mgrisk.score.summary import Summary
from mgrisk.survey.design import SinglePsu, SurveyDesign, WeightLevel
from mgrisk.types import Floats, Integers

ROW: Final = "row"
SEED: Final = 1
STDIN: Final = "-"


@dataclass(frozen=True)
class ExplainedFile:
    """Counts of an explained file.

    Attributes
    ----------
    rows, scored, rejected, not_eligible, outside
        Rows of the file, rows with a risk, rows with values that are not usable, rows of people to whom the model does
        not apply, and scored rows out of the training distribution.
    explained
        Number of scored people who are explained.
    size
        Size of the page in bytes.
    unused
        Columns that give no input, each with the input that was perhaps meant, or "".
    not_told
        A line that names exclusions for which the file has no column, or none.
    evaluation
        Lines on who was evaluated and the metrics with their intervals; none without an outcome.
    """

    rows: int
    scored: int
    rejected: int
    not_eligible: int
    outside: int
    explained: int
    size: int
    unused: Mapping[str, str]
    not_told: Sequence[str]
    evaluation: Sequence[str]


def explain_people(
    scorer: Scorer, source: str, target: str, *, columns: LabelColumns | None = None, most: int = MOST_PEOPLE
) -> ExplainedFile:
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
    columns
        Where outcome and design stand in the file, for an evaluation; None for none.
    most
        How many are explained.

    Raises
    ------
    MgRiskError
        As `score_table` and, with an outcome, `read_labelled`; ``explain.outcome_of_a_stream`` for an outcome in
        standard input, which is read once.
    """
    labelled = None
    if columns is not None:
        if source == STDIN:
            raise usage(
                "explain.outcome_of_a_stream",
                "an outcome is evaluated in a second pass over the file, and standard input is read once",
                where="--outcome",
                hint="write the people to a file and name it",
            )
        labelled = read_labelled(source, scorer.inputs, columns, excluded=scorer.exclusions, missing=scorer.missing)
    drawn = _scored(scorer, source, most)
    summary, tally = drawn.summary, drawn.summary.tally
    kept = drawn.people.select(scorer.columns(reasons=0)).to_pandas()
    given = inputs_frame(drawn.people, scorer.inputs)
    explanation = scorer.attributions(given)
    people = _people(scorer, explanation, kept, drawn, scorer.uncertainty(given)["recall_share"], labelled)
    lacking = unidentified_exclusions(summary.exclusions, summary.exclusion_columns)
    evaluated, analysed, lines = None, list[str](), list[str]()
    if labelled is not None and columns is not None:
        found, predictions, _ = evaluate_people(scorer, labelled, outcome=columns.outcome)
        evaluated, lines = EvaluatedFile.of(found, predictions), evaluation_lines(found.records)
        analysed = [line for line in labelled.lines if line not in lacking]
    own = OwnPeople(
        source="standard input" if source == STDIN else Path(source).name,
        rows=tally.rows,
        not_eligible=tally.not_eligible,
        outside=tally.outside_domain,
        not_told=lacking,
        # By which inputs people are out of distribution is told of each input.
        problems={code: n for code, n in tally.problems.most_common() if not code.startswith(f"{OUTSIDE_DOMAIN}:")},
        id_label=PERSON if PERSON in drawn.people.column_names else ROW,
        explained=people,
        risk=drawn.risk,
        drift=[{**each.to_dict(), "large": each.exceeds(LARGE)} for each in summary.shifts],
        absent=summary.absent,
        auroc=summary.auroc,
        worth_measuring=[each.to_dict() for each in summary.gains],
        importance=[Importance(**record) for record in summarise(explanation, people.design)] if len(kept) else [],
        about=dict(scorer.bundle.about),
        reference=dict(scorer.bundle.reference),
        drift_people=scorer.bundle.drift_people,
        model=page_model(scorer.bundle),
        evaluated=evaluated,
        analysed=analysed,
    )
    written = write_page(own_content(own), Path(target))
    labels = columns.names if columns is not None else ()
    return ExplainedFile(
        rows=tally.rows,
        scored=tally.scored,
        rejected=tally.rejected,
        not_eligible=tally.not_eligible,
        outside=tally.outside_domain,
        explained=len(kept),
        size=written.size,
        unused={name: meant for name, meant in summary.unused.items() if name not in labels},
        not_told=lacking,
        evaluation=[*analysed, *lines],
    )


@dataclass(frozen=True, eq=False)
class _Scored:
    """A scored file: the people drawn from those scored, the row of each, the risks of all scored, and the summary."""

    people: pa.Table
    rows: Integers
    risk: Floats
    summary: Summary

    @property
    def ids(self) -> list[str]:
        """What each person drawn is called: by `person_id` with all its digits, else by the number of the row."""
        if PERSON not in self.people.column_names:
            return [str(row + 1) for row in self.rows]
        names = texts(self.people.column(PERSON))
        return [name or f"row {row + 1}" for name, row in zip(names, self.rows, strict=True)]


def _scored(scorer: Scorer, source: str, most: int) -> _Scored:
    """Score a file and draw at most so many of those scored, in the order of the file."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "scored.parquet")
        summary = score_table(scorer, source, path, BatchOptions(reasons=0))
        n = summary.tally.scored
        chosen = np.arange(n)
        if n > most:
            chosen = np.sort(np.random.default_rng(SEED).choice(n, most, replace=False, shuffle=False))
        with pq.ParquetFile(path) as file:
            # What pandas noted in the input may name an index that is not there.
            schema = _without_views(file.schema_arrow)
            parts = [schema.empty_table()]
            rows, risks = [np.empty(0, dtype=np.int64)], [np.empty(0)]
            passed = start = 0
            for batch in file.iter_batches(batch_size=BATCH_ROWS):
                block = pa.Table.from_batches([batch]).cast(schema)
                usable = np.flatnonzero(block.column("status").to_pandas() == "scored")
                first, last = np.searchsorted(chosen, [passed, passed + len(usable)])
                here = usable[chosen[first:last] - passed]
                parts.append(block.take(pa.array(here)))
                rows.append(start + here)
                risks.append(block.column("risk").to_numpy()[usable])
                passed, start = passed + len(usable), start + block.num_rows
        return _Scored(pa.concat_tables(parts), np.concatenate(rows), np.concatenate(risks), summary)


def _without_views(schema: pa.Schema) -> pa.Schema:
    """Return the schema without metadata and without views of texts and bytes, from which Arrow cannot take rows."""
    plain = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
    return pa.schema([field.with_type(plain.get(field.type, field.type)) for field in schema])


def _people(
    scorer: Scorer,
    explanation: Explanation,
    scored: pd.DataFrame,
    drawn: _Scored,
    recall_share: pd.Series,
    labelled: LabelledPeople | None,
) -> ExplainedPeople:
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
        ids=drawn.ids,
        case=None if labelled is None else labelled.outcome[drawn.rows],
        firmness=None,
        recall_share=recall_share.to_numpy(dtype=np.float64),
        design=single,
        inside=np.arange(n),
        errors=ContributionErrors.of(scorer.bundle, scorer.bundle.encoder.matrix(explanation.data)),
    )
