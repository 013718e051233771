"""`--help` has groups in the order of use, a description and examples of each command, and help of each option."""

from __future__ import annotations

import argparse
import re
import shlex

import pytest

from mgrisk.cli.main import COMMANDS, GROUPS, command_line

NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]


def of(name: str) -> argparse.ArgumentParser:
    (commands,) = (each for each in command_line()._actions if isinstance(each, argparse._SubParsersAction))
    found: argparse.ArgumentParser = commands.choices[name]
    return found


def test_commands_are_listed_once_each_by_group_in_the_order_of_use() -> None:
    text = command_line().format_help()
    assert re.findall(r"^  ([a-z]+)  ", text, re.MULTILINE) == NAMES
    assert re.findall(r"^([A-Za-z ]+):$", text, re.MULTILINE) == ["options", *GROUPS]
    assert text.startswith("usage: mgrisk [-h] [--version] COMMAND ...\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_command_has_a_description_and_examples_that_are_understood(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = of(name).format_help()
    assert re.search(r"^[a-zA-Z][^:\n]+[\s\S]+?\.\n\n", told.partition("\n\n")[2]), "no description in sentences"
    examples = re.findall(r"^  mgrisk (.*)$", told.partition("\nexamples:\n")[2], re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example.partition(" > ")[0])
        assert words[0] == name
        try:
            command_line().parse_args(words)
        except SystemExit:
            pytest.fail(f"mgrisk {example}: {capsys.readouterr().err}")


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_help(name: str) -> None:
    assert [action.option_strings or action.dest for action in of(name)._actions if not action.help] == []


def test_many_options_stand_in_groups_in_the_order_of_use() -> None:
    headings = {name: re.findall(r"^([A-Za-z][A-Za-z ]+):$", of(name).format_help(), re.MULTILINE) for name in NAMES}
    assert all(found[-2:] == ["general", "examples"] for found in headings.values())
    long = [name for name in NAMES if len(of(name)._actions) > 10]
    assert {"score", "evaluate", "recalibrate", "describe", "regress"} <= set(long)
    assert [name for name in long if {"options", "positional arguments"} & set(headings[name])] == []
    assert headings["score"][:2] == ["people and model", "output"]
    assert headings["explain"][:3] == ["people and model", "survey design", "output"]
