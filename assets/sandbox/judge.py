"""Runs tests against a solution that lives in another process, and reports each.

The tests run here, the solution in the worker: tests, expected values and the nonce are never in the memory of the
process that the solution controls, and there is no /proc, no ptrace and no process_vm_readv to reach this one. What a
solution can do is return plain data, stop the judge (no verdict, so no pass), or never return (the time limit).

Input, JSON on standard input: {"nonce", "solution", "tests", "entryPoint", "prelude", "plain"}
  tests       Python; a statement at its top level is a test if it asserts, calls or raises, on its own or in what it
              holds (a loop of asserts is one test); definitions, imports and assignments prepare
  entryPoint  the function under test, or null: then all names that the tests do not define are the solution's
  prelude     Python that the tests may use (helpers of the question), run before them
  plain       refuse tests that are more than asserts on plain data (plain.py)

Output, a line of JSON each: {"nonce", "tests": count}, then {"nonce", "passed": bool, "why": text} per test, and
{"nonce", "done": true} in the end if all of it ran without an exception: who stops the judge gets no such line.
Or {"nonce", "invalid": why} where the tests cannot be run at all.
"""

import ast
import builtins
import importlib
import json
import os
import subprocess
import sys

import codec
import plain


# Statements that prepare, whatever they hold. One of them that fails breaks all that follows.
PREPARATION = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom,
    ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Delete, ast.Global,
)  # fmt: skip

# Runners that print what failed, and raise nothing: all would seem to pass.
SILENT = {"unittest": ("main", "TextTestRunner"), "pytest": ("main",), "doctest": ("testmod", "run_docstring_examples")}

# Raised by a call within a generator or `map`, these end it as if there were no more items.
ENDS_OF_ITERATION = (StopIteration, StopAsyncIteration)


class SolutionError(Exception):
    """What the solution raised, where that is no built-in exception; or that it is gone."""


class Worker:
    def __init__(self, source):
        requests_out, self.requests_fd = os.pipe()
        self.replies_fd, replies_in = os.pipe()
        folder = os.path.dirname(os.path.abspath(__file__))
        self.process = subprocess.Popen(
            [sys.executable, "-s", "-B", os.path.join(folder, "worker.py"), str(requests_out), str(replies_in)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(requests_out, replies_in),
        )
        os.close(requests_out)
        os.close(replies_in)
        self.requests = open(self.requests_fd, "w", encoding="utf-8")
        self.replies = open(self.replies_fd, encoding="utf-8")
        failure = self.ask(source)
        self.failure = None if failure is None else ": ".join(failure["error"][:2])

    def ask(self, request):
        try:
            self.requests.write(json.dumps(request) + "\n")
            self.requests.flush()
            line = self.replies.readline()
        except OSError:
            line = ""
        if not line.endswith("\n"):
            return {"error": ["SolutionError", "the solution ended its process", None]}
        return json.loads(line)

    def call(self, name, args, kwargs):
        reply = self.ask({"name": name, "args": codec.dumps([args, kwargs])})
        if "error" in reply:
            raise exception_of(*reply["error"])
        if "args" in reply:
            after, _ = codec.loads(reply["args"])
            for before, now in zip(args, after):
                copy_into(before, now)
        return codec.loads(reply["value"])


def exception_of(kind, message, args):
    """What the solution raised, to be raised here."""
    known = getattr(builtins, str(kind), None)
    # An AssertionError is an ordinary Exception here, but SystemExit and the like must not end the judge.
    usual = isinstance(known, type) and issubclass(known, Exception) and not issubclass(known, ENDS_OF_ITERATION)
    if not usual:
        return SolutionError(f"{kind}: {message}")
    arguments = [message] if args is None else codec.loads(args)
    try:
        return known(*arguments)
    except Exception:  # some take arguments of their own, such as UnicodeDecodeError
        return SolutionError(f"{kind}: {message}")


def copy_into(before, now):
    """Makes a change that the solution made to an argument visible to the tests."""
    if type(before) is not type(now):
        return
    if isinstance(before, list):
        before[:] = now
    elif isinstance(before, (dict, set)):
        before.clear()
        before.update(now)


def is_test(node):
    return not isinstance(node, PREPARATION) and any(
        isinstance(part, (ast.Assert, ast.Call, ast.Raise)) for part in ast.walk(node)
    )


def silent_runner(tree):
    """The name of a runner of tests that the tests use and that keeps failures to itself, or None."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, names = node.value.id, [node.attr]
        elif isinstance(node, ast.ImportFrom):
            module, names = node.module, [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name in SILENT.get(module, ()):
                return f"{module}.{name}"
    return None


def free_names(tree, namespace):
    """Names that the tests use but nobody defines: modules of which they use attributes, and the solution's names."""
    defined = set(dir(builtins)) | set(namespace)
    used = []
    parents = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            parents.add(id(node.value))
    alone = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load):
                used.append(node.id)
                if id(node) not in parents:
                    alone.add(node.id)
            else:
                defined.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, ast.alias):
            defined.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            defined.add(node.name)
    free = [name for name in dict.fromkeys(used) if name not in defined]
    known = getattr(sys, "stdlib_module_names", ("math",))  # from Python 3.10 on
    modules = [name for name in free if name in known and name not in alone]
    return modules, [name for name in free if name not in modules]


def run(node, namespace):
    module = ast.Module([node], [])
    exec(compile(module, "tests.py", "exec"), namespace)


def explain(error):
    return f"{type(error).__name__}: {error}"[:200]


def judge(request, report):
    try:
        tree = ast.parse(request["tests"])
        if request["plain"]:
            plain.check(tree, request["entryPoint"])
        runner = silent_runner(tree)
        if runner is not None:
            return report(invalid=f"expected asserts and calls that raise but received {runner}, which only prints")
        namespace = {"__name__": "tests"}
        exec(compile(request["prelude"], "prelude.py", "exec"), namespace)
    except Exception as error:
        return report(invalid=explain(error))
    count = sum(is_test(node) for node in tree.body)
    if count == 0:
        return report(invalid="no test: expected an assert or a call at the top level")
    report(tests=count)
    worker = Worker(request["solution"])
    entry = request["entryPoint"]
    namespace["__name__"] = "__main__"  # else what tests guard by it would not run, and pass
    modules, names = free_names(tree, namespace)
    for name in modules:
        if name != entry:
            namespace[name] = importlib.import_module(name)
    for name in [entry] if entry else names:
        namespace[name] = lambda *args, _name=name, **kwargs: worker.call(_name, args, kwargs)
    broken = worker.failure
    clean = True
    for node in tree.body:
        why = broken
        if why is None:
            try:
                run(node, namespace)
            except BaseException as error:
                why = explain(error)
        clean = clean and why is None
        if is_test(node):
            report(passed=why is None, why=why)
        elif why is not None:
            broken = why  # what comes after a failed preparation would test something else
    if clean:
        report(done=True)


def main():
    request = json.load(sys.stdin)
    output = os.fdopen(os.dup(1), "w")
    # Tests may print; only reports go to the real standard output.
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(silent, descriptor)

    def report(**what):
        output.write(json.dumps({"nonce": request["nonce"], **what}) + "\n")
        output.flush()

    judge(request, report)
    output.flush()
    os._exit(0)  # without waiting for threads or exit handlers of the tests


main()
