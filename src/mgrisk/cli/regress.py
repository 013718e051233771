"""`mgrisk regress`: fit linear and logistic regressions of features, NHANES variables and conditions."""

from __future__ import annotations

import argparse

from mgrisk.cli.describe import add_people, write
from mgrisk.cli.options import store_of
from mgrisk.errors import ExitStatus

HELP = "fit linear and logistic regressions on NHANES"
ABOUT = (
    "Fit a regression with weights, strata and PSUs: odds ratios or differences with 95 % intervals, and a test "
    "of each variable."
)
EXAMPLES = ('mgrisk regress --of "LBXTC >= 240" --on race_ethnicity age_years=20,40,60 sex --cycle 2009-2010',)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    question = parser.add_argument_group("question")
    question.add_argument("--of", required=True, metavar="OUTCOME", help="a number, or a condition: 'LBXTC >= 240'")
    question.add_argument(
        "--on",
        nargs="+",
        action="extend",
        required=True,
        metavar="NAME",
        help="numbers and arithmetic on them, categories, ranges (age_years=20,40,60), conditions, spline(age_years), "
        "interactions (sex:age_years)",
    )
    question.add_argument(
        "--model",
        choices=["linear", "logistic"],
        help="type of regression (logistic for a condition, linear for a number)",
    )
    question.add_argument(
        "--effect",
        choices=["odds-ratio", "difference", "prevalence-ratio"],
        help="estimates of a logistic regression: odds ratios, or average marginal probabilities (odds-ratio)",
    )
    question.add_argument(
        "--reference",
        nargs="+",
        action="extend",
        type=named_level,
        default=[],
        metavar="NAME=LEVEL",
        help="level that the others are compared with (the first)",
    )
    add_people(parser, question)


def named_level(text: str) -> tuple[str, str]:
    """Parse name and level of `--reference`."""
    name, equals, level = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text} is not NAME=LEVEL")
    return name, level


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.describe.question import Question
    from mgrisk.describe.regress import regress

    found = regress(
        store_of(options),
        Question(
            (options.of,),
            tuple(options.on),
            options.where,
            weight=options.weight,
            harmonise=tuple(options.harmonise),
        ),
        model=options.model,
        effect=options.effect,
        reference=dict(options.reference),
        cycles=options.cycle,
        across_breaks=options.across_break,
    )
    write(found, options.format)
    return ExitStatus.DONE
