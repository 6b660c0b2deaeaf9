"""Log-probabilities of one generated response in the forms in which engines give them, for packages/hidden-states.

Usage: python tools/oracles/logprobs.py      (after hidden_states.py; transformers, torch)
Writes packages/hidden-states/src/logprobs/fixtures/forms.json: the second record of run/fixtures/steps.jsonl, and of all
tokens of its response what each engine would return with 3 alternatives, by torch.log_softmax of transformers' logits:
`chat` and `chat_token_ids`  choices[0].logprobs of OpenAI's chat completions, and by vLLM with return_tokens_as_token_ids
`completions`                choices[0].logprobs of OpenAI's completions
`vllm`                       CompletionOutput.logprobs of vLLM, whose dictionaries hold the drawn token too, as JSON
`means`                      what a script that keeps the means alone would write
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "apps/demo/data/model"
STEPS = ROOT / "packages/hidden-states/src/run/fixtures/steps.jsonl"
OUT = ROOT / "packages/hidden-states/src/logprobs/fixtures/forms.json"
TOP_K = 3

tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
record = json.loads(STEPS.read_text().splitlines()[1])
prompt = tokenizer(record["prompt"], add_special_tokens=False)["input_ids"]
ids = tokenizer(record["prompt"] + record["full_text"], add_special_tokens=False)["input_ids"]
assert ids[: len(prompt)] == prompt
with torch.inference_mode():
    logprobs = torch.log_softmax(model(torch.tensor([ids])).logits[0].float(), dim=-1)[len(prompt) - 1 : -1]
drawn = ids[len(prompt) :]
best = logprobs.topk(TOP_K, dim=-1).indices.tolist()


def at(place, token):
    return round(logprobs[place, token].item(), 6)


def text(token):
    return tokenizer.decode([token])


def chat(name):
    def entry(place, token):
        return {"token": name(token), "logprob": at(place, token), "bytes": list(text(token).encode())}
    return {"content": [{**entry(i, token), "top_logprobs": [entry(i, other) for other in best[i]]}
                        for i, token in enumerate(drawn)]}


forms = {
    "chat": chat(text),
    "chat_token_ids": chat(lambda token: f"token_id:{token}"),
    "completions": {
        "text_offset": [len(tokenizer.decode(drawn[:i])) for i in range(len(drawn))],
        "token_logprobs": [at(i, token) for i, token in enumerate(drawn)],
        "tokens": [text(token) for token in drawn],
        "top_logprobs": [{text(other): at(i, other) for other in {token: 0, **dict.fromkeys(best[i])}}
                         for i, token in enumerate(drawn)],
    },
    "vllm": [{str(other): {"logprob": at(i, other), "rank": int((logprobs[i] > logprobs[i, other]).sum()) + 1,
                           "decoded_token": text(other)} for other in {token: 0, **dict.fromkeys(best[i])}}
             for i, token in enumerate(drawn)],
    "means": {
        "top_k": TOP_K,
        "token_ids": drawn,
        "token_logprobs": [at(i, token) for i, token in enumerate(drawn)],
        "token_confidences": [round(-logprobs[i, best[i]].mean().item(), 6) for i in range(len(drawn))],
    },
}
OUT.parent.mkdir(exist_ok=True)
OUT.write_text(json.dumps({"record": record, "forms": forms}, ensure_ascii=False) + "\n")
