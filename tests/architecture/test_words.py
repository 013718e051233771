"""Documents, docstrings, comments and messages use the standard terms of the field in place of private words."""

from __future__ import annotations

import io
import re
import tokenize
from itertools import accumulate
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = [path for path in (ROOT / "src").rglob("*") if path.suffix in {".py", ".toml", ".html", ".j2", ".js", ".md"}]
# Model cards are generated and part of the released bundles; their text is that of the source.
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / ".github").rglob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *ROOT.glob("[md]*/README.md"),
    *(ROOT / "notebooks").glob("*.ipynb"),
    *(ROOT / "pipelines").glob("*.toml"),
    *(ROOT / "data").rglob("*.toml"),
    ROOT / "tools" / "site_pages.py",
]
# Phrases (regular expressions; case and line breaks do not matter) that are never right here, with the term to write.
EVERYWHERE = {
    "how well (?:it|a model|the model) ranks": "discrimination",
    "how (?:nearly|well) it is right": "calibration",
    "call(?:ing|s|ed)? (?:in everybody|everybody in)": "treat all",
    "their like": "the training distribution",
    "less (?:the )?ADA": "minus ADA",
    "minus (?:its|the) lack": "without it",
    "tape and cuff": "anthropometry and blood pressure",
    "line-?up": "candidates",
    "(?:leaves|rules of) the house": "a model bundle; conventions",
    "sums? of learners": "a stacked ensemble",
    "each for itself": "estimated separately",
    "changes? of meaning": "a change in question or method",
    "how far the story": "agreement between models, cycles and subgroups",
    "(?:is|was|were) opened for": "evaluated on",
    "in the words of": "with the names of",
    "undisturbed": "uninterrupted",
    "oracles?": "reference",
    r"\.\./shared|interface\.md|unpack\.py|issue \d+": "nothing that readers do not have",
}
# Phrases that documents no longer have.
IN_DOCUMENTS = {
    "an? own": "your own",
    "anew": "again",
    "best alone": "highest univariable AUROC",
    "be had": "available, not found",
    "first reason": "largest contribution",
    "(?:go|goes|gone|went) on with": "continue",
    "how firm": "stability under refitting",
    "known answers?": "replication of published estimates",
    "ladders?": "sequential adjustment",
    "leak guards?": "leakage audit",
    "learners?": "model, or algorithm",
    "like the development people": "in distribution",
    "made on": "developed on",
    r"(?<!spline\s)margins?": "linear predictor (uncalibrated log-odds)",
    "mend(?:s|ed|ing)?": "fix, correct",
    "naive": "uncorrected",
    "no medical device": "not a medical device",
    "one's own": "your",
    "packed": "compressed",
    "passed over": "ignored, skipped",
    "person by person": "for each person",
    "(?:as )?one player": "grouped SHAP values",
    "put together": "pooled",
    "rungs?": "adjustment model",
    r"\d+ signs": "characters",
    "tenths|twentieths": "deciles, ventiles",
    "the contract": "the input schema",
    "through what": "mediation",
    "travels? with": "is correlated with",
    "what came out": "results",
}


def prose(path: Path) -> str:
    """Return the text of a file with all that is no prose blank, at the same places.

    Of Python these are comments and strings, of Markdown everything but code and targets of links.
    """
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        return re.sub(r"```.*?```|`[^`]*`|\]\([^)\s]*\)", lambda code: re.sub(r"[^\n]", " ", code[0]), text, flags=re.S)
    if path.suffix != ".py":
        return text
    starts = [0, *accumulate(len(line) for line in text.splitlines(keepends=True))]
    kept = [" " if char != "\n" else char for char in text]
    of_prose = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in of_prose:
            begin, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            kept[begin:end] = re.sub("[\"'#]", " ", text[begin:end])
    return "".join(kept)


def found(path: Path, phrases: dict[str, str]) -> list[str]:
    """Return place, phrase and standard term of every phrase in a file."""
    text = prose(path)
    any_of_them = "|".join(f"({phrase})" for phrase in phrases).replace(" ", r"\s+")
    terms = list(phrases.values())
    return [
        f"{path}:{text[: match.start()].count(chr(10)) + 1}: '{' '.join(match[0].split())}': write '{terms[group - 1]}'"
        for match in re.finditer(rf"(?<![\w-])(?:{any_of_them})(?![\w-])", text, re.IGNORECASE)
        if (group := match.lastindex) is not None
    ]


def test_no_document_has_a_private_word() -> None:
    assert len(DOCUMENTS) > 80
    assert [line for path in DOCUMENTS for line in found(path, EVERYWHERE | IN_DOCUMENTS)] == []


def test_no_text_of_the_source_has_a_private_word() -> None:
    assert len(SOURCE) > 300
    assert [line for path in SOURCE for line in found(path, EVERYWHERE)] == []


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("page.md", "# A model\n\nFirst it says how well\nit ranks, then `their like`.\n", 3),
        ("page.toml", 'label = "a"\n# How well it ranks\n', 2),
        ("module.py", 'undisturbed = 1\nmessage = (\n    f"how {undone}"\n    "and how well it "\n    "ranks"\n)\n', 4),
        ("module.py", "undisturbed = 1\n\n# how well it\n# ranks\n", 3),
    ],
)  # fmt: skip
def test_a_planted_phrase_is_found_at_its_line_and_code_is_not(name: str, text: str, line: int, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    (only,) = found(path, EVERYWHERE)
    assert only.lower() == f"{path}:{line}: 'how well it ranks': write 'discrimination'".lower()
