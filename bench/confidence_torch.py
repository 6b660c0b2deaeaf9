"""What bench/confidence.mjs compares with: transformers in float32 with sdpa, torch.log_softmax and topk.

python bench/confidence_torch.py model FOLDER              writes a random Qwen3 of 4 layers with 151,936 tokens, bf16
python bench/confidence_torch.py run FOLDER T states|whole|chunks
One JSON line: a second pass over T tokens, and the peak memory. `states`: without logits. `whole`: logits of all tokens
in one piece. `chunks`: of 128 tokens at a time.
"""

import json
import resource
import sys
import time

import torch
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

TOKENS_A_STEP = 28
TOP_K = 20

command, folder = sys.argv[1:3]
if command == "model":
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(
        vocab_size=151936, hidden_size=512, intermediate_size=1536, num_hidden_layers=4, num_attention_heads=8,
        num_key_value_heads=4, head_dim=64, max_position_embeddings=40960, tie_word_embeddings=True))
    model.to(torch.bfloat16).save_pretrained(folder)
else:
    tokens, what = int(sys.argv[3]), sys.argv[4]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    ids = torch.tensor([[(i * 7919 + 13) % model.config.vocab_size for i in range(tokens)]])
    size = {"states": 0, "whole": tokens, "chunks": 128}[what]

    def confidence(states, following):
        logprobs = torch.log_softmax(model.lm_head(states), dim=-1)
        return logprobs.gather(1, following[:, None])[:, 0], -logprobs.topk(TOP_K, dim=-1).values.mean(dim=-1)

    for _ in range(2):
        start, cpu = time.perf_counter(), time.process_time()
        with torch.inference_mode():
            states = model.model(ids, use_cache=False).last_hidden_state[0]
            kept = states[TOKENS_A_STEP - 1 :: TOKENS_A_STEP].half().numpy()
            if size:
                parts = zip(states[:-1].split(size), ids[0, 1:].split(size))
                logprobs, confidences = map(torch.cat, zip(*(confidence(*part) for part in parts)))
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": round(seconds, 2), "cpu_seconds": round(cpu_seconds, 2), "peak_mib": round(peak)}))
