"""The other side of storage.mjs: the same work by Python safetensors and numpy. Prints one JSON object.

    python storage.py <task> <input as JSON>
"""

import json
import os
import resource
import sys
import time
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

HIDDEN_SIZE, BATCH_ROWS, BLOCK_ROWS = 2560, 128, 64
CHUNK_ROWS = 6400
TENSOR = "hidden_states.36"


def write(folder, size, **_):
    data = np.ones(min(int(size), 2**30), np.uint8)
    yield
    path = Path(folder) / "written-by-python.safetensors"
    save_file({"x": data}, path)
    descriptor = os.open(path, os.O_RDWR)
    os.fsync(descriptor)
    os.close(descriptor)
    yield "MB", data.size / 1e6


def read(set, **_):
    yield
    total = 0
    for path in shards(set):
        with safe_open(path, "np") as file:
            total += file.get_tensor(TENSOR).nbytes
    yield "MB", total / 1e6


def batches(set, rows, block_rows, source):
    """Blocks in random order fill a chunk, whose rows are put in random order and widened batch by batch."""
    read_rows = source(set)
    offsets = np.cumsum([0] + [n for n in map(row_count, shards(set))])
    random = np.random.default_rng(0)
    yield
    blocks = random.permutation(-(-offsets[-1] // block_rows))
    done, total = 0, 0.0
    chunk_blocks = CHUNK_ROWS // block_rows
    for at in range(0, len(blocks), chunk_blocks):
        chosen = np.sort(blocks[at : at + chunk_blocks])
        chunk = np.concatenate([read_rows(offsets, b * block_rows, min((b + 1) * block_rows, offsets[-1])) for b in chosen])
        order = random.permutation(len(chunk))
        for first in range(0, len(order), BATCH_ROWS):
            batch = chunk[order[first : first + BATCH_ROWS]].astype(np.float32)
            total += float(batch[0, 0])
            done += len(batch)
            if done >= rows:
                yield "rows", done
                return


def random_batches_by_index(set, rows, **_):
    """Single rows by numpy's own indexing, 128 sorted ones at a time: the least that Python can do for each."""
    maps = [memory_map(path) for path in shards(set)]
    offsets = np.cumsum([0] + [len(m) for m in maps])
    random = np.random.default_rng(0)
    yield
    order = random.permutation(offsets[-1])
    done, total = 0, 0.0
    while done < rows:
        chosen = np.sort(order[done : done + BATCH_ROWS])
        shard = np.searchsorted(offsets, chosen, "right") - 1
        parts = [maps[k][chosen[shard == k] - offsets[k]] for k in np.unique(shard)]
        batch = np.concatenate(parts).astype(np.float32)
        total += float(batch[0, 0])
        done += len(batch)
    yield "rows", done


def by_slices(set):
    slices = [safe_open(path, "np").get_slice(TENSOR) for path in shards(set)]
    return lambda offsets, first, end: across(slices, offsets, first, end)


def by_memory_map(set):
    maps = [memory_map(path) for path in shards(set)]
    return lambda offsets, first, end: across(maps, offsets, first, end)


def across(arrays, offsets, first, end):
    parts = []
    while first < end:
        k = np.searchsorted(offsets, first, "right") - 1
        last = min(end, offsets[k + 1])
        parts.append(arrays[k][int(first - offsets[k]) : int(last - offsets[k])])
        first = last
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def memory_map(path):
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        info = json.loads(file.read(length))[TENSOR]
    start = 8 + length + info["data_offsets"][0]
    return np.memmap(path, np.float16, "r", start, tuple(info["shape"]))


def row_count(path):
    with safe_open(path, "np") as file:
        return file.get_slice(TENSOR).get_shape()[0]


def convert(**_):
    halves = (np.arange(BATCH_ROWS * HIDDEN_SIZE) * 40503 & 0xBBFF).astype(np.uint16).view(np.float16)
    floats = np.empty(halves.shape, np.float32)
    rounds = 1000
    yield
    for _ in range(rounds):
        np.copyto(floats, halves)
    yield "rows", rounds * BATCH_ROWS


def jsonl(folder, **_):
    yield
    with open(Path(folder) / "lines.jsonl", encoding="utf8") as file:
        yield "lines", sum(1 for line in file if json.loads(line))


def lines(folder, **_):
    yield
    with open(Path(folder) / "lines.jsonl", encoding="utf8") as file:
        yield "lines", sum(1 for _ in file)


def shards(set):
    return sorted(Path(set).iterdir())


TASKS = {
    "write": write,
    "read": read,
    "random-safetensors": lambda set, rows, **_: batches(set, rows, 1, by_slices),
    "random-memmap": random_batches_by_index,
    "blocks-safetensors": lambda set, rows, **_: batches(set, rows, BLOCK_ROWS, by_slices),
    "blocks-memmap": lambda set, rows, **_: batches(set, rows, BLOCK_ROWS, by_memory_map),
    "convert": convert,
    "jsonl": jsonl,
    "lines": lines,
}

given = json.loads(sys.argv[2])
work = TASKS[sys.argv[1]](**{("size" if key == "bytes" else key): value for key, value in given.items()})
next(work)
start = time.perf_counter()
unit, amount = next(work)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"unit": unit, "amount": amount, "seconds": seconds, "peakMb": peak}))
