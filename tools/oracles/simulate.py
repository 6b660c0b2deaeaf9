"""Early stopping, token by token: the oracle of packages/train/src/simulate.

    python tools/oracles/simulate.py

Runs random traces under every policy as a clock would: each tick every running trace gains one token, then those that
are complete end, then the policy looks at the others. Plain loops; nothing is shared with the TypeScript. Writes
packages/train/src/simulate/fixtures/outcomes.json. Needs Python alone.
"""

import json
import math
import random
from pathlib import Path

OUTPUT = Path(__file__).parents[2] / "packages/train/src/simulate/fixtures/outcomes.json"
STREAM, BATCH = 10, 25  # tokens a second of one trace, and of all together
QUESTIONS = 40

POLICIES = [
    {"kind": "none"},
    *({"kind": "threshold", "below": b, "warmup": w} for b in (0.3, 0.5, 0.7) for w in (1, 3)),
    {"kind": "threshold", "below": 1.1, "warmup": 1},
    *({"kind": "patience", "below": b, "steps": s} for b in (0.4, 0.6) for s in (1, 2, 3)),
    {"kind": "patience", "below": 1.1, "steps": 1},
    *({"kind": "keep-top", "checkpoints": [{"tokens": t, "keep": k}]} for t in (0, 5, 20) for k in (1, 2, 4)),
    {"kind": "keep-top", "checkpoints": [{"tokens": 4, "keep": 4}, {"tokens": 9, "keep": 2}, {"tokens": 20, "keep": 1}]},
    *({"kind": "memory", "tokens": m} for m in (1, 10, 40, 80, 160)),
    *({"kind": "budget", "tokens": b} for b in (1, 10, 40, 80, 160)),
    *({"kind": "confidence", "warmup": w, "top": t} for w in (1, 2, 4) for t in (0.1, 0.5, 0.9)),
]


def random_trace(rng):
    if rng.random() < 0.15:  # refused by preprocessing: never counted
        return {"length": 0, "steps": [], "scores": [], "answer": -1, "label": 0, "score": None}
    length = rng.randint(1, 40)
    ends = sorted(rng.sample(range(1, length + 1), min(length, rng.choice([0, 1, 3, 3, 6, 6, 10, 10]))))
    scores = [rng.randint(0, 10) / 10 for _ in ends]  # coarse, so that there are ties
    answer = rng.choice([-1, 0, 0, 1, 1, 2, 3])
    return {
        "length": length,
        "steps": ends,
        "scores": scores,
        "answer": answer,
        "label": int(answer == 1),
        "score": sum(scores) / len(scores) if scores else None,
    }


def add_confidence(trace, rng):
    """The lowest group that ends in each step, none in the first ones, and the lowest of all: of a later one maybe."""
    known = trace["length"] > 0 and rng.random() < 0.9
    first = rng.choice([0, 0, 1, 2])
    groups = [rng.randint(0, 20) / 10 for _ in trace["steps"]]
    trace["groups"] = [group if known and step >= first else None for step, group in enumerate(groups)]
    ended = [group for group in trace["groups"] if group is not None]
    trace["lowest"] = min([*ended, rng.randint(8, 20) / 10]) if known else None


def percentile(values, share):
    """As numpy's: linear between the values next to it."""
    values = sorted(values)
    place = share * (len(values) - 1)
    low, high = values[math.floor(place)], values[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def bar_of(traces, policy):
    lowest = [t["lowest"] for t in traces[: policy["warmup"]] if t["lowest"] is not None]
    return percentile(lowest, 1 - policy["top"]) if lowest else -math.inf


def run_confidence(traces, policy):
    """The first ones alone, then the others beside their bar."""
    first, others = traces[: policy["warmup"]], traces[policy["warmup"] :]
    spent, seconds = run(first, {"kind": "none"})
    ended = sum(t["length"] > 0 for t in first)
    later, more_seconds = run(others, {"kind": "group", "below": bar_of(traces, policy)}, ended)
    return spent + later, seconds + more_seconds


def mean_at(trace, tick):
    """Infinite before the first step end: nothing speaks against the trace yet."""
    seen = [s for end, s in zip(trace["steps"], trace["scores"]) if end <= tick]
    return sum(seen) / len(seen) if seen else math.inf


def run(traces, policy, ended=0):
    """Tokens of each trace when it ends or is stopped, and the seconds that it all takes."""
    spent = [0] * len(traces)
    running = [i for i, t in enumerate(traces) if t["length"] > 0]
    seconds = 0.0
    is_spent = False  # the budget
    tick = 0
    while True:
        # best first; of equals the earlier in the file
        order = sorted(running, key=lambda i: (-mean_at(traces[i], tick), i))
        stop = []
        kind = policy["kind"]
        if kind in ("threshold", "patience", "group"):
            for i in order:
                trace = traces[i]
                if tick not in trace["steps"]:
                    continue
                step = trace["steps"].index(tick) + 1
                if kind == "threshold" and step >= policy["warmup"] and mean_at(trace, tick) < policy["below"]:
                    stop.append(i)
                group = trace["groups"][step - 1]
                if kind == "group" and group is not None and group < policy["below"]:
                    stop.append(i)
                last = trace["scores"][max(step - policy.get("steps", 0), 0) : step]
                if kind == "patience" and len(last) == policy["steps"] and all(s < policy["below"] for s in last):
                    stop.append(i)
            if not ended and len(stop) == len(running):
                stop = stop[1:]
        elif kind == "keep-top":
            for point in policy["checkpoints"]:
                if point["tokens"] == tick:
                    stop = order[point["keep"] :]
        elif kind == "memory":
            while len(order) > 1 and len(order) * (tick + 1) > policy["tokens"]:
                stop.append(order.pop())
        elif kind == "budget" and not is_spent:
            if sum(spent) + len(running) > policy["tokens"]:
                is_spent = True
                stop = order[1:]
        running = [i for i in running if i not in stop]
        if not running:
            return spent, seconds

        seconds += max(1 / STREAM, len(running) / BATCH)
        tick += 1
        for i in list(running):
            spent[i] += 1
            if spent[i] == traces[i]["length"]:
                running.remove(i)
                ended += 1


def vote(traces, spent, weight):
    """The share of the answers with the most votes that are right; 0 where nobody votes. Without weight, all count."""
    votes = {}
    for trace, tokens in zip(traces, spent):
        if tokens == trace["length"] and trace["answer"] >= 0:
            votes[trace["answer"]] = votes.get(trace["answer"], 0) + weight(trace)
    if not votes:
        return 0
    most = max(votes.values())
    if most == 0:
        return vote(traces, spent, lambda _: 1)
    winners = [answer for answer, count in votes.items() if abs(count - most) < 1e-12]
    return sum(answer == 1 for answer in winners) / len(winners)


def split(voters):
    return [t for t, _ in voters], [s for _, s in voters]


def main():
    rng = random.Random(0)
    questions = [[random_trace(rng) for _ in range(rng.choice([1, 2, 5, 8]))] for _ in range(QUESTIONS)]
    confidence_rng = random.Random(1)
    for traces in questions:
        for trace in traces:
            add_confidence(trace, confidence_rng)
    outcomes = []
    for policy in POLICIES:
        results = []
        for traces in questions:
            is_online = policy["kind"] == "confidence"
            spent, seconds = (run_confidence if is_online else run)(traces, policy)
            bar = bar_of(traces, policy) if is_online else -math.inf
            voters = [(t, s) for t, s in zip(traces, spent) if t["lowest"] is None or t["lowest"] >= bar]
            results.append(
                {
                    "spent": spent,
                    "seconds": round(seconds, 9),
                    "majority": vote(*split(voters), lambda _: 1),
                    "weighted": vote(*split(voters), lambda trace: trace["score"] or 0),
                }
            )
        outcomes.append({"policy": policy, "questions": results})
    OUTPUT.parent.mkdir(exist_ok=True)
    text = json.dumps({"rates": {"stream": STREAM, "batch": BATCH}, "questions": questions, "outcomes": outcomes})
    OUTPUT.write_text(text + "\n")


main()
