"""Matrix products of PyTorch (MKL where it is built with it), oneDNN (as PyTorch carries it) and NumPy's OpenBLAS.

usage: products.py mkl|onednn|openblas THREADS; a request {"product": [T, K, N], "seconds": S, "coldFloats": F} is
answered with {"seconds": the best call}. Weights are prepared as the library prefers, outside of the time; those of
few rows rotate through F floats.
"""

import sys
import time

import channel

BEST_OF_AT_LEAST = 3


def torch_calls(torch, t, k, n, copies):
    x, y = torch.randn(t, k), torch.empty(t, n)
    weight = torch.randn(n, k)
    weights = [weight.clone().t() for _ in range(copies)]
    return [lambda w=w: torch.mm(x, w, out=y) for w in weights]


def onednn_calls(torch, t, k, n, copies):
    x, weight, mkldnn = torch.randn(t, k), torch.randn(n, k), torch.ops.mkldnn
    # Packed for this many rows, as torch.compile does where weights are frozen.
    weights = [mkldnn._reorder_linear_weight(weight, t) for _ in range(copies)]
    return [lambda w=w: mkldnn._linear_pointwise(x, w, None, "none", [], "") for w in weights]


def openblas_calls(numpy, t, k, n, copies):
    random = numpy.random.default_rng(1)
    floats = lambda *sizes: random.standard_normal(sizes, dtype=numpy.float32)
    x, y = floats(t, k), numpy.empty((t, n), numpy.float32)
    weight = floats(k, n)
    weights = [weight.copy() for _ in range(copies)]
    return [lambda w=w: numpy.matmul(x, w, out=y) for w in weights]


def best_seconds(calls, seconds):
    for call in calls[:2]:
        call()
    best, total, times = float("inf"), 0.0, 0
    while times < BEST_OF_AT_LEAST or total < seconds:
        start = time.perf_counter()
        calls[times % len(calls)]()
        taken = time.perf_counter() - start
        best, total, times = min(best, taken), total + taken, times + 1
    return best


def main():
    library, threads = sys.argv[1], int(sys.argv[2])
    if library == "openblas":
        import numpy as module

        make = openblas_calls
    else:
        import torch as module

        module.set_num_threads(threads)
        module.set_grad_enabled(False)
        make = onednn_calls if library == "onednn" else torch_calls
    channel.answer({"ready": True})
    for request in channel.requests():
        t, k, n = request["product"]
        copies = max(1, request["coldFloats"] // (k * n)) if t < request["coldRows"] else 1
        calls = make(module, t, k, n, copies)
        channel.answer({"seconds": best_seconds(calls, request["seconds"])})


main()
