"""Runs faiss-cpu on the same vectors, on one thread: `build` an index, or `search` one. Prints JSON.

    faiss-peer.py build <flat file> <out> <description> <rows to train on>
    faiss-peer.py search <index file> <queries, float32> <truth, int32, ten per query> <rounds> <breadth>...
"""

import json
import sys
import time

import faiss
import numpy as np


def build(flat, out, description, trained_on):
    stored = faiss.read_index(flat)
    vectors = stored.reconstruct_n(0, stored.ntotal)
    count, dimension = vectors.shape
    index = faiss.index_factory(dimension, description, faiss.METRIC_INNER_PRODUCT)
    began, cpu = time.perf_counter(), time.process_time()
    if not index.is_trained:
        index.train(vectors[(np.arange(int(trained_on)) * count) // int(trained_on)])
    trained = time.process_time()
    index.add(vectors)
    done = time.process_time()
    faiss.write_index(index, out)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": done - cpu,
        "train_cpu_seconds": trained - cpu,
    }


def search(path, queries, truth, rounds, breadths):
    index = faiss.read_index(path)
    vectors = np.fromfile(queries, dtype="float32").reshape(-1, index.d)
    expected = np.fromfile(truth, dtype="int32").reshape(-1, 10)
    points = []
    for breadth in breadths or [0]:
        if hasattr(index, "hnsw"):
            index.hnsw.efSearch = breadth
        elif hasattr(index, "nprobe"):
            index.nprobe = breadth
        times = []
        for turn in range(rounds):
            for i in range(len(vectors)):
                began = time.perf_counter()
                index.search(vectors[i : i + 1], 10)
                times.append(time.perf_counter() - began)
        _, found = index.search(vectors, 10)
        hits = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), expected.tolist()))
        times.sort()
        points.append(
            {
                "breadth": breadth,
                "recall": hits / expected.size,
                "p50_ms": 1000 * times[len(times) // 2],
                "p99_ms": 1000 * times[int(len(times) * 0.99)],
            }
        )
    return {"version": faiss.__version__, "points": points}


faiss.omp_set_num_threads(1)
command, *rest = sys.argv[1:]
if command == "build":
    print(json.dumps(build(*rest)))
else:
    print(json.dumps(search(*rest[:3], int(rest[3]), [int(breadth) for breadth in rest[4:]])))
