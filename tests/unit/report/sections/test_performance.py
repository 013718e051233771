"""Differences of performance are described according to their intervals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mgrisk.report.sections.performance import RECALIBRATED, compare_net_benefit, net_benefits
from mgrisk.run_folder.folder import RunFolder

HELD_OUT = "2017-2018"


def test_net_benefit_is_that_against_the_recalibrated_score_in_words_that_claim_no_more(run_folder: Path) -> None:
    found = net_benefits(RunFolder(run_folder), HELD_OUT)
    assert [(each.reference, each.metric) for each in found] == [
        (RECALIBRATED, "net_benefit@0.05"), (RECALIBRATED, "net_benefit@0.1"),
    ]  # fmt: skip
    above = replace(found[0], estimate=0.01, low=0.001, high=0.02)
    unknown = replace(found[1], estimate=-0.01, low=-0.02, high=0.001)
    score = "Net benefit per 1,000 people minus that of the recalibrated score: "
    assert compare_net_benefit([above, unknown]) == (
        f"{score}+10.0 (1.0 to 20.0) at a threshold of 5\u00a0%; "
        "\u221210.0 (\u221220.0 to 1.0) at a threshold of 10\u00a0%, no evidence of a difference."
    )
    without = compare_net_benefit([replace(above, low=None, high=None)])
    assert without.endswith("at a threshold of 5\u00a0%, no evidence of a difference.")
    assert compare_net_benefit([]) == ""
