"""Votes, ranks and intervals by plain Python, for packages/train/src/evaluate: python tools/oracles/votes.py

Writes fixtures/votes.json: scored traces with ties, missing answers and scores, one-trace questions, equal answers in
different spellings and labels that disagree, and every figure that evaluate makes of them. Which answers are equal is
known here by construction; AUC is scikit-learn's, percentiles are numpy's. The random numbers are those of
@scorer/core/random, written down again from its description, so that both sides take the same subsets and resamples.
"""

import json
from collections import defaultdict
from hashlib import sha256
from math import ceil, floor
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/evaluate/fixtures/votes.json"
SIZES = [1, 2, 3, 5, "all"]
SUBSETS, RESAMPLES, SEED, TOP, BINS = 40, 60, 7, 0.4, 10
RULES = ["single", "majority", "weighted", "best_of_n", "filtered", "oracle"]


class Stream:
    """xoshiro128** seeded by SHA-256 of "<seed> <name>"."""

    def __init__(self, seed, name):
        digest = sha256(f"{seed} {name}".encode()).digest()
        self.state = [int.from_bytes(digest[4 * i : 4 * i + 4], "little") for i in range(4)]

    def next(self):
        a, b, c, d = self.state
        rotate = lambda x, bits: ((x << bits) | (x >> (32 - bits))) & 0xFFFFFFFF
        result = rotate(b * 5 & 0xFFFFFFFF, 7) * 9 & 0xFFFFFFFF
        t = b << 9 & 0xFFFFFFFF
        c, d = c ^ a, d ^ b
        b, a = b ^ c, a ^ d
        self.state = [a, b, c ^ t, rotate(d, 11)]
        return result

    def below(self, n):
        high, low = self.next() >> 5, self.next() >> 6
        return floor((high * 2**26 + low) / 2**53 * n)


# Answers with the spellings that mean the same.
ANSWERS = [["1/2", "0.5", "\\frac{1}{2}"], ["3", "3.0", "\\frac{6}{2}"], ["-7", "-7.00"], ["\\sqrt{2}", "2^{1/2}"]]


def make_traces():
    random = np.random.default_rng(3)
    traces = []
    for question in range(26):
        count = [1, 2, 3, 4, 6, 9, 12][question % 7]
        truth = random.integers(len(ANSWERS))
        for index in range(count):
            answer = None if random.random() < 0.15 else int(random.integers(len(ANSWERS)))
            if answer is not None and random.random() < 0.4:
                answer = int(truth)
            # A question without answers, one without scores, and one whose labels another grader made.
            if question == 10:
                answer = None
            label = bool(answer == truth)
            if question in (5, 20) and answer is not None:
                label = bool(random.random() < 0.5)
            steps = 0 if question == 12 or random.random() < 0.08 else int(random.integers(1, 9))
            scores = (random.integers(0, 9, steps) / 8).tolist()
            if question == 13:
                scores = [0.0] * steps
            trace = {
                "shard": "a.safetensors",
                "trace_index": len(traces),
                "question": f"question {question}",
                "ground_truth": ANSWERS[truth][0],
                "extracted_answer": None if answer is None else str(random.choice(ANSWERS[answer])),
                "is_correct": label,
                "tokens": int(random.integers(5, 12)) * 10,
                "step_positions": (np.cumsum(random.integers(1, 4, steps))).tolist(),
                "step_scores": scores,
                "score": sum(scores) / steps if steps else None,
            }
            traces.append((answer, trace))
    # Not in the order of the questions; each question's traces keep theirs.
    order = random.permutation(len(traces))
    return [traces[i] for i in order]


def share_of_winner(groups, value):
    """The expected label where each of the best groups is taken with the same chance."""
    best = max(map(value, groups))
    winners = [group for group in groups if value(group) >= best * (1 - 1e-12)]
    return float(np.mean([np.mean([trace["label"] for trace in group]) for group in winners]))


def groups_of(votes):
    groups = defaultdict(list)
    for trace in votes:
        groups[trace["answer"]].append(trace)
    return list(groups.values())


def rank(trace):
    return -np.inf if trace["score"] is None else trace["score"]


def outcome(traces):
    votes = [trace for trace in traces if trace["answer"] is not None]
    best = max(map(rank, traces))
    majority = share_of_winner(groups_of(votes), len) if votes else 0.0
    weight = lambda group: sum(max(trace["score"] or 0, 0) for trace in group)
    weighted = majority
    if any(weight(group) > 0 for group in groups_of(votes)):
        weighted = share_of_winner(groups_of(votes), weight)
    filtered = 0.0
    if votes:
        ranked = sorted(map(rank, votes), reverse=True)
        last = ranked[ceil(TOP * len(votes)) - 1]
        filtered = share_of_winner(groups_of([trace for trace in votes if rank(trace) >= last]), len)
    return {
        "single": float(np.mean([trace["label"] for trace in traces])),
        "majority": majority,
        "weighted": weighted,
        "best_of_n": float(np.mean([trace["label"] for trace in traces if rank(trace) == best])),
        "filtered": filtered,
        "oracle": float(any(trace["label"] for trace in traces)),
    }


def mean_outcome(question, traces, size):
    if size == "all" or size >= len(traces):
        return outcome(traces)
    random = Stream(SEED, f"subsets of {question}")
    order = list(range(len(traces)))
    outcomes = []
    for _ in range(SUBSETS):
        for i in range(len(order) - 1):
            j = i + random.below(len(order) - i)
            order[i], order[j] = order[j], order[i]
        outcomes.append(outcome([traces[i] for i in order[:size]]))
    return {rule: float(np.mean([each[rule] for each in outcomes])) for rule in RULES}


def resamples(count):
    random = Stream(SEED, "bootstrap over questions")
    for _ in range(RESAMPLES):
        counts = np.zeros(count)
        for _ in range(count):
            counts[random.below(count)] += 1
        yield counts


def figure(statistic, count):
    """The statistic takes how often each question counts, [Q]."""
    value = statistic(np.ones(count))
    samples = np.array([statistic(counts) for counts in resamples(count)])
    samples = samples[~np.isnan(samples)]
    if np.isnan(value) or len(samples) == 0:
        return {"value": None, "ci95": None}
    return {"value": float(value), "ci95": np.percentile(samples, [2.5, 97.5]).tolist()}


def vote_values(questions, size):
    """{rule: [Q]}"""
    outcomes = [mean_outcome(name, traces, size) for name, traces in questions.items()]
    return {rule: np.array([each[rule] for each in outcomes]) for rule in RULES}


def mean_figure(column):
    return figure(lambda counts: np.average(column, weights=counts), len(column))


def vote_figures(questions, size):
    values = vote_values(questions, size)
    for rule in RULES:
        if rule != "majority":
            values[f"{rule}_minus_majority"] = values[rule] - values["majority"]
    return {name: mean_figure(column) for name, column in values.items()}


def vote_differences(questions, others, size):
    values, other_values = vote_values(questions, size), vote_values(others, size)
    return {rule: mean_figure(values[rule] - other_values[rule]) for rule in ("weighted", "best_of_n", "filtered")}


def both_labels(traces):
    return len({trace["label"] for trace in traces}) == 2


def auc(traces, weights=None):
    if not both_labels(traces):
        return np.nan
    return roc_auc_score([t["label"] for t in traces], [t["score"] for t in traces], sample_weight=weights)


def pooled(questions, counts):
    entries = [(t, n) for traces, n in zip(questions, counts) for t in traces if t["score"] is not None and n > 0]
    return auc([t for t, _ in entries], [n for _, n in entries])


def within(questions, counts):
    aucs = np.array([auc([t for t in traces if t["score"] is not None]) for traces in questions])
    defined = ~np.isnan(aucs) & (counts > 0)
    return np.average(aucs[defined], weights=counts[defined]) if defined.any() else np.nan


def rank_accuracy(questions, counts):
    wins = pairs = 0
    for traces, n in zip(questions, counts):
        right = [t["score"] for t in traces if t["label"] and t["score"] is not None]
        wrong = [t["score"] for t in traces if not t["label"] and t["score"] is not None]
        pairs += n * len(right) * len(wrong)
        wins += n * sum((a > b) + (a == b) / 2 for a in right for b in wrong)
    return wins / pairs if pairs else np.nan


RANKS = {"pooled": pooled, "within_question": within, "rank_accuracy": rank_accuracy}


def rescored(questions, score):
    """`score` gives the score of a trace, or None."""
    return [[{**t, "score": score(t)} for t in traces] for traces in questions.values()]


def rank_figures(questions, score):
    traces = rescored(questions, score)
    return {
        name: figure(lambda counts: statistic(traces, counts), len(traces)) for name, statistic in RANKS.items()
    }


def rank_differences(questions, score, other):
    traces, others = rescored(questions, score), rescored(questions, other)
    return {
        name: figure(lambda counts: statistic(traces, counts) - statistic(others, counts), len(traces))
        for name, statistic in RANKS.items()
    }


def first_steps(fraction):
    return lambda t: float(np.mean(t["steps"][: ceil(fraction * len(t["steps"]))])) if t["steps"] else None


def calibration_error(questions, counts):
    sums = np.zeros((BINS, 3))
    for traces, n in zip(questions, counts):
        for t in traces:
            if t["score"] is not None:
                sums[min(BINS - 1, floor(t["score"] * BINS))] += n * np.array([1, t["score"], t["label"]])
    return np.abs(sums[:, 1] - sums[:, 2]).sum() / sums[:, 0].sum()


AGGREGATIONS = [
    {"mean": np.mean},
    {"last": lambda s: s[-1]},
    {"min": np.min},
    {"product": np.prod},
    {f"exp_mean:{d}": lambda s, d=d: np.average(s, weights=d ** np.arange(len(s))[::-1]) for d in (0.5, 0.7, 0.8, 0.9, 0.95)},
    {f"last_k:{k}": lambda s, k=k: np.mean(s[-k:]) for k in (2, 4, 8, 16, 32)},
]


def aggregation_study(questions):
    with_steps = [[t for t in traces if t["steps"]] for traces in questions.values()]
    both = [q for q, traces in enumerate(with_steps) if both_labels(traces)]
    random = Stream(SEED, "halves of the questions")
    order = list(range(len(both)))
    for i in range(len(order) - 1, 0, -1):
        j = random.below(i + 1)
        order[i], order[j] = order[j], order[i]
    first = [both[i] for place, i in enumerate(order) if place < len(both) / 2]
    second = [q for q in both if q not in first]
    half = np.isin(np.arange(len(with_steps)), second)

    def aucs(aggregate):
        score = lambda t: float(aggregate(np.array(t["steps"])))
        return {q: auc([{**t, "score": score(t)} for t in with_steps[q]]) for q in both}

    def on_second(values):
        column = np.array([values.get(q, 0) for q in range(len(with_steps))])
        return figure(lambda counts: np.average(column[half], weights=counts[half]) if counts[half].any() else np.nan, len(half))

    chosen = {}
    for settings in AGGREGATIONS:
        studied = {name: aucs(aggregate) for name, aggregate in settings.items()}
        best = max(studied, key=lambda name: np.mean([studied[name][q] for q in first]))
        chosen[best] = studied[best]
    return {
        "chosen_on": len(first),
        "reported_on": len(second),
        "best": max(chosen, key=lambda name: np.mean([chosen[name][q] for q in first])),
        "aggregations": {
            name: {
                "within_question": on_second(values),
                "minus_mean": on_second({q: values[q] - chosen["mean"][q] for q in both}),
            }
            for name, values in chosen.items()
        },
    }


made = make_traces()
questions = defaultdict(list)
for answer, trace in made:
    questions[trace["question"]].append(
        {
            "answer": answer,
            "label": trace["is_correct"],
            "score": trace["score"],
            "steps": trace["step_scores"],
            "tokens": trace["tokens"],
        }
    )
for traces in questions.values():
    for t in traces:
        same = sum(other["answer"] == t["answer"] for other in traces)
        t["frequency"] = 0 if t["answer"] is None else same / len(traces)
if_scored = lambda value: lambda t: None if t["score"] is None else value(t)
own, length, frequency = [if_scored(f) for f in (lambda t: t["score"], lambda t: 1 / t["tokens"], lambda t: t["frequency"])]
by_length = {name: [{**t, "score": length(t)} for t in traces] for name, traces in questions.items()}

expected = {
    "questions": len(questions),
    "traces": len(made),
    "right": sum(trace["is_correct"] for _, trace in made),
    "without_answer": sum(answer is None for answer, _ in made),
    "without_score": sum(trace["score"] is None for _, trace in made),
    "n": {str(size): vote_figures(questions, size) for size in SIZES},
    "auc": rank_figures(questions, own),
    "auc_by_fraction": {str(f): rank_figures(questions, first_steps(f)) for f in (0.25, 0.5, 0.75, 1)},
    "calibration": {"ece": figure(lambda counts: calibration_error(questions.values(), counts), len(questions))},
    "baselines": {
        "length": {
            "n": {str(size): vote_figures(by_length, size) for size in SIZES},
            "auc": rank_figures(questions, length),
            "scorer_minus": {
                "n": {str(size): vote_differences(questions, by_length, size) for size in SIZES},
                "auc": rank_differences(questions, own, length),
            },
        },
        "answer_frequency": {
            "auc": rank_figures(questions, frequency),
            "scorer_minus": {"auc": rank_differences(questions, own, frequency)},
        },
    },
    "aggregation": aggregation_study(questions),
}
options = {"n": SIZES, "subsets": SUBSETS, "resamples": RESAMPLES, "seed": SEED, "top": TOP}
FIXTURE.parent.mkdir(exist_ok=True)
traces = ",\n".join(json.dumps(trace) for _, trace in made)
FIXTURE.write_text(
    f'{{"options": {json.dumps(options)},\n"traces": [\n{traces}\n],\n"expected": {json.dumps(expected)}}}\n'
)
