"""Plain data as one line of JSON, exactly: all that passes between the judge and the worker.

Nothing that can run crosses: no pickle, no classes, so no `__eq__` that says yes to everything. A subclass of a plain
type (Counter, namedtuple, IntEnum) is sent as the plain type.

    None, bool, str, float, small int, list   as in JSON (NaN and infinities as Python's json writes them)
    {"i": hex}          int from 2^53 on      {"b": hex}        bytes
    {"t": [...]}        tuple                 {"c": [re, im]}   complex
    {"s": [...]}        set                   {"r": [a, b, c]}  range
    {"z": [...]}        frozenset             {"n": [...]}      iterator: items that can be read once
    {"d": [[k, v], …]}  dict
"""

import json
from collections.abc import Iterator, KeysView, ValuesView
from itertools import islice

MOST_ITEMS = 200_000
SMALL = 2**53


class NotPlain(TypeError):
    """A value that cannot be sent."""


def dumps(value):
    left = [MOST_ITEMS]
    return json.dumps(_encode(value, left), separators=(",", ":"))


def loads(line):
    return _decode(json.loads(line))


def _encode(value, left):
    left[0] -= 1
    if left[0] < 0:
        raise NotPlain(f"expected at most {MOST_ITEMS} items")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        number = int(value)
        return number if -SMALL < number < SMALL else {"i": hex(number)}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray)):
        return {"b": bytes(value).hex()}
    if isinstance(value, complex):
        return {"c": [value.real, value.imag]}
    if isinstance(value, range):
        return {"r": [_encode(n, left) for n in (value.start, value.stop, value.step)]}
    if isinstance(value, dict):
        return {"d": [[_encode(key, left), _encode(item, left)] for key, item in value.items()]}
    return _encode_items(value, left)


def _encode_items(value, left):
    if isinstance(value, list):
        return [_encode(item, left) for item in value]
    for kind, tag in ((tuple, "t"), (set, "s"), (KeysView, "s"), (frozenset, "z")):
        if isinstance(value, kind):
            return {tag: [_encode(item, left) for item in value]}
    if isinstance(value, (Iterator, ValuesView)):
        return {"n": [_encode(item, left) for item in islice(value, left[0] + 1)]}
    raise NotPlain(f"expected plain data but received {type(value).__name__}")


def _decode(value):
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "i":
        return int(content, 16)
    if tag == "b":
        return bytes.fromhex(content)
    if tag == "d":
        return {_decode(key): _decode(item) for key, item in content}
    items = [_decode(item) for item in content]
    if tag == "c":
        return complex(float(items[0]), float(items[1]))
    if tag == "r":
        return range(*items)
    return {"t": tuple, "s": set, "z": frozenset, "n": iter}[tag](items)
