"""Losses and gradients of PyTorch and transformers, for src/losses/losses.test.ts: python write-losses.py > ../fixtures/losses.json"""
import json
import sys

import torch
import transformers
from transformers.loss.loss_utils import ForQuestionAnsweringLoss, ForTokenClassification

F = torch.nn.functional
torch.manual_seed(3)
cases = {}


def case(name, x, loss, labels, extra=None):
    x.requires_grad_(True)
    value = loss(x)
    value.backward()
    cases[name] = {
        "shape": list(x.shape),
        "x": x.detach().flatten().tolist(),
        "mean": value.item(),
        "gradient": x.grad.flatten().tolist(),
        "labels": {k: {"shape": list(v.shape), "values": v.flatten().tolist(), "integer": not v.is_floating_point()} for k, v in labels.items()},
        **(extra or {}),
    }


y = torch.tensor([2, 0, 1, -100, 2])
case("cross-entropy", torch.randn(5, 3) * 3, lambda x: F.cross_entropy(x, y), {"labels": y}, {"count": 4})

t = torch.tensor([[1, -100, 3, 0], [-100, -100, 2, 2], [0, 1, 2, -100]])
case("token-classification", torch.randn(3, 4, 5), lambda x: ForTokenClassification(x, t, type("c", (), {"num_labels": 5})()), {"labels": t}, {"count": 8})

m = torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.25, 1.0]])
case("binary-cross-entropy", torch.randn(3, 4) * 4, lambda x: F.binary_cross_entropy_with_logits(x, m), {"labels": m}, {"count": 3})
big = torch.tensor([[100.0, -100.0], [-90.0, 90.0]])
bl = torch.tensor([[1.0, 1.0], [0.0, 0.0]])
case("binary-cross-entropy of large logits", big, lambda x: F.binary_cross_entropy_with_logits(x, bl), {"labels": bl}, {"count": 2})

r = torch.randn(4, 1)
case("regression", torch.randn(4, 1), lambda x: F.mse_loss(x.squeeze(), r.squeeze()), {"labels": r}, {"count": 4})
r3 = torch.randn(4, 3)
case("regression of three numbers", torch.randn(4, 3), lambda x: F.mse_loss(x, r3), {"labels": r3}, {"count": 4})

# Both ends of the last row lie behind it: transformers does not count them.
s, e = torch.tensor([0, 3, -2, 9]), torch.tensor([2, 3, 5, 6])
case(
    "question-answering",
    torch.randn(4, 6, 2),
    lambda x: ForQuestionAnsweringLoss(x[..., 0], x[..., 1], s.clone(), e.clone()),
    {"start_positions": s, "end_positions": e, "row_lengths": torch.full((4,), 6)},
    {"count": 3},
)

mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 0, 0]])
score = torch.tensor([0.8, -0.2, 0.5])


def embed(h, pooling):
    if pooling == "cls":
        p = h[:, 0]
    else:
        k = mask.unsqueeze(-1).float()
        p = (h * k).sum(1) / k.sum(1).clamp(min=1e-9)
    return p[0::2], p[1::2]


def cosine(h, pooling):
    a, b = embed(h, pooling)
    return F.mse_loss(torch.cosine_similarity(a, b), score)


def contrastive(h, pooling):
    a, b = embed(h, pooling)
    scores = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T * 20
    return F.cross_entropy(scores, torch.arange(3))


for pooling in ["mean", "cls"]:
    case(f"cosine {pooling}", torch.randn(6, 5, 4), lambda h: cosine(h, pooling), {"attention_mask": mask, "score": score}, {"count": 3, "pooling": pooling})
    case(f"contrastive {pooling}", torch.randn(6, 5, 4), lambda h: contrastive(h, pooling), {"attention_mask": mask}, {"count": 3, "pooling": pooling})

d = torch.tensor([1, 2, -100, 0])
WEIGHT = 1.7


def r_drop(x):
    """As DebertaV2ForSequenceClassification of microsoft/LoRA has it; the rows of a pair stand one behind the other."""
    first, second = x[0::2][d >= 0], x[1::2][d >= 0]
    middle = F.softmax((first + second) / 2, dim=-1)
    divergence = sum(F.kl_div(F.log_softmax(z, dim=-1), middle, reduction="mean") for z in (first, second))
    return sum(F.cross_entropy(z, d[d >= 0]) for z in (first, second)) + 0.5 * WEIGHT * divergence


case("r-drop", torch.randn(8, 3) * 2, r_drop, {"labels": d.repeat_interleave(2)}, {"count": 3, "weight": WEIGHT})

json.dump({"made_with": {"torch": torch.__version__, "transformers": transformers.__version__}, "cases": cases}, sys.stdout)
