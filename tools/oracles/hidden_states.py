"""Step records and hidden states of a few demo traces by transformers, for the tests of packages/hidden-states.

Usage: python tools/oracles/hidden_states.py      (transformers, torch, safetensors, numpy)
Writes packages/hidden-states/src/run/fixtures/steps.jsonl and hidden_states.safetensors: for every layer k a tensor
`hidden_states.k` F32 [steps of all traces, D], numbered as in transformers' hidden_states.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoModel, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "apps/demo/data/model"
TRACES = ROOT / "apps/demo/data/traces.jsonl"
OUT = ROOT / "packages/hidden-states/src/run/fixtures"
TRACES_KEPT = 5
SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}"

tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModel.from_pretrained(MODEL, dtype=torch.float32).eval()


def step_record(row):
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row["question"]}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    forward_text = row["response"].split("</think>")[0]
    ids = tokenizer(prompt + forward_text, add_special_tokens=False)["input_ids"]
    positions = [i for i, token in enumerate(ids) if "\n\n" in tokenizer.decode([token])]
    cuts = [0] + [p + 1 for p in positions] + [len(ids)]
    segments = [tokenizer.decode(ids[a:b]) for a, b in zip(cuts, cuts[1:]) if a < b]
    record = {
        "prompt": prompt, "question": row["question"], "ground_truth": row["ground_truth"],
        "extracted_answer": row["extracted_answer"], "full_text": row["response"],
        "is_correct": row["extracted_answer"] == row["ground_truth"], "forward_text": forward_text,
        "segmented_text_list": segments, "extracted_position": positions,
    }
    return record, ids, positions


rows = [json.loads(line) for line in TRACES.open()]
answered = [r for r in rows if r["extracted_answer"] is not None]
# A question with a blank line in it has step ends inside the prompt.
chosen = [next(r for r in answered if "\n\n" in r["question"])]
chosen += answered[: TRACES_KEPT - len(chosen)]

OUT.mkdir(parents=True, exist_ok=True)
layers = {}
with (OUT / "steps.jsonl").open("w") as out:
    for row in chosen:
        record, ids, positions = step_record(row)
        out.write(json.dumps(record, ensure_ascii=False) + "\n")
        with torch.inference_mode():
            states = model(torch.tensor([ids]), output_hidden_states=True, use_cache=False).hidden_states
        for k, state in enumerate(states):
            layers.setdefault(f"hidden_states.{k}", []).append(state[0, positions].numpy())
save_file({name: np.concatenate(parts).astype(np.float32) for name, parts in layers.items()}, OUT / "hidden_states.safetensors")
