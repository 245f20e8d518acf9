"""Writes analysis.json: what NumPy finds in low-rank changes whose matrices are a formula of their names.

Run with Python that has numpy: python test/oracle/write-analysis.py
Every ΔW is built whole here and decomposed; src/analyze never builds it. Matrices are those of test/models/cases.ts.
"""
import json, math, pathlib
import numpy as np

fixtures = pathlib.Path(__file__).parent.parent / "fixtures"
digits = lambda x: [digits(v) for v in x] if isinstance(x, (list, np.ndarray)) else float(f"{x:.10g}")

def formula(name, shape):
    n = math.prod(shape)
    hash = sum((i + 1) * ord(c) for i, c in enumerate(name)) % 1009
    base = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
    size = 0.2 if len(shape) == 1 else 0.4
    values = [base + size * math.sin(hash + 1.7 * i + 0.013 * i * i) for i in range(n)]
    return np.array(values, dtype=np.float32).astype(np.float64).reshape(shape)

# module: (shape of the stored weight, whether it is stored inputs first, name of A, name of B, shape of A without the rank, outputs)
P = "base_model.model."
linear = lambda name, out, inn: (name, [out, inn], False, f"{P}{name}.lora_A.weight", f"{P}{name}.lora_B.weight", [inn], out)
turned = lambda name, inn, out: (name, [inn, out], True, f"{P}{name}.lora_A.weight", f"{P}{name}.lora_B.weight", [inn], out)
table = lambda name, rows, out: (name, [rows, out], True, f"{P}{name}.lora_embedding_A", f"{P}{name}.lora_embedding_B", [rows], out)
conv = lambda name, out, inn, k: (name, [out, inn, *k], False, f"{P}{name}.lora_A.weight", f"{P}{name}.lora_B.weight", [inn, *k], out)
modules = [
    linear("model.layers.0.self_attn.q_proj", 8, 8),
    linear("model.layers.1.mlp.up_proj", 12, 8),
    turned("transformer.h.0.attn.c_attn", 8, 24),
    table("transformer.wte", 17, 8),
    conv("vit.embeddings.patch_embeddings.projection", 12, 3, [4, 4]),
]
# by the last part of the name: rank and scale in the first adapter, and in the second
ranks = {"q_proj": (2, 1.5, 4), "up_proj": (3, 0.5, 3), "c_attn": (3, 2.0, 5), "wte": (2, 0.25, 3), "projection": (4, 1.0, 2)}

def similarity(U, V, numbers):
    return [[np.sum((U[:, : i + 1].T @ V[:, : j + 1]) ** 2) / min(i + 1, j + 1) for j in range(numbers[1])] for i in range(numbers[0])]

cases = {}
for name, shape, stored_inputs_first, a, b, inputs, out in modules:
    r, scale, other = ranks[name.split(".")[-1]]
    W = formula(f"{name}.weight", shape).reshape(shape[0], -1)
    W = W.T if stored_inputs_first else W
    A, B = formula(a, [r, *inputs]).reshape(r, -1), formula(b, [out, r])
    # The second adapter's are those of a longer name.
    A2, B2 = formula(a + ".second", [other, *inputs]).reshape(other, -1), formula(b + ".second", [out, other])
    change = scale * (B @ A)
    U, S, Vt = np.linalg.svd(change)
    p = S[:r] / S[:r].sum()
    inside = np.linalg.norm(U[:, :r].T @ W @ Vt[:r].T)
    right = lambda m: np.linalg.svd(m)[2].T
    left = lambda m: np.linalg.svd(m)[0]
    cases[name] = {
        "r": [r, other], "scale": scale, "singularValues": digits(S[:r]), "effectiveRank": digits(math.exp(-(p * np.log(p)).sum())),
        "stableRank": digits((S**2).sum() / S[0] ** 2), "frobenius": digits(np.linalg.norm(change)), "spectral": digits(np.linalg.norm(change, 2)),
        "amplification": {"base": digits(np.linalg.norm(W)), "inChange": digits(inside),
            "inBase": digits(np.sqrt((np.linalg.svd(W)[1][:r] ** 2).sum())), "factor": digits(np.linalg.norm(change) / inside)},
        "A": digits(similarity(right(A), right(A2), (r, other))), "B": digits(similarity(left(B), left(B2), (r, other))),
    }
(fixtures / "analysis.json").write_text("{\n" + ",\n".join(f"{json.dumps(n)}: {json.dumps(c)}" for n, c in cases.items()) + "\n}\n")
