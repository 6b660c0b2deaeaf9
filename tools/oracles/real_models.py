"""Writes packages/preprocess/src/fixtures/real-models.json: digests of what real chat templates render with transformers,
and of what real tokenizers make of awkward text with the Rust library.

    pnpm install && python tools/oracles/real_models.py        (transformers, tokenizers)
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
PREPROCESS = ROOT / "packages/preprocess"
FIXTURES = PREPROCESS / "src/fixtures"
DEMO = ROOT / "apps/demo/data/model"
PACKAGES = PREPROCESS / "node_modules/@lenml"

#: Templates that are not ours to copy are read from where the package manager put them.
INSTALLED = {
    "installed-deepseek-v3": "tokenizer-deepseek_v3",
    "installed-llama-3.1": "tokenizer-llama3_1",
    "installed-qwen3": "tokenizer-qwen3",
}
FAMILIES = {"deepseek-v3": "tokenizer-deepseek_v3", "llama-3.1": "tokenizer-llama3_1", "qwen3": "tokenizer-qwen3"}

SYSTEM = {"role": "system", "content": "Please reason step by step, and put your final answer within \\boxed{}"}
USER = {"role": "user", "content": "What is  $\\sqrt{2}$ · “2”?\n\n<b>é</b> 'quoted' {{ braces }}\n"}
TOKENS = {"bos_token": "<BOS>", "eos_token": "<EOS>", "pad_token": "<PAD>"}

CHATS = [
    {"messages": [SYSTEM, USER], "variables": {}},
    {"messages": [USER], "variables": {}},
    {"messages": [SYSTEM, USER], "variables": {"enable_thinking": True}},
    {"messages": [SYSTEM, USER], "variables": {"enable_thinking": False}},
]

TEXTS = [
    "Step 1: 74 - 37 = 37.\n\nStep 2: 37 * 3 = 111.\n\n\nSo.\n\n\n\n\n  \n\n\t\n\n",
    "emoji \U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3fd \u2764\ufe0f\n\n\U0001f1e9\U0001f1ea",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\n\n\u3053\u3093\u306b\u3061\u306f \uc548\ub155 \u0645\u0631\u062d\u0628\u0627 \u0939\u093f\u0928\u094d\u0926\u0940",
    "combining e\u0301 a\u030a o\u0323\u0302 \u1100\u1161\u11a8 n\u0303\n\ncomposed \u00e9 \u00e5 \u1ed9 \uac01 \u00f1 \u212b \ufb01",
    "numbers 1234567 0.1 3.14159 1e-9 \u00bd \u2167 \u0661\u0662\u0663 x\u00b2 10,000,000",
    "runs" + " " * 30 + "of" + "\t" * 9 + "space" + "\n" * 17 + "\r\n\r\n \n \n\u00a0\u2003\u200b",
    "don't DON'T we'LL I\u2019m 'tis  's","\ufeffBOM \u0000 NUL \ufffd \u2028\u2029 \u0085",
    "\\begin{pmatrix} 1 & 0 \\\\ 0 & 1 \\end{pmatrix}\n\n$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$\n\n\\boxed{\\frac{1}{3}}",
    "<think>\n\n</think>\n\n<|im_start|><|im_end|><|eot_id|><\uff5cUser\uff5c><\uff5cAssistant\uff5c><|endoftext|>",
    "def f(x):\n    return x**2\n\n\n# ok\nHello , world . It 's , isn 't it ?  \n\n",
    "a" * 300 + "\n\n" + "\u5b57" * 50 + "\n\n" + "=" * 100,
]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def rendered(template: str) -> list[str | None]:
    """Digest of each chat's prompt, with the demo's tokenizer and the template; None where the template refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(DEMO / name, folder)
        config = json.loads((DEMO / "tokenizer_config.json").read_text()) | TOKENS
        (Path(folder) / "tokenizer_config.json").write_text(json.dumps(config))
        (Path(folder) / "chat_template.jinja").write_text(template, "utf-8")
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return [prompt_digest(tokenizer, chat) for chat in CHATS]


def prompt_digest(tokenizer, chat: dict) -> str | None:
    try:
        text = tokenizer.apply_chat_template(
            chat["messages"], tokenize=False, add_generation_prompt=True, **chat["variables"]
        )
    except Exception:
        return None
    return digest(text)


def split(text: str, tokenizer: Tokenizer) -> dict:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    decode = lambda run: tokenizer.decode(run, skip_special_tokens=False)
    positions = [i for i, token in enumerate(ids) if "\n\n" in decode([token])]
    starts = [0, *(position + 1 for position in positions)]
    segments = [decode(ids[start:end]) for start, end in zip(starts, [*starts[1:], len(ids)]) if start < end]
    return {"ids": digest(json.dumps(ids)), "positions": positions, "segments": digest("\0".join(segments))}


def family(package: str) -> dict:
    tokenizer = Tokenizer.from_file(str(PACKAGES / package / "models/tokenizer.json"))
    size = tokenizer.get_vocab_size(with_added_tokens=True)
    blank = [i for i in range(size) if "\n\n" in tokenizer.decode([i], skip_special_tokens=False)]
    return {
        "package": f"@lenml/{package}",
        "blank_line_ids": {"count": len(blank), "digest": digest(json.dumps(blank))},
        "texts": [split(text, tokenizer) for text in TEXTS],
    }


def main() -> None:
    templates = {path.stem: path.read_text("utf-8") for path in sorted((FIXTURES / "chat-templates").glob("*.jinja"))}
    for name, package in INSTALLED.items():
        config = json.loads((PACKAGES / package / "models/tokenizer_config.json").read_text("utf-8"))
        templates[name] = config["chat_template"]
    result = {
        "tokens": TOKENS,
        "chats": CHATS,
        "prompts": {name: rendered(template) for name, template in templates.items()},
        "installed": {name: f"@lenml/{package}" for name, package in INSTALLED.items()},
        "texts": TEXTS,
        "families": {name: family(package) for name, package in FAMILIES.items()},
    }
    (FIXTURES / "real-models.json").write_text(json.dumps(result, ensure_ascii=True, indent=1) + "\n")


if __name__ == "__main__":
    main()
