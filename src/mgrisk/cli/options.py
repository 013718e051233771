"""Options that several commands share, and the objects they select."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from mgrisk.errors import usage

if TYPE_CHECKING:
    from mgrisk.nhanes.store import Store
    from mgrisk.own_data.labelled import LabelColumns
    from mgrisk.score.cells import Missing


Options = argparse._ActionsContainer
"""A parser, or a group of its options, which `--help` shows under a heading."""
LONGEST_NAME = 60


def add_model(group: Options) -> None:
    """Add `--model`."""
    group.add_argument(
        "--model",
        metavar="DIR|NAME|NAME@ALIAS",
        help="bundle folder, released bundle (undiagnosed), or version in the registry; a suffix ==VERSION or ==DIGEST "
        "refuses any other, and a digest alone finds a released bundle or that of a run",
    )


def accepted(options: argparse.Namespace) -> str:
    """Say which command shows what a column accepts."""
    return f"what is accepted: mgrisk schema{f' --model {options.model}' if options.model else ''}"


def add_missing(group: Options) -> None:
    """Add `--missing`."""
    group.add_argument(
        "--missing",
        action="append",
        default=[],
        metavar="WORD",
        help="cell text that means missing, such as -9, besides NA, NULL, . and the like; may be given several times",
    )


def missing_of(options: argparse.Namespace) -> Missing:
    """Return the cell texts that mean missing."""
    from mgrisk.score.cells import Missing

    return Missing.also(options.missing)


def add_source(group: Options) -> None:
    """Add `--source`."""
    group.add_argument("--source", metavar="BASE", help="folder or base URL (MGRISK_NHANES, else the CDC site)")


def store_of(options: argparse.Namespace, *, offline: bool = False) -> Store:
    """Return the store of raw tables that `--source` names."""
    from mgrisk.nhanes.store import Store, default_cache, default_source

    return Store(source=options.source or default_source(), cache=default_cache(), offline=offline)


def add_labels(
    parser: argparse.ArgumentParser,
    *,
    people: str = "file or folder of people with their outcome",
    required: bool = True,
) -> Options:
    """Add the options for people with a known outcome, in groups, and return the group of the people."""
    group = parser.add_argument_group("people and model")
    group.add_argument("input", metavar="INPUT", help=people)
    add_model(group)
    group.add_argument("--outcome", required=required, metavar="COLUMN", help="1 or yes for a case, 0 or no for others")
    add_missing(group)
    design = parser.add_argument_group("survey design")
    design.add_argument("--weight", metavar="COLUMN", help="sampling weight: 0, or 1e-12 to 1e12 (all 1)")
    design.add_argument("--strata", metavar="COLUMN", help="variance stratum (one)")
    design.add_argument("--psu", metavar="COLUMN", help="primary sampling unit (each person)")
    design.add_argument(
        "--person",
        metavar="COLUMN",
        help="person identifier, where people have several rows (person_id)",
    )
    parser.set_defaults(prediabetes=None)
    return group


def label_columns(options: argparse.Namespace) -> LabelColumns:
    """Return the columns that the options of `add_labels` name."""
    from mgrisk.own_data.labelled import LabelColumns

    return LabelColumns(
        options.outcome, options.weight, options.strata, options.psu, options.prediabetes, options.person
    )


def add_history(parser: argparse.ArgumentParser, *, what: str) -> None:
    """Add the options of the history that `mgrisk monitor` reads, in a group."""
    group = parser.add_argument_group("monitoring")
    group.add_argument("--history", metavar="FILE", help=f"append {what} to this file, for `mgrisk monitor`")
    group.add_argument("--batch", metavar="NAME", help="name of the batch in the history (time of scoring)")
    group.add_argument("--by", metavar="COLUMN", help="also count by the values of a column, such as the site")


def check_history(options: argparse.Namespace, *, names_batch: bool = False) -> None:
    """Refuse a batch name without a history, outcomes without a batch name, and a history that is also an input.

    Raises
    ------
    MgRiskError
        `history.no_history`, `history.no_batch`, `history.long_name`; those of `prepare_files` and `refuse_other`.
    """
    from mgrisk.storage.destinations import prepare_files

    if options.batch is not None and not options.history:
        raise usage(
            "history.no_history", "a batch is named without a history", where="--batch", hint="add --history FILE"
        )
    if options.batch is not None and len(options.batch) > LONGEST_NAME:
        raise usage(
            "history.long_name",
            "the name of the batch is too long",
            where="--batch",
            expected=f"at most {LONGEST_NAME} characters",
            hint="give a shorter name, for example a date",
        )
    if names_batch and options.history and not options.batch:
        raise usage(
            "history.no_batch",
            "the batch that these outcomes belong to is not named",
            where="--history",
            hint="add --batch NAME, the name under which the batch was scored",
        )
    if options.history:
        from mgrisk.score.history import refuse_other

        prepare_files(inputs=[options.input], also=[Path(options.history)])
        refuse_other(Path(options.history))


def whole_number(text: str) -> int:
    """Parse a whole number from 0 to 100."""
    value = int(text)
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100")
    return value


def share(text: str) -> float:
    """Parse a share from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def significant_digits(text: str) -> int:
    """Parse a number of digits from 1 to 17; with 17, every double can be read back exactly."""
    value = int(text)
    if not 1 <= value <= 17:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 17")
    return value


def one_or_more(text: str) -> int:
    """Parse a whole number of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value
