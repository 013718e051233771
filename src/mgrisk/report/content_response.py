"""The model's own answer to changed inputs of people who do not exist: a prediction, under its own name."""

from __future__ import annotations

from typing import Final

from mgrisk.evidence.response import MEANING
from mgrisk.evidence.what_if import OPTIONS, TOGETHER
from mgrisk.report.blocks import Block, column, row, table
from mgrisk.report.formats import percent, percent_digits
from mgrisk.report.run_files import RunFiles

FILE: Final = "what_if.json"


def responses(files: RunFiles) -> list[Block]:
    """Describe what the model answers where the inputs of the options are changed; nothing where no option was asked."""
    if not files.has(FILE):
        return []
    records = [record for record in files.records(FILE) if record["model_response"] is not None]
    people = list(dict.fromkeys(record["person"] for record in records))
    if not people:
        return []
    by_place = {(record["person"], record["option"]): record for record in records}
    first = {person: by_place[person, TOGETHER] for person in people}
    digits = {person: percent_digits(first[person]["baseline"]) for person in people}
    rows = [
        row(
            ["As they are", *(percent(first[person]["baseline"], digits=digits[person]) for person in people)],
            {person: first[person]["baseline"] for person in people},
        )
    ]
    for option in (*OPTIONS, TOGETHER):
        found = {person: by_place[person, option]["model_response"] for person in people}
        label = OPTIONS[option].label if option in OPTIONS else "All of these together, but for the supplement"
        cells = [percent(value, digits=digits[person]) for person, value in found.items()]
        rows.append(row([label, *cells], found))
    return [
        table(
            "model-response",
            "The model's own answer to changed inputs, three people who do not exist: no effect of a change",
            [
                column("Inputs as after", numeric=False),
                *(column(_capital(str(first[person]["description"]))) for person in people),
            ],
            rows,
            notes=[
                f"{_capital(MEANING)}. Where the model does not read an input, or reads it through others that stay as "
                "they are (a waist, a blood pressure), its answer does not move. What published studies make of the same "
                "changes stands under Published evidence."
            ],
        )
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
