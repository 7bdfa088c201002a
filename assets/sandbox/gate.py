"""Which sets of tests test something: the gate of the coding task, one process for a batch.

Input, JSON on standard input: {"nonce", "sets": [{"tests", "entryPoint"}]}. Output, a line of JSON each: {"nonce", "ready"},
then per set, in order, {"nonce", "cause": null or a word}. The tests are plain (plain.py), and what they are run against are functions of this
file, so nothing of the batch can touch anything.
"""

import ast
import copy
import json
import sys

import plain


def literal(node):
    """(True, value) of a literal, else (False, None)."""
    try:
        return True, ast.literal_eval(node)
    except Exception:
        return False, None


def literals(tree):
    found = [None, True, False, 0, 1, -1, "", [], {}, ()]
    for node in ast.walk(tree):
        if isinstance(node, ast.expr):
            known, value = literal(node)
            if known:
                found.append(value)
    return found


def trivial_solutions(tree):
    """Functions that understand nothing: a constant (of those in the tests, too), or an argument as it is."""
    for value in literals(tree):
        yield lambda *args, _value=value, **kwargs: copy.deepcopy(_value)
    for position in range(3):
        yield lambda *args, _position=position, **kwargs: args[_position]


def passes(code, entry, function):
    try:
        exec(code, {entry: function, "__name__": "tests"})
        return True
    except Exception:
        return False


def contradictory(tree, entry):
    """Two tests that expect different values of the same call."""
    expected = {}
    for statement in tree.body:
        test = statement.test
        if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
            continue
        known, value = literal(test.comparators[0])
        if not known or not plain.is_call(test.left, entry):
            continue
        if expected.setdefault(ast.dump(test.left), value) != value:
            return True
    return False


def cause_of(tests, entry):
    try:
        tree = ast.parse(tests)
        code = compile(tree, "tests.py", "exec")
        plain.check(tree, entry)
    except plain.NotPlain as error:
        return error.cause
    except Exception:  # SyntaxError; ValueError and MemoryError of a text that the parser gives up on
        return "not-python"
    if contradictory(tree, entry):
        return "contradictory"
    if any(passes(code, entry, function) for function in trivial_solutions(tree)):
        return "trivial"
    return None


def main():
    request = json.load(sys.stdin)
    print(json.dumps({"nonce": request["nonce"], "ready": True}), flush=True)
    for entry in request["sets"]:
        cause = cause_of(entry["tests"], entry["entryPoint"])
        print(json.dumps({"nonce": request["nonce"], "cause": cause}), flush=True)


main()
