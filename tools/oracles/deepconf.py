"""DeepConf's measures and votes by plain Python, for packages/train: python tools/oracles/deepconf.py

Writes packages/train/src/evaluate/fixtures/deepconf.json: traces with random token confidences and log-probabilities,
DeepConf's confidences of each (arXiv 2508.15260; the functions below do what the public code, facebookresearch/deepconf,
deepconf/utils.py and processors.py, does), and what its votes, best of N and ranks make of them beside a scorer's. There
a vote without a winner takes the first answer; here, as in evaluate, each of the best has the same chance. AUC is
scikit-learn's, percentiles are numpy's, ranks are scipy's.
"""

import json
from collections import defaultdict
from math import ceil
from pathlib import Path

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

FIXTURE = Path(__file__).resolve().parents[2] / "packages/train/src/evaluate/fixtures/deepconf.json"
WINDOW, TAIL, BOTTOM = 8, 12, 0.1
MEASURES = ["mean", "tail", "bottom_group", "lowest_group", "mean_logprob"]
PARTS = ["0.25", "0.5", "0.75", "1"]
RULES = ["weighted", "best_of_n", "top10_filtered", "top90_filtered"]


def groups(confs):
    return [float(np.mean(confs[i : i + WINDOW])) for i in range(len(confs) - WINDOW + 1)]


def mean_confidence(confs):
    return float(np.mean(confs))


def tail_confidence(confs):
    return float(np.mean(confs[-TAIL:]))


def bottom_window_confidence(confs, bottom_percent):
    """bottom_percent -1: the lowest window."""
    if len(confs) < WINDOW:
        return float(np.mean(confs))
    means = sorted(groups(confs))
    if bottom_percent == -1:
        return means[0]
    return float(np.mean(means[: max(1, int(len(means) * bottom_percent))]))


def measures(confs, logprobs):
    return {
        "mean": mean_confidence(confs),
        "tail": tail_confidence(confs),
        "bottom_group": bottom_window_confidence(confs, BOTTOM),
        "lowest_group": bottom_window_confidence(confs, -1),
        "mean_logprob": float(np.mean(logprobs)),
    }


def confidence_of(trace):
    """The `confidence` of a line of scores.jsonl; None without a token."""
    confs, logprobs = trace["confidences"], trace["logprobs"]
    if not confs:
        return None
    ends = [position + 1 - trace["prompt_tokens"] for position in trace["step_positions"]]
    steps, step_groups, start = [], [], 0
    for end in ends:
        own = confs[start : max(end, start)]
        steps.append(float(np.mean(own)) if own else None)
        # The online processor knows a group once it has WINDOW tokens.
        ended = [float(np.mean(confs[i + 1 - WINDOW : i + 1])) for i in range(start, end) if i + 1 >= WINDOW]
        step_groups.append(min(ended) if ended else None)
        start = max(end, start)
    by_fraction = {}
    for part in PARTS[:-1]:
        end = ends[ceil(float(part) * len(ends)) - 1] if ends else 0
        if end > 0:
            by_fraction[part] = measures(confs[:end], logprobs[:end])
    return {**measures(confs, logprobs), "steps": steps, "step_groups": step_groups, "by_fraction": by_fraction}


def make_traces():
    random = np.random.default_rng(11)
    traces = []
    for question in range(14):
        truth = int(random.integers(3))
        for index in range([1, 2, 5, 11, 12, 21, 8][question % 7]):
            tokens = 0 if (question, index) == (3, 2) else int(random.integers(1, 48))
            prompt = int(random.integers(3, 9))
            answer = None if random.random() < 0.12 else int(random.integers(3))
            if answer is not None and random.random() < 0.3:
                answer = truth
            lean = 0.6 * (answer == truth) + random.normal() / 2
            confs = np.round(512 * np.clip(random.gamma(8, 1.2, tokens) + lean, 0.01, None)) / 512
            # The first step may end in the prompt, and there may be none.
            count = 0 if index % 9 == 8 else int(random.integers(1, max(2, tokens // 5 + 2)))
            ends = np.sort(random.choice(np.arange(prompt - 2, prompt + max(tokens, 2)), min(count, tokens + 2), replace=False))
            scores = np.round(512 * random.random(len(ends))) / 512
            traces.append(
                {
                    "question": f"question {question}",
                    "ground_truth": str(truth),
                    "extracted_answer": None if answer is None else str(answer),
                    "is_correct": answer == truth,
                    "prompt_tokens": prompt,
                    "confidences": confs.tolist(),
                    "logprobs": (-np.round(512 * random.gamma(1, 0.3, tokens)) / 512).tolist(),
                    "step_positions": [int(end) for end in ends if end < prompt + tokens],
                    "step_scores": [float(score) for end, score in zip(ends, scores) if end < prompt + tokens],
                }
            )
    return traces


def right_share(totals, labels):
    best = max(totals.values())
    return float(np.mean([labels[answer] for answer, total in totals.items() if total >= best * (1 - 1e-12)]))


def weighted_majority_vote(traces, weights):
    totals, labels = defaultdict(float), {}
    for trace, weight in zip(traces, weights):
        totals[trace["extracted_answer"]] += weight
        labels[trace["extracted_answer"]] = trace["is_correct"]
    return right_share(totals, labels)


def filter_top_confidence(traces, weights, top):
    threshold = np.percentile(weights, (1 - top) * 100)
    kept = [(trace, weight) for trace, weight in zip(traces, weights) if weight >= threshold]
    return [trace for trace, _ in kept], [weight for _, weight in kept]


def votes(traces, weights):
    """What each rule makes of the traces of a question. A trace without a token has the confidence 0, as in the code."""
    weights = [0.0 if weight is None else weight for weight in weights]
    best = [trace["is_correct"] for trace, weight in zip(traces, weights) if weight == max(weights)]
    valid = [(trace, weight) for trace, weight in zip(traces, weights) if trace["extracted_answer"] is not None]
    if not valid:
        return {"best_of_n": float(np.mean(best)), "weighted": 0.0, "top10_filtered": 0.0, "top90_filtered": 0.0}
    voters, own = [trace for trace, _ in valid], [weight for _, weight in valid]
    vote = lambda kept, kept_weights: weighted_majority_vote(kept, kept_weights if any(kept_weights) else [1.0] * len(kept))
    return {
        "best_of_n": float(np.mean(best)),
        "weighted": vote(voters, own),
        "top10_filtered": vote(*filter_top_confidence(voters, own, 0.1)),
        "top90_filtered": vote(*filter_top_confidence(voters, own, 0.9)),
    }


def accuracies(questions, name):
    outcomes = [votes(traces, [trace[name] for trace in traces]) for traces in questions.values()]
    return {rule: float(np.mean([outcome[rule] for outcome in outcomes])) for rule in RULES}


def ranks(questions, name, other):
    """Of the traces that have both."""
    known = [[t for t in traces if t[name] is not None and t[other] is not None] for traces in questions.values()]
    auc = lambda traces: roc_auc_score([t["is_correct"] for t in traces], [t[name] for t in traces])
    both = [traces for traces in known if len({t["is_correct"] for t in traces}) == 2]
    return {
        "pooled": auc([trace for traces in known for trace in traces]),
        "within_question": float(np.mean([auc(traces) for traces in both])),
    }


def minus(values, others):
    return {key: values[key] - others[key] for key in values}


def compare(questions):
    traces = [trace for own in questions.values() for trace in own]
    by_scorer = accuracies(questions, "score")
    study = {"scorer": by_scorer, "measures": {}}
    for measure in MEASURES:
        for t in traces:
            value = t["confidence"] and t["confidence"][measure]
            t["rank"] = value
            t["weight"] = np.exp(value) if measure == "mean_logprob" and value is not None else value
            for part in PARTS:
                seen = t["confidence"] and (t["confidence"] if part == "1" else t["confidence"]["by_fraction"].get(part))
                t[f"rank {part}"] = seen and seen[measure]
                first = t["step_scores"][: ceil(float(part) * len(t["step_scores"]))]
                t[f"score {part}"] = float(np.mean(first)) if first else None
            t["both"] = None
        known = [t for t in traces if t["rank"] is not None and t["score"] is not None]
        places = [(rankdata([t[name] for t in known]) - 0.5) / len(known) for name in ("score", "rank")]
        for t, place, other in zip(known, *places):
            t["both"] = (place + other) / 2
        own, together = accuracies(questions, "weight"), accuracies(questions, "both")
        study["measures"][measure] = {
            "n": own,
            "auc": ranks(questions, "rank", "score"),
            "auc_by_fraction": {part: ranks(questions, f"rank {part}", f"score {part}") for part in PARTS},
            "scorer_minus": {
                "n": minus(by_scorer, own),
                "auc": minus(ranks(questions, "score", "rank"), ranks(questions, "rank", "score")),
                "auc_by_fraction": {
                    part: minus(
                        ranks(questions, f"score {part}", f"rank {part}"), ranks(questions, f"rank {part}", f"score {part}")
                    )
                    for part in PARTS
                },
            },
            "with_scorer": {
                "n": together,
                "auc": ranks(questions, "both", "both"),
                "minus_scorer": {
                    "n": minus(together, by_scorer),
                    "auc": minus(ranks(questions, "both", "both"), ranks(questions, "score", "rank")),
                },
                "minus_confidence": {
                    "n": minus(together, own),
                    "auc": minus(ranks(questions, "both", "both"), ranks(questions, "rank", "score")),
                },
            },
        }
    return study


traces = make_traces()
confidences = [confidence_of(trace) for trace in traces]
lines = ",\n".join(json.dumps(trace) for trace in traces)
expected_confidences = ",\n".join(json.dumps(confidence) for confidence in confidences)
questions = defaultdict(list)
for trace, confidence in zip(traces, confidences):
    trace["confidence"] = confidence
    trace["score"] = float(np.mean(trace["step_scores"])) if trace["step_scores"] else None
    questions[trace["question"]].append(trace)
FIXTURE.write_text(
    f'{{"window": {WINDOW}, "tail": {TAIL},\n"traces": [\n{lines}\n],\n"confidences": [\n{expected_confidences}\n],\n'
    f'"expected": {json.dumps(compare(questions))}}}\n'
)
