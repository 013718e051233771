"""`mgrisk describe`: survey estimates of features and NHANES variables."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from mgrisk.cli.options import Options, add_source, store_of
from mgrisk.cli.terminal import say
from mgrisk.errors import ExitStatus

if TYPE_CHECKING:
    from mgrisk.describe.compare import Comparison
    from mgrisk.describe.query import Description
    from mgrisk.describe.regress import Regression

HELP = "estimate means, shares, totals and quantiles of NHANES"
ABOUT = (
    "Estimate with weights, strata and PSUs: standard errors, 95 % intervals, degrees of freedom, and whether "
    "NCHS would print the number."
)
EXAMPLES = (
    'mgrisk describe --of magnesium_food_mg --by sex --cycle 2017-2018 --where "age_years >= 20"',
    'mgrisk describe --of "bmi_kg_m2 >= 30" --by age_years=20,40,60 --statistic age-adjusted --test',
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    question = parser.add_argument_group("question")
    question.add_argument(
        "--of",
        nargs="+",
        action="extend",
        required=True,
        metavar="NAME",
        help="feature or NHANES variable; or a condition: 'bmi_kg_m2 >= 30'; or arithmetic: 'DR1TTFAT * 9 / DR1TKCAL'",
    )
    question.add_argument(
        "--by",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME",
        help="one estimate per value, per range (age_years=20,40,60), or for whether a condition holds",
    )
    question.add_argument(
        "--statistic",
        default="",
        metavar="S",
        help="mean | proportion | total | ratio | age-adjusted | quantile=0.5 (mean of numbers, else proportion)",
    )
    question.add_argument(
        "--standard",
        type=ages,
        default=(20, 40, 60),
        metavar="AGES",
        help="where the age groups of age-adjusted begin (20,40,60)",
    )
    question.add_argument(
        "--interval",
        default="korn-graubard",
        choices=["korn-graubard", "logit"],
        help="interval of proportions (korn-graubard)",
    )
    question.add_argument(
        "--test", action="store_true", help="whether groups of the last --by differ, and the trend over them"
    )
    add_people(parser, question)


def add_people(parser: argparse.ArgumentParser, question: Options) -> None:
    """Add the options that select people and cycles, and the output format."""
    question.add_argument(
        "--where",
        default="",
        metavar="CONDITION",
        help="who is studied, for example \"age_years >= 20 and sex == 'male'\"",
    )
    tables = parser.add_argument_group("NHANES tables")
    tables.add_argument(
        "--cycle",
        nargs="+",
        action="extend",
        default=[],
        metavar="YEARS",
        help="cycles to combine (the latest that has every variable)",
    )
    tables.add_argument(
        "--across-break",
        nargs="+",
        default=[],
        metavar="BREAK",
        help="allow pooling across this change in question or method",
    )
    tables.add_argument(
        "--harmonise",
        nargs="+",
        action="extend",
        default=[],
        metavar="BREAK",
        help="convert older values to the scale of later ones",
    )
    tables.add_argument("--weight", default="", metavar="NAME", help="NHANES weight (that of the smallest subsample)")
    add_source(tables)
    output = parser.add_argument_group("output")
    output.add_argument(
        "--format", choices=["table", "csv", "json"], default="table", help="format of the output (table)"
    )


def ages(text: str) -> tuple[int, ...]:
    """Parse the ages of `--standard`."""
    return tuple(int(each) for each in text.split(","))


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.describe.compare import compare
    from mgrisk.describe.query import describe
    from mgrisk.describe.question import Question

    question = Question(
        tuple(options.of),
        tuple(options.by),
        options.where,
        options.statistic,
        weight=options.weight,
        standard=options.standard,
        interval=options.interval,
        harmonise=tuple(options.harmonise),
    )
    answer = compare if options.test else describe
    found = answer(store_of(options), question, cycles=options.cycle, across_breaks=options.across_break)
    write(found, options.format)
    return ExitStatus.DONE


def write(found: Comparison | Description | Regression, form: str) -> None:
    """Print estimates on standard output, and notes about them on standard error."""
    for note in found.notes():
        say(note)
    if form == "json":
        print(json.dumps(found.plain_records(), indent=1, ensure_ascii=False))
    elif form == "csv":
        print(found.frame().to_csv(index=False), end="")
    else:
        print("\n".join(found.lines()))
