"""The steps of the original pre-processing with transformers, for bench/preprocess.mjs: chat template, one tokenization a
trace, a decode of every token to find the step ends, a decode of every segment, and a sympy-based comparison of the answers.

    python bench/preprocess_original.py raw.jsonl out.jsonl model_dir        (transformers, sympy, latex2sympy2_extended)

Prints one JSON object: traces, tokens, peak_mb.
"""

import json
import re
import resource
import sys

import sympy
from transformers import AutoTokenizer

try:
    from latex2sympy2_extended import latex2sympy as parse_latex
except ImportError:
    from sympy.parsing.sympy_parser import parse_expr as parse_latex

SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}"


def to_number(text: str) -> float | None:
    text = text.replace(",", "").strip()
    try:
        return float(text.rstrip("%").rstrip("\\")) / (100 if text.endswith("%") else 1)
    except ValueError:
        return None


def is_close(a: float, b: float) -> bool:
    return abs(a - b) <= 1e-4 * max(abs(a), abs(b))


def math_equal(answer: str, truth: str) -> bool:
    """String, then numbers within 1e-4 and up to a factor of 100, then sympy: the shape of the original's rules."""
    if answer.strip().lower() == truth.strip().lower():
        return True
    a, b = to_number(answer), to_number(truth)
    if a is not None and b is not None:
        return any(is_close(a, item) for item in (b / 100, b, b * 100))
    strip = lambda text: re.sub(r"[{}()]", "", text).lower()
    if strip(answer) == strip(truth):
        return True
    try:
        left, right = parse_latex(answer), parse_latex(truth)
        return bool(left == right or sympy.simplify(left - right) == 0)
    except Exception:
        return False


def split(text: str, tokenizer) -> tuple[list[str], list[int], int]:
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    segments, positions, start = [], [], 0
    for i, token in enumerate(ids):
        if "\n\n" in tokenizer.decode([token]):
            segments.append(tokenizer.decode(ids[start : i + 1]))
            positions.append(i)
            start = i + 1
    if start < len(ids):
        segments.append(tokenizer.decode(ids[start:]))
    return segments, positions, len(ids)


def main(source: str, target: str, model: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(model)
    traces = tokens = 0
    with open(source, encoding="utf-8") as lines, open(target, "w", encoding="utf-8") as out:
        for line in lines:
            traces += 1
            row = json.loads(line)
            messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row["question"]}]
            prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            if row["extracted_answer"] is None:
                continue
            is_correct = math_equal(str(row["extracted_answer"]), str(row["ground_truth"]))
            if "<think>" not in row["response"]:
                continue
            forward = row["response"].split("</think>")[0]
            segments, positions, count = split(prompt + forward, tokenizer)
            tokens += count
            if "".join(segments) != prompt + forward:
                continue
            record = {
                "prompt": prompt,
                "question": row["question"],
                "ground_truth": row["ground_truth"],
                "extracted_answer": row["extracted_answer"],
                "full_text": row["response"],
                "is_correct": is_correct,
                "forward_text": forward,
                "segmented_text_list": segments,
                "extracted_position": positions,
            }
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"traces": traces, "tokens": tokens, "peak_mb": round(peak_mb)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
