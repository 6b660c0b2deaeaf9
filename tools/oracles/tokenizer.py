"""Writes packages/core/src/tokenizer/fixtures: two tiny tokenizers, and what transformers makes of texts with them and
with the demo's model.

    python tools/oracles/tokenizer.py        (transformers, tokenizers)
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "packages/core/src/tokenizer/fixtures"
DEMO = ROOT / "apps/demo/data/model"

TEXTS = [
    "Step 1: 74 - 37 = 37.\n\nStep 2: 37 * 3 = 111.\n",
    "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "\n\n\n\n\n  \n\n\t\n",
    "Hello , world . It 's , isn 't it ?",
    "emoji \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467, h\u00e9llo, \u4f60\u597d, \u0645\u0631\u062d\u0628\u0627, \u221a2 \u2260 1.5",
    "decomposed: e\u0301 a\u030a \u1100\u1161\u11a8 o\u0323\u0302",
    "\ufeffa byte order mark, a NUL \u0000 and a replacement \ufffd character",
    "DON'T we'll I'M 3rd 1234567 x^2+y_1 \\frac{1}{2}",
    "one.\n\n\U0001f600 two\n\n\U0001f680\n\nfin \u00e9 three",
    "ends in spaces   ",
    " ",
]

MESSAGES = [
    {"role": "system", "content": "Think \\boxed{}"},
    {"role": "user", "content": "What is  1 + 1?\n\n'quoted' \u00e9"},
]


def metaspace() -> Tokenizer:
    """Like Llama 2: spaces are U+2581, what has no token is spelled in bytes; no token holds a blank line."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    tokens += ["\u2581", *"abcdefghijklmnopqrstuvwxyzSWI0123456789.,:?-=*'"]
    merges = [("\u2581", "t"), ("e", "p"), ("t", "ep"), ("S", "tep"), ("\u2581", "Step"), ("h", "e"), ("o", "r")]
    vocab = {token: i for i, token in enumerate([*tokens, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def half_characters() -> Tokenizer:
    """Byte-level without pre-tokenization: tokens end inside characters, some of them right after a blank line."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    newline, first, second = "\u010a", "\u00f0", "\u0141"  # bytes 0A, F0, 9F
    smiley = "\u0122"  # byte 80
    merges = [
        (newline, newline),
        (newline * 2, first),
        (newline * 2 + first, second),
        (".", newline * 2),
        (smiley, newline),
        (first, second),
    ]
    vocab = {token: i for i, token in enumerate([*alphabet, *(a + b for a, b in merges)])}
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("fin \u00e9", normalized=False)])
    return tokenizer


CHAT_TEMPLATE = """{{ bos_token }}{% for message in messages %}
    {%- if message['role'] == 'system' %}
<<SYS>> {{ message.content | trim }} <</SYS>>
    {%- else %}
[INST]{{ ' ' + message['content'] + ' ' }}[/INST]{{ eos_token }}
    {%- endif %}
{% endfor %}
{%- if tools is not none %}tools{% endif %}
{%- if add_generation_prompt and enable_thinking is defined and enable_thinking %}<think>{% endif %}
"""


def save(name: str, tokenizer: Tokenizer, config: dict) -> Path:
    folder = FIXTURES / name
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    text = json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **config}, ensure_ascii=False, indent=1)
    (folder / "tokenizer_config.json").write_text(text + "\n")
    return folder


def expected(folder: Path, variables: dict) -> dict:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    encoded = [tokenizer.encode(text, add_special_tokens=False) for text in TEXTS]
    prompt = None
    if tokenizer.chat_template:
        prompt = tokenizer.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True, **variables)
    return {
        "encodings": [
            {"text": text, "ids": ids, "decoded": tokenizer.decode(ids), "pieces": [tokenizer.decode([i]) for i in ids]}
            for text, ids in zip(TEXTS, encoded)
        ],
        "blank_line_ids": [i for i in range(len(tokenizer)) if "\n\n" in tokenizer.decode([i])],
        "newline_ids": [i for i in range(len(tokenizer)) if "\n" in tokenizer.decode([i])],
        "prompt": {"messages": MESSAGES, "variables": variables, "text": prompt},
    }


def main() -> None:
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": CHAT_TEMPLATE}]
    llama = {
        "bos_token": {"__type": "AddedToken", "content": "<s>", "special": True},
        "eos_token": "</s>",
        "clean_up_tokenization_spaces": True,
        "chat_template": named,
    }
    results = {
        "demo": expected(DEMO, {}),
        "metaspace": expected(save("metaspace", metaspace(), llama), {"enable_thinking": True}),
        "half-characters": expected(
            save("half-characters", half_characters(), {"clean_up_tokenization_spaces": True}), {}
        ),
    }
    (FIXTURES / "expected.json").write_text(json.dumps(results, ensure_ascii=True, indent=1) + "\n")


if __name__ == "__main__":
    main()
