"""scikit-learn's logistic regression on the rows and the fold of a scorer: losses_sklearn.py SHARDS CHECKPOINT OUTPUT

Reads which traces validate from the checkpoint's split.json, trains on the reasoning steps of all others (last layer,
standardised, balanced classes), and writes step scores of the validation traces as JSON lines.
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

shards, checkpoint, output = map(Path, sys.argv[1:])
held_out = {part["shard"]: set(part["trace_index"]) for part in json.loads((checkpoint / "split.json").read_text())["validation"]}

rows, labels, validation = [], [], []
for path in sorted(shards.glob("*.safetensors")):
    shard = load_file(path)
    layer = max((name for name in shard if name.startswith("hidden_states.")), key=lambda name: int(name.split(".")[1]))
    texts, offsets = shard["question"].tobytes(), shard["question_offsets"]
    for i, index in enumerate(shard["trace_index"]):
        steps = slice(shard["step_offsets"][i], shard["step_offsets"][i + 1])
        states = shard[layer][steps][shard["step_regions"][steps] == 1].astype(np.float64)
        if index in held_out.get(path.name, ()):
            question = texts[offsets[i] : offsets[i + 1]].decode()
            validation.append((question, bool(shard["is_correct"][i]), states))
        else:
            rows.append(states)
            labels.append(np.full(len(states), shard["is_correct"][i]))

model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=2000))
model.fit(np.concatenate(rows), np.concatenate(labels))
with output.open("w") as file:
    for question, is_correct, states in validation:
        scores = model.predict_proba(states)[:, 1].tolist() if len(states) else []
        file.write(json.dumps({"question": question, "is_correct": is_correct, "step_scores": scores}) + "\n")
