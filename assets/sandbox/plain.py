"""Tests that are no more than data: `assert f(1, [2]) == 3`.

What a model writes as tests runs beside the verdict, so it may only be this: asserts whose expressions are made of
literals, operators, a few pure built-ins, and calls of the function under test. No attribute, no import, no lambda, no
comprehension; hence nothing that acts, nothing random, nothing that depends on time.
"""

import ast

PURE = frozenset(
    "abs all any bool dict float int len list max min range round set sorted str sum tuple".split()
)
NODES = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.Load, ast.Call, ast.keyword, ast.Name,
    ast.UnaryOp, ast.UAdd, ast.USub, ast.Not, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod,
    ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.cmpop, ast.Subscript, ast.Slice,
)  # fmt: skip


class NotPlain(ValueError):
    """`cause` is a word for statistics."""

    def __init__(self, cause, message):
        super().__init__(message)
        self.cause = cause


def check(tree, entry):
    """Raises NotPlain unless every statement is a plain assert that calls `entry`."""
    seen = set()
    for statement in tree.body:
        if not isinstance(statement, ast.Assert) or statement.msg is not None:
            raise NotPlain("not-plain", "expected asserts alone, without messages")
        if not any(is_call(node, entry) for node in ast.walk(statement.test)):
            raise NotPlain("not-called", f"expected every assert to call {entry}")
        for node in ast.walk(statement.test):
            check_node(node, entry)
        key = ast.dump(statement.test)
        if key in seen:
            raise NotPlain("duplicate-tests", "expected every test once")
        seen.add(key)


def check_node(node, entry):
    if not isinstance(node, NODES):
        raise NotPlain("not-plain", f"expected plain data but received {type(node).__name__}")
    if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
        raise NotPlain("not-plain", "expected calls by name")
    if isinstance(node, ast.Name) and node.id != entry and node.id not in PURE:
        raise NotPlain("not-plain", f"expected {entry} or a pure built-in but received {node.id[:40]}")


def is_call(node, entry):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == entry
