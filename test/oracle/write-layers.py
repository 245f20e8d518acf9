"""Single layers with LoRA, DoRA and lora_bias through PEFT: outputs, gradients and merged weights.

    python test/oracle/write-layers.py > test/fixtures/peft-layers/layers.json
"""
import json
import warnings

import peft
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

warnings.simplefilter("ignore")
torch.manual_seed(5)
flat = lambda t: [round(v, 7) for v in t.detach().flatten().tolist()]
shape = lambda t: list(t.shape)


def layer(kind):
    if kind == "Linear":
        return nn.Linear(5, 6), torch.randn(4, 5)
    if kind == "Conv1D":
        return Conv1D(6, 5), torch.randn(4, 5)
    if kind == "Embedding":
        return nn.Embedding(7, 6), torch.tensor([0, 3, 6, 3])
    if kind == "Conv1d":
        return nn.Conv1d(4, 6, 3, stride=2, padding=1), torch.randn(2, 4, 7)
    if kind == "Conv2d":
        return nn.Conv2d(4, 6, (3, 2), padding=1), torch.randn(2, 4, 4, 5)
    if kind == "Conv2d-groups":
        return nn.Conv2d(4, 6, 3, groups=2), torch.randn(2, 4, 4, 5)
    return nn.Conv3d(3, 4, 2), torch.randn(1, 3, 3, 3, 4)


class Net(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.f = inner

    def forward(self, x):
        return self.f(x)


cases = []
for kind in ["Linear", "Conv1D", "Embedding", "Conv1d", "Conv2d", "Conv2d-groups", "Conv3d"]:
    for variant in ["lora", "dora", "bias"]:
        if (kind == "Conv2d-groups" and variant == "dora") or (kind == "Embedding" and variant == "bias"):
            continue
        inner, x = layer(kind)
        base = {k: flat(v) for k, v in inner.state_dict().items()}
        weight_shape = shape(inner.weight)
        options = {"use_dora": variant == "dora", "lora_bias": variant == "bias"}
        model = peft.get_peft_model(Net(inner), peft.LoraConfig(r=2, lora_alpha=3, target_modules=["f"], init_lora_weights=False, **options))
        for p in model.parameters():
            if p.requires_grad:
                p.data += torch.randn_like(p) * 0.1
        y = model(x)
        gy = torch.randn_like(y)
        (y * gy).sum().backward()
        tensors, grads = {}, {}
        for name, p in model.named_parameters():
            if p.requires_grad:
                key = name.replace("magnitude_vector.default.weight", "magnitude_vector").replace(".default", "")
                tensors[key] = {"shape": shape(p), "data": flat(p)}
                grads[key] = flat(p.grad)
        merged = None
        if kind != "Conv2d-groups":
            merged = {k: flat(v) for k, v in model.merge_and_unload().f.state_dict().items()}
        cases.append({"kind": kind, "variant": variant, "x": {"shape": shape(x), "data": flat(x.float())}, "base": base, "weight_shape": weight_shape,
                      "tensors": tensors, "y": {"shape": shape(y), "data": flat(y)}, "gy": flat(gy), "grads": grads, "merged": merged})
print(json.dumps({"made_with": {"torch": torch.__version__, "peft": peft.__version__}, "cases": cases}))
