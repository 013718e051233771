"""Write and read the history of batches: JSON lines for scored batches, and for their outcomes when these are known.

A line is written in one piece, under a lock, after the outputs of its batch. A line that was truncated by a kill or a
full disk, or edited, is skipped and reported. Of several lines for one batch the last counts, since a batch may be
scored again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from mgrisk.config.checked import Checked, Count, Finite, NotNegative, Share, Text, parse
from mgrisk.errors import bad_input
from mgrisk.nhanes.codebook import SYNTHETIC
from mgrisk.score.drift_monitor import Shift
from mgrisk.score.summary import Summary
from mgrisk.storage.destinations import writes_to
from mgrisk.storage.files import to_json
from mgrisk.storage.lock import exclusive_lock

FORMAT: Final = 1


class _Shift(Checked):
    name: Text
    people: Count
    psi: Finite | None
    psi_by_chance: Finite | None
    psi_limit: Finite | None
    ks: Finite | None
    ks_se: Finite | None
    missing: Share | None
    missing_in_reference: Share
    rows: Count
    counts: list[Count]
    ordered: bool

    @model_validator(mode="after")
    def _people(self) -> Self:
        if not sum(self.counts) == self.people <= self.rows:
            raise ValueError("the bin counts do not add up to the people with a value")
        return self

    def shift(self) -> Shift:
        """Return it as a `Shift`; unknown numbers are NaN."""
        row: dict[str, Any] = {
            name: float("nan") if value is None else value for name, value in self.model_dump().items()
        }
        return Shift(**{**row, "counts": tuple(self.counts)})


class _Expected(Checked):
    cases: NotNegative
    auroc: Share | None


class Counted(Checked):
    """Counts of the rows of a batch or a group (`summary.Summary.counted`)."""

    rows: Count
    scored: Count
    rejected: Count
    rejected_by: dict[str, Count]
    not_eligible: Count
    not_eligible_by: dict[str, Count]
    outside_domain: Count
    mean_risk: Share | None
    risk_quantiles: dict[Literal["0.1", "0.5", "0.9"], Share | None]
    expected_performance: _Expected
    drift: list[_Shift]

    @model_validator(mode="after")
    def _of_these_rows(self) -> Self:
        if self.scored + self.rejected + self.not_eligible != self.rows or self.outside_domain > self.scored:
            raise ValueError("the counts of rows do not add up")
        if any(count > self.rows for count in (*self.rejected_by.values(), *self.not_eligible_by.values())):
            raise ValueError("a code is counted more often than there are rows")
        if any(each.rows != self.scored for each in self.drift):
            raise ValueError("drift does not cover the scored rows")
        return self

    @property
    def bins(self) -> dict[str, int]:
        """Number of bins by feature."""
        return {each.name: len(each.counts) for each in self.drift}

    def shifts(self) -> dict[str, Shift]:
        """Return the shift of each feature, and of the risk, against the model's reference."""
        return {each.name: each.shift() for each in self.drift}


class Observed(Checked):
    """Observed performance: by metric the estimate and its 95 % interval, None where there is none."""

    n: Count
    cases: Count
    metrics: dict[str, Annotated[list[Finite | None], Field(min_length=3, max_length=3)]]


class _Line(Checked):
    format: Literal[1]
    batch: Text
    time: Text
    model: Text
    sha256: Text | None
    by: Text | None


class Batch(_Line):
    """A batch that was scored.

    Attributes
    ----------
    batch, time
        Its name, and the time of scoring (ISO 8601, UTC).
    model, sha256
        Name and digest of the bundle.
    by, groups
        The column by which rows were also counted, and the counts by its values.
    whole
        Counts of all rows.
    synthetic
        Whether the model was developed on made-up people.
    """

    kind: Literal["batch"]
    synthetic: bool
    whole: Counted
    groups: dict[str, Counted]

    @model_validator(mode="after")
    def _in_the_same_bins(self) -> Self:
        if any(group.bins != self.whole.bins for group in self.groups.values()):
            raise ValueError("a group has other features or bins than the whole batch")
        return self


class Outcomes(_Line):
    """Outcomes of a batch scored earlier; the attributes are as in `Batch`."""

    kind: Literal["outcomes"]
    whole: Observed
    groups: dict[str, Observed]


_LINE: Final[TypeAdapter[Batch | Outcomes]] = TypeAdapter(Annotated[Batch | Outcomes, Field(discriminator="kind")])


@dataclass(frozen=True)
class History:
    """The content of a history file.

    Attributes
    ----------
    batches
        Each batch once, in the order in which they were first scored.
    outcomes
        Outcomes by batch and digest of the model.
    again
        Number of lines that a later line for the same batch replaced.
    unread
        Numbers of the lines, from 1, that are truncated or not of a history.
    """

    batches: tuple[Batch, ...]
    outcomes: Mapping[tuple[str, str | None], Outcomes]
    again: int
    unread: tuple[int, ...]


def batch_line(summary: Summary, *, batch: str, time: str, by: str | None) -> dict[str, Any]:
    """Return the line of a batch for `append`.

    Parameters
    ----------
    summary
        Summary of the batch.
    batch
        Name of the batch.
    time
        Time of scoring, in ISO 8601.
    by
        The column of its groups.
    """
    return {
        **_head("batch", batch, time, summary.about["bundle"], by),
        "synthetic": SYNTHETIC in summary.about["model"],
        "whole": summary.counted(),
        "groups": {name: group.counted() for name, group in summary.groups.items()},
    }


def outcomes_line(
    whole: Mapping[str, Any],
    groups: Mapping[str, Mapping[str, Any]],
    *,
    bundle: Mapping[str, Any],
    batch: str,
    time: str,
    by: str | None,
) -> dict[str, Any]:
    """Return the line of a batch's outcomes for `append`; `whole` and each of `groups` are an `Observed`."""
    return {**_head("outcomes", batch, time, bundle, by), "whole": whole, "groups": groups}


def _head(kind: str, batch: str, time: str, bundle: Mapping[str, Any], by: str | None) -> dict[str, Any]:
    about = {"model": bundle["name"], "sha256": bundle["sha256"]}
    return {"format": FORMAT, "kind": kind, "batch": batch, "time": time, **about, "by": by}


BEGINS: Final = b'{"format":'
"""The beginning of each line."""


def refuse_other(path: Path) -> None:
    """Refuse a file that is not a history, which appending would damage.

    Raises
    ------
    MgRiskError
        `history.not_a_file`; `history.other_file`.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise bad_input(
            "history.not_a_file", "the history is not a regular file", where=str(path), hint="name a file of JSON lines"
        )
    with path.open("rb") as stream:
        begins = stream.read(len(BEGINS))
    # A kill may have truncated the very first line.
    if not BEGINS.startswith(begins):
        raise bad_input(
            "history.other_file",
            "the file exists and is not a history",
            where=str(path),
            hint="name a history that mgrisk wrote, or a new file",
        )


def append(path: Path, line: Mapping[str, Any]) -> None:
    """Append a line to a history, or start one.

    Parameters
    ----------
    path
        The file. Existing lines are not changed. After a truncated line, a new one is started.
    line
        Result of `batch_line` or `outcomes_line`.

    Raises
    ------
    MgRiskError
        `output.cannot_write`; those of `refuse_other`.
    """
    refuse_other(path)
    content = json.dumps(json.loads(to_json(line)), separators=(",", ":")).encode() + b"\n"
    with exclusive_lock(path.with_name(f".{path.name}.lock")), writes_to(path), path.open("ab+") as stream:
        if stream.tell():
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                content = b"\n" + content
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def read_history(path: Path) -> History:
    """Read a history.

    Raises
    ------
    MgRiskError
        `history.missing_file`; `history.empty` where no line records a batch.
    """
    if not path.is_file():
        raise bad_input(
            "history.missing_file",
            "the history does not exist",
            where=str(path),
            hint="`mgrisk score … --history FILE` writes one",
        )
    batches: dict[tuple[str, str | None], Batch] = {}
    outcomes: dict[tuple[str, str | None], Outcomes] = {}
    unread, again = [], 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                found = _LINE.validate_python(parse(line))
            except (ValueError, ValidationError):
                unread.append(number)
                continue
            key = found.batch, found.sha256
            if isinstance(found, Outcomes):
                outcomes[key] = found
            else:
                again += key in batches
                batches[key] = found
    if not batches:
        raise bad_input(
            "history.empty",
            "no line of the history records a batch",
            where=str(path),
            got=f"{len(unread)} lines that cannot be read",
            hint="name the file that `mgrisk score … --history` writes",
        )
    return History(tuple(batches.values()), outcomes, again, tuple(unread))
