"""Writes packages/core/src/jsonl/fixtures: lines as Python's json module writes them, and a file as zstd packs it.

    python tools/oracles/jsonl.py        (the zstd command)
"""

import json
import subprocess
from pathlib import Path

FIXTURES = Path(__file__).resolve().parents[2] / "packages/core/src/jsonl/fixtures"

VALUES = [
    "".join(map(chr, range(0x20))),
    "\"\\/\x7f\x80\xa0\u2028\u2029\ufeff\uffff",
    "naïve √2 你好 \U0001f600 e\u0301",
    "\\boxed{\\frac{1}{2}}\n\n</think>\t",
    "",
    [],
    {},
    [[], {}, [{}]],
    {"question": "1+1?", "is_correct": True, "extracted_answer": None, "step_scores": [0.5, 0.001, 0.1, -3]},
    {"": "", "a\nb": {"\"": [False, "x"]}, "ключ": 0},
    [0, 1, -1, 0.1, 123456789012, 1.5e-10, 2**53 - 1],
    [float("nan"), float("inf"), float("-inf"), "NaN"],
]

FIXTURES.mkdir(parents=True, exist_ok=True)
lines = [
    json.dumps({"ascii": json.dumps(value), "line": json.dumps(value, ensure_ascii=False)}, ensure_ascii=False) + "\n"
    for value in VALUES
]
(FIXTURES / "python.jsonl").write_text("".join(lines))

# Two frames, the first of several blocks, with a checksum each.
numbers = "".join(json.dumps({"i": i, "text": f"{i % 7} " * (i % 40)}) + "\n" for i in range(8000))
half = len(numbers) // 2
with open(FIXTURES / "numbers.jsonl.zst", "wb") as file:
    for part in (numbers[:half], numbers[half:]):
        subprocess.run(["zstd", "-q", "-9"], input=part.encode(), stdout=file, check=True)
        file.flush()
