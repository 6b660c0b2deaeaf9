"""Writes packages/preprocess/src/fixtures: a small file of odd traces, and what the rules of the original make of it
with transformers and the demo's tokenizer.

    python tools/oracles/preprocess.py        (transformers)
"""

import json
import unicodedata
from pathlib import Path

from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "packages/preprocess/src/fixtures"
DEMO = ROOT / "apps/demo/data"
SYSTEM = "Please reason step by step, and put your final answer within \\boxed{}"


def trace(**changes) -> str:
    plain = {
        "question": "Start with 2. (1) Add 3. What is the result?",
        "response": "<think>\nStep 1: 2 + 3 = 5.\n\nSo the answer is 5.\n</think>\n\nThe answer is \\boxed{5}.",
        "ground_truth": "5",
        "extracted_answer": "5",
    }
    row = {**plain, **changes}
    return json.dumps({name: value for name, value in row.items() if value is not ...}, ensure_ascii=False)


def odd_lines() -> list[str]:
    demo = (DEMO / "traces.jsonl").read_text("utf-8").splitlines()
    return [
        *demo[:3],
        "",
        trace(extracted_answer=None),
        trace(extracted_answer=..., response="no think either"),
        trace(response="Step 1: 2 + 3 = 5.\n\nThe answer is \\boxed{5}."),
        trace(question="Start with 2.\n\n(1) Add 3.\n\n\nWhat is the result?"),
        trace(response="<think>\nDe\u0301compose\u0301: e\u0301.\n\nSo 5.\n</think>5", extracted_answer="5."),
        trace(response="<think>\nStep 1: 2 + 3 = 5.\n\nStep 2: 5 + "),
        trace(response="<think>\n\U0001f600\U0001f469\u200d\U0001f467 \u4f60\u597d\n\n\u221a4 \u2260 \U0001f680\n</think>\n\n5"),
        trace(ground_truth=5, extracted_answer=5.0),
        trace(ground_truth=12345678901234567891, extracted_answer=12345678901234567890),
        '{"question": "not closed',
        trace(ground_truth=...),
        trace(response="<think>nothing to split</think>"),
        trace(response="<think>\nStep 1: 5.\n\n</think>\n\n5"),
        trace(response="<think>\nStep 1: 5.\n\nWait.\n</think>\n\n5 </think> 5"),
        '["a", "list"]',
        trace(response=5),
        trace(response="<think>\n<|im_end|>\n\n<think>\n\n\n\nso\n\n \n\n5</think>"),
        trace(response="<think>\nhalf a pair \ud83d\n</think>").replace("\ud83d", "\\ud83d"),
        trace(response="</think><think>after</think>5", extracted_answer="6"),
        trace(response="<think>\ttab \u0007 bell \u2028 \"quoted\" \\n\r\n\r\nnext\n\n</think>"),
    ]


def preprocess(line: str, tokenizer) -> dict | str:
    """The step record of a line, or the code for which it is refused."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        return "NOT_JSON"
    if not isinstance(row, dict):
        return "NOT_AN_OBJECT"
    try:
        json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return "LONE_SURROGATE"
    if any(name not in row for name in ("question", "response", "ground_truth")):
        return "MISSING_FIELD"
    if not isinstance(row["response"], str):
        return "INVALID_FIELD"

    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": row["question"]}]
    prompt = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    if row.get("extracted_answer") is None:
        return "NO_ANSWER"
    truth, answer = str(row["ground_truth"]), str(row["extracted_answer"])
    if "<think>" not in row["response"]:
        return "NO_THINK"

    forward = row["response"].split("</think>")[0]
    segments, positions = split(prompt + forward, tokenizer)
    if "".join(segments) not in (prompt + forward, unicodedata.normalize("NFC", prompt + forward)):
        return "SEGMENTS_MISMATCH"
    return {
        "prompt": prompt,
        "question": row["question"],
        "ground_truth": truth,
        "extracted_answer": answer,
        "full_text": row["response"],
        "is_correct": equal(answer, truth),
        "forward_text": forward,
        "segmented_text_list": segments,
        "extracted_position": positions,
    }


def split(text: str, tokenizer) -> tuple[list[str], list[int]]:
    ids = tokenizer.encode(text, add_special_tokens=False)
    segments, positions, start = [], [], 0
    for i, token in enumerate(ids):
        if "\n\n" in tokenizer.decode([token]):
            segments.append(tokenizer.decode(ids[start : i + 1]))
            positions.append(i)
            start = i + 1
    if start < len(ids):
        segments.append(tokenizer.decode(ids[start:]))
    return segments, positions


def equal(a: str, b: str) -> bool:
    """All answers of this file are plain numbers."""
    return int(a) == int(b) if a.isdigit() and b.isdigit() else float(a) == float(b)


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(DEMO / "model")
    lines = odd_lines()
    outcomes = [(number, preprocess(line, tokenizer)) for number, line in enumerate(lines, start=1) if line]
    records = [outcome for _, outcome in outcomes if isinstance(outcome, dict)]
    rejects = [{"line": number, "code": outcome} for number, outcome in outcomes if isinstance(outcome, str)]

    FIXTURES.mkdir(parents=True, exist_ok=True)
    write(FIXTURES / "odd.jsonl", lines)
    write(FIXTURES / "odd.records.jsonl", [json.dumps(record, ensure_ascii=False) for record in records])
    write(FIXTURES / "odd.rejects.jsonl", [json.dumps(reject) for reject in rejects])


def write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8", newline="\n")


if __name__ == "__main__":
    main()
