"""Runs implicit's ALS on the pairs of a folder: prints seconds per iteration as JSON and writes its factors there."""

import json
import os
import sys
import time

import implicit
import numpy
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

folder, factors, iterations, threads, seed, regularization = sys.argv[1:7]


def column(name, kind):
    return numpy.fromfile(os.path.join(folder, name), kind)


starts = column("starts.bin", "<u4").astype(numpy.int64)
ends = column("ends.bin", "<u4").astype(numpy.int64)
products = column("pairs.bin", "<u4").astype(numpy.int32)
weights = column("weights.bin", "<f4")
users = len(ends)
# Held-out pairs are last in their rows.
kept = numpy.concatenate([numpy.arange(a, b) for a, b in zip(starts[:-1], ends)])
pointers = numpy.concatenate([[0], numpy.cumsum(ends - starts[:-1])])
# Its confidence is the value itself, ours is 1 + the value.
matrix = csr_matrix((1 + weights[kept], products[kept], pointers), shape=(users, int(sys.argv[7])))

model = AlternatingLeastSquares(
    factors=int(factors),
    regularization=float(regularization),
    alpha=1.0,
    iterations=int(iterations),
    num_threads=int(threads),
    random_state=int(seed),
)
seconds = []
model.fit(matrix, show_progress=False, callback=lambda iteration, elapsed, *_: seconds.append(elapsed))
model.user_factors.astype("<f4").tofile(os.path.join(folder, "user_factors.out"))
model.item_factors.astype("<f4").tofile(os.path.join(folder, "item_factors.out"))
print(json.dumps({"seconds": seconds, "version": implicit.__version__, "cpu": time.process_time()}))
