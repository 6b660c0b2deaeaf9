"""Hidden states as other programs write them, of the tiny reasoner, for the tests of packages/hidden-states/src/import.

Usage: python tools/oracles/exchange.py [MODEL STEPS OUT] [--dtype bfloat16]    (transformers, torch, safetensors)
Without arguments of the demo's model and run/fixtures/steps.jsonl, into packages/hidden-states/src/import/fixtures:

step/steps_hiddenstates_0_<n>.pt
    a list of traces as the original's data_hidden_state.py writes it: the last hidden state after the final norm at
    `extracted_position`, float16, with the token ids, texts and label.
vllm/<request>.safetensors
    one file a request as vLLM's ExampleHiddenStatesConnector writes it for eagle_aux_hidden_state_layer_ids = [2, L]:
    `token_ids` I64 [T], `hidden_states` [T, 2, D] in the model's type. Id k is the residual stream after layer k, and L,
    the number of layers, the stream *before* the final norm.
    https://docs.vllm.ai/en/latest/features/speculative_decoding/extract_hidden_states/
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "packages/hidden-states/src"
# vLLM's files hold every token, so few of them are committed.
COMMITTED_REQUESTS = 2

parser = argparse.ArgumentParser()
parser.add_argument("paths", nargs="*", type=Path, metavar="MODEL STEPS OUT")
parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"])
arguments = parser.parse_args()
dtype = getattr(torch, arguments.dtype)
defaults = [ROOT / "apps/demo/data/model", PACKAGE / "run/fixtures/steps.jsonl", PACKAGE / "import/fixtures"]
MODEL, STEPS, OUT = arguments.paths or defaults

tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=dtype).eval()
before_norm = {}
model.model.norm.register_forward_hook(lambda module, inputs, output: before_norm.update(states=inputs[0]))

(OUT / "step").mkdir(parents=True, exist_ok=True)
(OUT / "vllm").mkdir(exist_ok=True)
results = []
with STEPS.open(encoding="utf-8") as lines:
    records = [json.loads(line) for line in lines]
for i, record in enumerate(records):
    text = record["prompt"] + record["forward_text"]
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        out = model.model(input_ids=ids, use_cache=False, output_hidden_states=True)
    last = out.last_hidden_state.squeeze(0)
    results.append({
        "select_hidden_states": last[record["extracted_position"], :].to(torch.float16).cpu().contiguous(),
        "full_input_ids": ids.squeeze(0).cpu(),
        "full_forward_text": text,
        "original_response": record["full_text"],
        "question": record["question"],
        "is_correct": record["is_correct"],
    })
    if arguments.paths or i < COMMITTED_REQUESTS:
        layers = torch.stack([out.hidden_states[2][0], before_norm["states"][0]], dim=1)
        # The demo's are rounded to float16 to be small; vLLM writes the type that it computes in.
        kept = layers if arguments.paths else layers.to(torch.float16)
        name = f"cmpl-{i * 7919 % 100003:05d}f-0.safetensors"
        save_file({"hidden_states": kept.contiguous(), "token_ids": ids.squeeze(0)}, OUT / "vllm" / name)
torch.save(results, OUT / "step" / f"steps_hiddenstates_0_{len(records)}.pt", _use_new_zipfile_serialization=True)
