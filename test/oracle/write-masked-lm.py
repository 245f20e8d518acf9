"""Writes masked-lm.json: what transformers computes with the masked-LM heads of tiny encoders, for given hidden tokens.

Run with Python that has torch and transformers: python test/oracle/write-masked-lm.py
Weights are a formula of the tensor's name, as in write-encoders.py and test/models/cases.ts.
"""
import json, math, pathlib
import torch, transformers
from transformers import AutoConfig, AutoModelForMaskedLM

fixtures = pathlib.Path(__file__).parent.parent / "fixtures"
digits = lambda t: [float(f"{x:.7g}") for x in t.flatten().tolist()]

def weight(name, shape):
    n = math.prod(shape)
    hash = sum((i + 1) * ord(c) for i, c in enumerate(name)) % 1009
    norm = len(shape) == 1 and name.endswith("weight")
    values = [(1.0 if norm else 0.0) + (0.2 if len(shape) == 1 else 0.4) * math.sin(hash + 1.7 * i + 0.013 * i * i) for i in range(n)]
    return torch.tensor(values, dtype=torch.float32).reshape(shape)

text = dict(vocab_size=24, hidden_size=12, intermediate_size=20, num_hidden_layers=1, num_attention_heads=3, max_position_embeddings=16)
v3 = dict(text, model_type="deberta-v2", relative_attention=True, position_buckets=8, max_relative_positions=-1, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False, type_vocab_size=0, layer_norm_eps=1e-7)

# name: (class, config)
cases = {
    "bert": ("BertForMaskedLM", dict(text, model_type="bert", hidden_act="gelu_new")),
    "bert-untied": ("BertForMaskedLM", dict(text, model_type="bert", tie_word_embeddings=False)),
    "roberta": ("RobertaForMaskedLM", dict(text, model_type="roberta", type_vocab_size=1, max_position_embeddings=18, hidden_act="relu", layer_norm_eps=1e-5)),
    "xlm-roberta": ("XLMRobertaForMaskedLM", dict(text, model_type="xlm-roberta", type_vocab_size=1, max_position_embeddings=18)),
    "camembert": ("CamembertForMaskedLM", dict(text, model_type="camembert", type_vocab_size=1, max_position_embeddings=18)),
    "distilbert": ("DistilBertForMaskedLM", dict(model_type="distilbert", vocab_size=24, dim=12, hidden_dim=20, n_layers=1, n_heads=3, max_position_embeddings=16, activation="relu")),
    "deberta": ("DebertaV2ForMaskedLM", v3),
    "deberta-narrow": ("DebertaV2ForMaskedLM", dict(v3, embedding_size=8)),
    "deberta-original-head": ("DebertaV2ForMaskedLM", dict(v3, legacy=False)),
}

# Two rows, the second of which is shorter; hidden are the third and the fifth token of the first, the second of the other.
lengths, width = [8, 5], 8
def batch(pad):
    ids = [[5 + (5 * i + 3 * i * i + 7 * row) % 19 if i < lengths[row] else pad for i in range(width)] for row in range(2)]
    labels = [[-100] * width for _ in range(2)]
    for row, places in ((0, [2, 4]), (1, [1])):
        for i in places:
            labels[row][i] = ids[row][i]
    ids[0][2], ids[1][1], ids[0][4] = 4, 4, 11  # two become the mask token, one another
    return ids, [[int(i < lengths[row]) for i in range(width)] for row in range(2)], labels

result = {}
for name, (cls, keys) in cases.items():
    config = AutoConfig.for_model(**json.loads(json.dumps(keys)))
    config._attn_implementation = "eager"
    model = getattr(transformers, cls)(config).eval()
    # A tensor that is shared goes by the name that checkpoints have it under, whichever is declared first.
    tied = model._tied_weights_keys if config.tie_word_embeddings else {}
    named = {n: p for n, p in model.named_parameters(remove_duplicate=False) if n not in tied}
    with torch.no_grad():
        for n, p in named.items():
            p.requires_grad_(True).copy_(weight(n, list(p.shape)))
    ids, mask, labels = batch(config.pad_token_id)
    out = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask), labels=torch.tensor(labels))
    out.loss.backward()
    parameters = {n: p for n, p in named.items() if p.grad is not None}
    layers = [n for n, m in model.named_modules() if type(m).__name__ in ("Linear", "Embedding") and not n.endswith("rel_embeddings")]
    result[name] = {"config": {**keys, "architectures": [cls]}, "weights": list(parameters), "modules": layers,
        "input_ids": ids, "attention_mask": mask, "labels": labels, "loss": out.loss.item(),
        "logits": digits(torch.stack([out.logits[r, i] for r, i in ((0, 2), (0, 4), (1, 1))])),
        "gradients": {n: digits(p.grad) for n, p in parameters.items() if "word_embeddings" in n or n.startswith(("cls.", "lm_head.", "vocab_", "lm_predictions.")) or n.endswith(("query.weight", "q_lin.weight", "query_proj.weight"))}}

made_with = {"torch": torch.__version__, "transformers": transformers.__version__}
lines = ",\n".join(f"{json.dumps(n)}: {json.dumps(c)}" for n, c in result.items())
(fixtures / "masked-lm.json").write_text(f'{{"made_with": {json.dumps(made_with)},\n"cases": {{\n{lines}\n}}}}\n')
