"""What bench/hidden-states.mjs compares with: transformers in float32 with sdpa.

python bench/hidden_states_torch.py model FOLDER [V]     writes a random Qwen3 of 100 M parameters, bf16, V tokens (32000)
python bench/hidden_states_torch.py run FOLDER T         one JSON line: a second pass over T tokens, and the peak memory
python bench/hidden_states_torch.py text FOLDER STEPS    every step record, as the original does; the rows as float16
"""

import json
import resource
import sys
import tempfile
import time

import torch
from transformers import AutoModel, AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

TOKENS_A_STEP = 28

command, folder = sys.argv[1:3]
if command == "model":
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(Qwen3Config(
        vocab_size=int(sys.argv[3]) if len(sys.argv) > 3 else 32000, hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12,
        num_key_value_heads=4, head_dim=64, max_position_embeddings=40960, tie_word_embeddings=True))
    model.to(torch.bfloat16).save_pretrained(folder)
elif command == "text":
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    kept, tokens = [], 0
    for line in open(sys.argv[3], encoding="utf-8"):
        record = json.loads(line)
        text = record["prompt"] + record["forward_text"]
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.inference_mode():
            states = model(ids, use_cache=False).last_hidden_state
        kept.append({"rows": states[0, record["extracted_position"]].half(), "ids": ids[0], "text": text})
        tokens += ids.shape[1]
    with tempfile.TemporaryFile() as file:
        torch.save(kept, file)
    print(json.dumps({"tokens": tokens, "steps": sum(len(trace["rows"]) for trace in kept)}))
else:
    tokens = int(sys.argv[3])
    model = AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    ids = torch.tensor([[(i * 7919 + 13) % model.config.vocab_size for i in range(tokens)]])
    for _ in range(2):
        start = time.perf_counter()
        with torch.inference_mode():
            model(ids, use_cache=False).last_hidden_state[0, TOKENS_A_STEP - 1 :: TOKENS_A_STEP].half().numpy()
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"tokens_per_second": round(tokens / seconds), "peak_mib": round(peak)}))
