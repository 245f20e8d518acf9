"""DPO, IPO, hinge, cDPO and ORPO through PEFT: losses, rewards, gradients and ten AdamW steps, for test/train/preferences.test.ts.

    python test/oracle/write-preferences.py > test/fixtures/preferences.json

The formulas are TRL's (DPOTrainer and ORPOTrainer 1.13, label smoothing as in its cDPO), written out; the reference
model is the model with its adapter disabled. The adapter is the trained one of golden/peft/llama.
"""
import json
import pathlib
import warnings

import peft
import torch
import torch.nn.functional as F
import transformers

warnings.simplefilter("ignore")
golden = pathlib.Path(__file__).parent.parent / "fixtures/golden/peft/llama"
torch.manual_seed(8)
IGNORED = -100


def ids(low, high):
    return torch.randint(3, 96, (int(torch.randint(low, high, (1,))),)).tolist()


rows = [{"prompt_ids": ids(2, 7), "chosen_ids": ids(1, 9) + [2], "rejected_ids": ids(1, 9) + [2]} for _ in range(5)]


def batch(rows):
    """Chosen rows, then rejected ones, padded on the right."""
    sides = [(r["prompt_ids"], r[k]) for k in ["chosen_ids", "rejected_ids"] for r in rows]
    width = max(len(p) + len(c) for p, c in sides)
    fill = lambda values, pad: torch.tensor([v + [pad] * (width - len(v)) for v in values])
    return (
        fill([p + c for p, c in sides], 0),
        fill([[1] * len(p + c) for p, c in sides], 0),
        fill([[IGNORED] * len(p) + c for p, c in sides], IGNORED),
    )


def log_probabilities(logits, labels):
    """Of each next label, 0 where there is none; and where there is one."""
    labels = labels[:, 1:]
    mask = labels != IGNORED
    picked = logits[:, :-1].log_softmax(-1).gather(-1, labels.masked_fill(~mask, 0)[..., None])[..., 0]
    return picked * mask, mask


def log1mexp(x):
    return torch.where(x > -0.6931472, torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


def dpo(model, rows, beta, kind="sigmoid", smoothing=0.0):
    inputs, attention, labels = batch(rows)
    policy, mask = log_probabilities(model(input_ids=inputs, attention_mask=attention).logits, labels)
    with torch.no_grad(), model.disable_adapter():
        reference, _ = log_probabilities(model(input_ids=inputs, attention_mask=attention).logits, labels)
    ratios = policy.sum(1) - reference.sum(1)
    chosen, rejected = ratios.chunk(2)
    delta = chosen - rejected
    if kind == "sigmoid":
        losses = -F.logsigmoid(beta * delta) * (1 - smoothing) - F.logsigmoid(-beta * delta) * smoothing
    elif kind == "hinge":
        losses = torch.relu(1 - beta * delta)
    else:
        a, b = (ratios / mask.sum(1)).chunk(2)
        losses = (a - b - 1 / (2 * beta)) ** 2
    return losses.mean(), beta * chosen, beta * rejected


def orpo(model, rows, beta):
    inputs, attention, labels = batch(rows)
    logits = model(input_ids=inputs, attention_mask=attention).logits
    picked, mask = log_probabilities(logits, labels)
    chosen, rejected = (picked.sum(1) / mask.sum(1)).chunk(2)
    log_odds = (chosen - rejected) - (log1mexp(chosen) - log1mexp(rejected))
    whole = inputs.masked_fill(attention == 0, IGNORED)[: len(rows)]
    nll = F.cross_entropy(logits[: len(rows), :-1].flatten(0, 1), whole[:, 1:].flatten())
    return nll - (beta * F.logsigmoid(log_odds)).mean(), beta * chosen, beta * rejected


def load():
    base = transformers.AutoModelForCausalLM.from_pretrained(golden / "model")
    return peft.PeftModel.from_pretrained(base, golden / "adapter-trained", is_trainable=True)


variants = {
    "dpo": (lambda m, r: dpo(m, r, 0.3), {"objective": "dpo", "beta": 0.3}),
    "dpo with label smoothing": (lambda m, r: dpo(m, r, 0.5, smoothing=0.2), {"objective": "dpo", "beta": 0.5, "labelSmoothing": 0.2}),
    "ipo": (lambda m, r: dpo(m, r, 0.4, "ipo"), {"objective": "dpo", "beta": 0.4, "lossType": "ipo"}),
    "hinge": (lambda m, r: dpo(m, r, 0.5, "hinge"), {"objective": "dpo", "beta": 0.5, "lossType": "hinge"}),
    "orpo": (lambda m, r: orpo(m, r, 0.7), {"objective": "orpo", "beta": 0.7}),
}
cases = {}
for name, (objective, options) in variants.items():
    model = load()
    loss, chosen, rejected = objective(model, rows)
    loss.backward()
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    case = {
        "options": options,
        "loss": loss.item(),
        "rewardAccuracy": (chosen > rejected).float().mean().item(),
        "rewardMargin": (chosen - rejected).mean().item(),
        "gradients": {n.replace(".default", ""): [float(f"{v:.7g}") for v in p.grad.flatten().tolist()] for n, p in trained},
    }
    optimizer = torch.optim.AdamW([p for _, p in trained], lr=0.005, weight_decay=0)
    steps = []
    for _ in range(10):
        optimizer.zero_grad()
        loss, chosen, rejected = objective(model, rows)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_([p for _, p in trained], 1.0)
        optimizer.step()
        steps.append({"loss": loss.item(), "gradNorm": norm.item(), "rewardMargin": (chosen - rejected).mean().item()})
    cases[name] = {**case, "steps": steps}
versions = {m.__name__: m.__version__ for m in (torch, transformers, peft)}
print(json.dumps({"made_with": versions, "rows": rows, "cases": cases}))
