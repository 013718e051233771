"""A small language of conditions and amounts: comparisons, `and`, `or`, `not`, and arithmetic on names.

The text is never evaluated as Python: it is parsed to a syntax tree, of which only a few node kinds are allowed, and
the tree is interpreted here. A condition on a missing value is neither true nor false but undecided (Kleene's
three-valued logic, as in SQL), so that `not bmi_kg_m2 >= 30` does not include people without a BMI; `missing(NAME)`
selects them. An amount is missing if a part is missing or if it is divided by zero.
"""

from __future__ import annotations

import ast
import difflib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from mgrisk.errors import MgRiskError, usage
from mgrisk.types import Booleans, Floats

LONGEST: Final = 1000
GRAMMAR: Final = (
    "compare names with numbers or 'texts' (== != < <= > >= in), combine with and, or, not; missing(NAME); + - * / on "
    "numbers; for example age_years >= 20 and sex == 'male'"
)
Literal = float | str

_FLIPPED: Final[Mapping[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.Gt,
    ast.LtE: ast.GtE,
    ast.Gt: ast.Lt,
    ast.GtE: ast.LtE,
    ast.Eq: ast.Eq,
    ast.NotEq: ast.NotEq,
}
_COMPARED: Final[Mapping[type[ast.cmpop], np.ufunc]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}
_ARITHMETIC: Final[Mapping[type[ast.operator], np.ufunc]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
}
_SIGNS: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
}


@dataclass(frozen=True, eq=False)
class Truth:
    """Values of a condition: for whom it is true, and for whom it is undecided.

    Attributes
    ----------
    true, undecided
        Shape (n,), bool, never both.
    """

    true: Booleans
    undecided: Booleans

    @property
    def false(self) -> Booleans:
        """For whom the condition is false."""
        return ~(self.true | self.undecided)


@dataclass(frozen=True, eq=False)
class Condition:
    """A parsed condition.

    Attributes
    ----------
    text
        Text as written.
    names
        Names in the condition, in order, without duplicates.
    """

    text: str
    names: tuple[str, ...]
    _tree: ast.expr

    def missing(self, columns: Mapping[str, pd.Series]) -> Booleans:
        """Return who has a missing value of any name, shape (n,), even if the condition is decided without it."""
        found: Booleans = np.logical_or.reduce([columns[name].isna().to_numpy(dtype=np.bool_) for name in self.names])
        return found

    def holds(self, columns: Mapping[str, pd.Series]) -> Truth:
        """Evaluate the condition for each row.

        Parameters
        ----------
        columns
            A series of numbers or of categories for each name, all of the same length.

        Raises
        ------
        MgRiskError
            ``condition.kind`` for a number compared with a text, or categories compared by order;
            ``condition.unknown_level`` for a text that is not a level of the category.

        Examples
        --------
        >>> truth = parse("age_years >= 20").holds({"age_years": pd.Series([19.0, 20.0, np.nan])})
        >>> truth.true.tolist(), truth.undecided.tolist()
        ([False, True, False], [False, False, True])
        """
        return _walk(self._tree, columns, self.text)


@dataclass(frozen=True, eq=False)
class Amount:
    """A parsed arithmetic expression.

    Attributes
    ----------
    text
        Text as written.
    names
        Names in the expression, in order, without duplicates.
    """

    text: str
    names: tuple[str, ...]
    _tree: ast.expr

    def values(self, columns: Mapping[str, pd.Series]) -> pd.Series:
        """Compute the amount of each row, float64.

        Parameters
        ----------
        columns
            A series for each name, all of the same length.

        Raises
        ------
        MgRiskError
            ``condition.kind`` for arithmetic on a category.

        Examples
        --------
        >>> expression("fat_g * 9 / kcal").values({"fat_g": pd.Series([50.0, 1.0]), "kcal": pd.Series([900.0, 0.0])})
        0    0.5
        1    NaN
        dtype: float64
        """
        return pd.Series(_amount(self._tree, columns))

    def quotient(self) -> tuple[Amount, Amount] | None:
        """Return numerator and denominator if it is a quotient of two amounts with names, else None.

        Examples
        --------
        >>> [side.text for side in expression("fat_g * 9 / kcal").quotient()]
        ['fat_g * 9', 'kcal']
        """
        if not isinstance(self._tree, ast.BinOp) or not isinstance(self._tree.op, ast.Div):
            return None
        sides = [
            Amount(ast.unparse(side), tuple(dict.fromkeys(_amount_names(side, self.text))), side)
            for side in (self._tree.left, self._tree.right)
        ]
        return (sides[0], sides[1]) if all(side.names for side in sides) else None


def parse(text: str) -> Condition:
    """Parse a condition.

    Raises
    ------
    MgRiskError
        ``condition.syntax`` for a syntax error, with the part that is not allowed.

    Examples
    --------
    >>> parse("20 <= age_years < 40 and (sex == 'male' or missing(RIDEXPRG))").names
    ('age_years', 'sex', 'RIDEXPRG')
    """
    return Condition(text, *_parsed(text, _names))


def expression(text: str) -> Condition | Amount:
    """Parse a condition or an amount.

    Raises
    ------
    MgRiskError
        ``condition.syntax``, as `parse`.

    Examples
    --------
    >>> expression("LBXTC - LBDHDD").names, type(expression("LBXTC - LBDHDD > 130")).__name__
    (('LBXTC', 'LBDHDD'), 'Condition')
    """
    names, tree = _parsed(text, lambda node, text: (_amount_names if _is_amount(node) else _names)(node, text))
    return Amount(text, names, tree) if _is_amount(tree) else Condition(text, names, tree)


def evaluated(text: str, columns: Mapping[str, pd.Series]) -> pd.Series | Truth:
    """Evaluate a condition or an amount for each row.

    Raises
    ------
    MgRiskError
        As `expression`, `Condition.holds` and `Amount.values`.
    """
    asked = expression(text)
    return asked.values(columns) if isinstance(asked, Amount) else asked.holds(columns)


def unknown(values: pd.Series | Truth) -> Booleans:
    """Return for whom a value is missing or a condition undecided, shape (n,)."""
    return values.undecided if isinstance(values, Truth) else values.isna().to_numpy(dtype=np.bool_)


def _parsed(text: str, names_of: Callable[[ast.expr, str], list[str]]) -> tuple[tuple[str, ...], ast.expr]:
    if len(text) > LONGEST:
        raise _refused(f"{text[:40]}…", f"it is longer than {LONGEST} characters")
    try:
        with warnings.catch_warnings():
            # Python may warn about code that is rejected below.
            warnings.simplefilter("error")
            tree = ast.parse(text.strip(), mode="eval").body
        names = tuple(dict.fromkeys(names_of(tree, text)))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(text, str(error).partition("(")[0].strip() or "it cannot be parsed") from error
    if not names:
        raise _refused(text, "it has no name of a feature or variable")
    return names, tree


def _is_amount(node: ast.expr) -> bool:
    return isinstance(node, ast.BinOp) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub))


def _amount_names(node: ast.expr, text: str) -> list[str]:
    match node:
        case ast.Name(id=name):
            return [name]
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            return [*_amount_names(node.left, text), *_amount_names(node.right, text)]
        # Only one sign: thousands of signs in a row would exhaust the recursion.
        case ast.UnaryOp(op=ast.USub()) if not isinstance(node.operand, ast.UnaryOp):
            return _amount_names(node.operand, text)
        case ast.Constant() if isinstance(_literal(node, text), float):
            return []
    raise _refused(text, f"{_said(node)!r} is neither a number nor a name")


def _amount(node: ast.expr, columns: Mapping[str, pd.Series]) -> Floats:
    """Return the amount of each row, NaN if missing or not finite; a constant has shape ()."""
    match node:
        case ast.Name(id=name):
            if isinstance(columns[name].dtype, pd.CategoricalDtype):
                raise usage(
                    "condition.kind",
                    f"{name} is a category and cannot be used as a number",
                    where=name,
                    hint="leave it out, or compare it with one of its levels by ==",
                )
            return columns[name].to_numpy(dtype=np.float64)
        case ast.BinOp():
            sides = _amount(node.left, columns), _amount(node.right, columns)
            with np.errstate(all="ignore"):
                found = _ARITHMETIC[type(node.op)](*sides)
            return np.where(np.isfinite(found), found, np.nan)
        case ast.UnaryOp():
            return -_amount(node.operand, columns)
        case ast.Constant(value=int() | float() as value):
            return np.asarray(value, dtype=np.float64)
    raise AssertionError(f"{_said(node)} passed the parser")


def _names(node: ast.expr, text: str) -> list[str]:
    match node:
        case ast.BoolOp():
            return [name for value in node.values for name in _names(value, text)]
        case ast.UnaryOp(op=ast.Not()):
            return _names(node.operand, text)
        case ast.Call(func=ast.Name(id="missing"), args=[ast.Name(id=name)], keywords=[]):
            return [name]
        case ast.Compare():
            return [name for pair in _pairs(node) for name in _names_of_pair(*pair, text)]
    raise _refused(text, f"{_said(node)!r} is not a condition")


def _walk(node: ast.expr, columns: Mapping[str, pd.Series], text: str) -> Truth:
    match node:
        case ast.BoolOp():
            return _joined([_walk(value, columns, text) for value in node.values], every=isinstance(node.op, ast.And))
        case ast.UnaryOp():
            inner = _walk(node.operand, columns, text)
            return Truth(inner.false, inner.undecided)
        case ast.Call(args=[ast.Name(id=name)]):
            absent = columns[name].isna().to_numpy(dtype=np.bool_)
            return Truth(absent, np.zeros_like(absent))
        case ast.Compare():
            return _joined([_compared(columns, *_pair(*pair, text)) for pair in _pairs(node)], every=True)
    raise AssertionError(f"{_said(node)} passed the parser")


def _joined(parts: list[Truth], *, every: bool) -> Truth:
    true = np.logical_and.reduce([part.true for part in parts])
    false = np.logical_and.reduce([part.false for part in parts])
    if every:
        false = np.logical_or.reduce([part.false for part in parts])
    else:
        true = np.logical_or.reduce([part.true for part in parts])
    return Truth(true, ~(true | false))


def _pairs(node: ast.Compare) -> list[tuple[ast.expr, ast.cmpop, ast.expr]]:
    sides = [node.left, *node.comparators]
    return list(zip(sides[:-1], node.ops, sides[1:], strict=True))


def _names_of_pair(left: ast.expr, sign: ast.cmpop, right: ast.expr, text: str) -> list[str]:
    amount, _, value = _pair(left, sign, right, text)
    names = [*_amount_names(amount, text), *(_amount_names(value, text) if isinstance(value, ast.expr) else [])]
    if not names:
        raise _refused(text, f"neither {_said(left)!r} nor {_said(right)!r} has a name")
    return names


def _pair(
    left: ast.expr, sign: ast.cmpop, right: ast.expr, text: str
) -> tuple[ast.expr, type[ast.cmpop], Literal | tuple[Literal, ...] | ast.expr]:
    """Return a name, the comparison and the literals; or two amounts with the comparison."""
    kind = type(sign)
    if isinstance(left, ast.Name) and kind in (ast.In, ast.NotIn):
        if not isinstance(right, (ast.Tuple, ast.List)) or not right.elts:
            raise _refused(text, f"{_said(right)!r} is not a list, such as ('a', 'b')")
        return left, kind, tuple(_literal(item, text) for item in right.elts)
    if kind not in _FLIPPED:
        raise _refused(text, f"{_said(ast.Compare(left, [sign], [right]))!r} is not a comparison of a name")
    if isinstance(left, ast.Name) and not _has_name(right):
        return left, kind, _literal(right, text)
    if isinstance(right, ast.Name) and not _has_name(left):
        return right, _FLIPPED[kind], _literal(left, text)
    return left, kind, right


def _has_name(node: ast.expr) -> bool:
    return any(isinstance(each, ast.Name | ast.BinOp) for each in ast.walk(node))


def _literal(node: ast.expr, text: str) -> Literal:
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        sign, node = -1.0, node.operand
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and sign > 0:
            return node.value
        # True and False are integers in Python.
        if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            try:
                return sign * float(node.value)
            except OverflowError:
                raise _refused(text, f"{_said(node)!r} is a number beyond 1.8e308") from None
    raise _refused(text, f"{_said(node)!r} is neither a number nor a text in quotes")


def _compared(
    columns: Mapping[str, pd.Series],
    left: ast.expr,
    sign: type[ast.cmpop],
    value: Literal | tuple[Literal, ...] | ast.expr,
) -> Truth:
    if isinstance(value, ast.expr) or not isinstance(left, ast.Name):
        assert isinstance(value, ast.expr)
        sides = _amount(left, columns), _amount(value, columns)
        unknown = np.isnan(sides[0]) | np.isnan(sides[1])
        return Truth(_COMPARED[sign](*sides) & ~unknown, unknown)
    name, column = left.id, columns[left.id]
    wanted = value if isinstance(value, tuple) else (value,)
    if isinstance(column.dtype, pd.CategoricalDtype):
        _check_levels(column, name, sign, wanted)
    elif any(isinstance(each, str) for each in wanted):
        raise usage(
            "condition.kind",
            f"{name} is a number and cannot be compared with a text",
            where=name,
            hint="compare it with a number, without quotes",
        )
    undecided = column.isna().to_numpy(dtype=np.bool_)
    if sign in (ast.Eq, ast.In, ast.NotEq, ast.NotIn):
        true = column.isin(wanted).to_numpy(dtype=np.bool_) == (sign in (ast.Eq, ast.In))
    else:
        true = _COMPARED[sign](column.to_numpy(dtype=np.float64), float(wanted[0]))
    return Truth(true & ~undecided, undecided)


def _check_levels(column: pd.Series, name: str, sign: type[ast.cmpop], wanted: tuple[Literal, ...]) -> None:
    levels = [str(level) for level in column.cat.categories]
    if sign not in (ast.Eq, ast.NotEq, ast.In, ast.NotIn) or not all(isinstance(each, str) for each in wanted):
        raise usage(
            "condition.kind",
            f"{name} is a category and cannot be compared by {_SIGNS[sign]} or with a number",
            where=name,
            hint=f"use == or in with one of {', '.join(map(repr, levels))}",
        )
    for each in wanted:
        if each not in levels:
            near = difflib.get_close_matches(str(each), levels, n=1)
            raise usage(
                "condition.unknown_level",
                f"{each!r} is not a level of {name}",
                where=name,
                hint=f"did you mean {near[0]!r}?" if near else f"one of {', '.join(map(repr, levels))}",
            )


def _said(node: ast.expr) -> str:
    said = ast.unparse(node)
    return said if len(said) <= 60 else f"{said[:57]}…"


def _refused(text: str, why: str) -> MgRiskError:
    return usage("condition.syntax", f"the condition cannot be parsed: {why}", where=text or "(empty)", hint=GRAMMAR)
