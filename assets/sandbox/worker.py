"""Runs a solution and answers calls of its functions; started by the judge, and as untrusted as the solution.

    python3 worker.py REQUESTS REPLIES      two file descriptors

First request: the solution's source, a JSON string; reply: null, or what went wrong. Then per call {"name", "args"}
with args = codec.dumps([args, kwargs]); reply {"value"}, {"error": [type, message, args]}, and "args" where they changed.
The solution can write replies of its own; it says nothing by that which it could not say by returning it.
"""

import builtins
import json
import sys
import types

import codec


def load(source):
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    exec(compile(source, "solution.py", "exec"), module.__dict__)
    return module


def describe(error):
    """Type, message and arguments: the first built-in type, as which the tests can catch it; its own where there is none."""
    kinds = [kind for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind]
    general = not kinds or kinds[0] in (Exception, BaseException)
    name = type(error).__name__ if general else kinds[0].__name__
    try:
        args = codec.dumps(list(error.args))
    except Exception:
        args = None
    return [name, str(error)[:300], args if args is not None and len(args) < 10_000 else None]


def answer(module, request):
    args, kwargs = codec.loads(request["args"])
    try:
        value = getattr(module, request["name"])(*args, **kwargs)
        reply = {"value": codec.dumps(value)}
    except BaseException as error:  # SystemExit and KeyboardInterrupt are answers, too
        return {"error": describe(error)}
    after = codec.dumps([args, kwargs])
    if after != request["args"]:
        reply["args"] = after
    return reply


def main():
    requests = open(int(sys.argv[1]), encoding="utf-8")
    replies = open(int(sys.argv[2]), "w", encoding="utf-8")
    sys.argv = ["solution.py"]
    del sys.path[0]

    def send(reply):
        replies.write(json.dumps(reply) + "\n")
        replies.flush()

    try:
        module = load(json.loads(requests.readline()))
    except BaseException as error:
        send({"error": describe(error)})
        return
    send(None)
    for line in requests:
        send(answer(module, json.loads(line)))


main()
