"""Reads a number as people type it: 1,536 or 1 536 or 1.5e3 or 12 * 128 or 1/2 or 50%, with its unit or without."""

import ast
import math
import operator
import re
import unicodedata

LONGEST = 200  # signs; nobody types more for a number
THOUSANDS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}([, '’_])\d{3}(?:\1\d{3})*(?![\d,])")
RAISED = re.compile("[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+")
SIGNS = str.maketrans("−–×·⋅÷⁄", "--***//", "≈~")
TWO = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv, ast.Pow: math.pow
}  # fmt: skip
ONE = {ast.UAdd: operator.pos, ast.USub: operator.neg}


def number_in(text: str, unit: str = "") -> float:
    """The number that a text stands for; a ValueError says why it stands for none."""
    if len(text) > LONGEST:
        raise ValueError("it is too long for a number")
    plain = without_unit(plain_signs(text), plain_signs(unit))
    plain = ([part for part in plain.split("=") if part.strip()] or [""])[-1]  # of 12 * 128 = 1,536 what comes out
    plain = THOUSANDS.sub(lambda found: re.sub(r"\D", "", found[0]), plain)
    if re.search(r"\d,\d", plain):
        raise ValueError("a comma parts thousands, as in 1,536; parts of one come after a point, as in 1.5")
    plain = re.sub(r"(?<![\w.])0+(?=\d)", "", plain)  # Python refuses 007
    plain = re.sub(r"(\d[\d.]*(?:e[+-]?\d+)?)\s*%", r"(\1/100)", plain)
    plain = re.sub(r"(?<=\d)(?<!\b0)\s*x\s*(?=\d)", "*", plain)
    try:
        if not re.fullmatch(r"[-+*/().e\d ]*", plain):  # Python warns of some other texts before it refuses them
            raise ValueError
        number = value_of(ast.parse(plain.strip(), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("this cannot be read as a number")
    return number


def plain_signs(text: str) -> str:
    """Small letters, the digits 0 to 9 for those of every script, and the signs of arithmetic that Python knows."""
    text = RAISED.sub(lambda power: f"**{unicodedata.normalize('NFKC', power[0])}", text)
    pieces = (unicodedata.normalize("NFKC", sign) for sign in text)
    text = "".join(f"+({piece})" if "⁄" in piece else piece for piece in pieces)  # 1½ is 1 + (1/2)
    text = "".join(str(unicodedata.decimal(sign, sign)) for sign in text.translate(SIGNS))
    return re.sub(r"\s+", " ", text.replace("^", "**")).casefold()


def without_unit(text: str, unit: str) -> str:
    """The text without the unit, in the singular or in the plural, wherever it stands as a word of its own."""
    one = re.escape(unit.strip().removesuffix("s"))
    return re.sub(rf"(?<![^\W\d_]){one}s?(?![^\W\d_])", "", text) if one else text


def value_of(node: ast.expr) -> float:
    """The value of numbers, + - * / ** and brackets; anything else is a ValueError."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.UnaryOp(operand=operand) if type(node.op) in ONE:
            return ONE[type(node.op)](value_of(operand))
        case ast.BinOp(left=left, right=right) if type(node.op) in TWO:
            return TWO[type(node.op)](value_of(left), value_of(right))
    raise ValueError(f"no arithmetic: {ast.dump(node)}")
