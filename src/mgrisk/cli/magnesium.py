"""`mgrisk magnesium`: estimate the population's magnesium intake, or the foods and food groups it comes from."""

from __future__ import annotations

import argparse

from mgrisk.cli.options import add_source, store_of, whole_number
from mgrisk.cli.terminal import say
from mgrisk.errors import ExitStatus

HELP = "estimate magnesium intake and its food sources in NHANES"
ABOUT = (
    "intake: usual intake and the share below the requirement, by sex and age. foods: the foods or food groups "
    "that contribute most magnesium."
)
EXAMPLES = (
    "mgrisk magnesium intake --cycle 2017-2018",
    "mgrisk magnesium foods --cycle 2017-2018 --by group",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("table", choices=["intake", "foods"], help="usual intake, or its food sources")
    parser.add_argument("--cycle", nargs="+", required=True, metavar="YEARS", help="cycles, estimated separately")
    parser.add_argument("--top", type=whole_number, default=10, metavar="N", help="number of foods per cycle (10)")
    parser.add_argument(
        "--by", choices=["food", "group"], default="food", help="single foods, or all food groups with intervals"
    )
    parser.add_argument(
        "--quick", action="store_true", help="skip the standard errors of usual intake, about 15 s per cycle"
    )
    add_source(parser)
    parser.add_argument(
        "--format", choices=["table", "csv", "json"], default="table", help="format of the output (table)"
    )


def run(options: argparse.Namespace) -> int:
    """Run the command and return its exit status."""
    from mgrisk.describe.magnesium import food_table, group_table, magnesium_table

    store = store_of(options)
    if options.table == "foods" and options.by == "group":
        frame = group_table(store, cycles=options.cycle)
    elif options.table == "foods":
        frame = food_table(store, cycles=options.cycle, top=options.top)
    else:
        frame = magnesium_table(store, cycles=options.cycle, standard_errors=not options.quick).frame()
    if options.format == "json":
        print(frame.to_json(orient="records", indent=1, force_ascii=False))
    elif options.format == "csv":
        print(frame.to_csv(index=False), end="")
    else:
        say("low to high is a 95 % interval")
        print(frame.to_string(index=False, float_format="{:.3f}".format, na_rep=""))
    return ExitStatus.DONE
