"""The same run with PyTorch and PEFT, from the LoRA matrices that ours.ts wrote. Usage: with-peft.py START.safetensors"""
import json, sys, time, numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

class Block(nn.Module):
    def __init__(s, i, o):
        super().__init__()
        s.i, s.o = i, o
        s.conv1 = nn.Conv2d(i, o, 3, 1 if i == o else 2, 1, bias=False); s.bn1 = nn.BatchNorm2d(o)
        s.conv2 = nn.Conv2d(o, o, 3, 1, 1, bias=False); s.bn2 = nn.BatchNorm2d(o)
    def forward(s, x):
        h = s.bn2(s.conv2(F.relu(s.bn1(s.conv1(x)))))
        e = (s.o - s.i) // 2
        return F.relu(h + (x if s.i == s.o else F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, e, e))))

class ResNet20(nn.Module):
    def __init__(s):
        super().__init__()
        s.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False); s.bn1 = nn.BatchNorm2d(16)
        stage = lambda i, o: nn.Sequential(*[Block(i if n == 0 else o, o) for n in range(3)])
        s.layer1, s.layer2, s.layer3 = stage(16, 16), stage(16, 32), stage(32, 64)
        s.linear = nn.Linear(64, 10)
    def forward(s, x):
        return s.linear(s.layer3(s.layer2(s.layer1(F.relu(s.bn1(s.conv1(x)))))).mean((2, 3)))

def images(part):
    a = np.fromfile(f'../shared/data/cifar10-jpeg/cifar10_jpeg_{part}_1000.bin', np.uint8).reshape(-1, 3073)
    x = torch.tensor(a[:, 1:].reshape(-1, 3, 32, 32)).float() / 255
    m, d = (torch.tensor(v).view(3, 1, 1) for v in ([.485, .456, .406], [.229, .224, .225]))
    return (x - m) / d, torch.tensor(a[:, 0]).long()

base = ResNet20()
saved = torch.load('../shared/models/resnet-cifar10/resnet20-12fca82f.th', weights_only=True, map_location='cpu')['state_dict']
print(base.load_state_dict({k[len('module.'):]: v for k, v in saved.items()}))
model = get_peft_model(base, LoraConfig(r=4, lora_alpha=8, lora_dropout=0, target_modules=r'.*conv\d')).eval()
named = dict(model.named_parameters())
start = load_file(sys.argv[1])
for key, value in start.items():
    path, which = key.rsplit('.', 1)
    named[f'base_model.model.{path}.{which}.default.weight'].data.copy_(value)
assert len(start) == sum(p.requires_grad for p in named.values())
(x, y), (tx, ty) = images('train'), images('test')
accuracy = lambda: (model(tx).argmax(1) == ty).float().mean().item()
with torch.no_grad(): before = accuracy()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3, weight_decay=0)
losses, t = [], time.time()
for epoch in range(5):
    for i in range(0, 1000, 50):
        loss = F.cross_entropy(model(x[i:i + 50]), y[i:i + 50])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    losses.append(loss.item())
with torch.no_grad(): print(json.dumps(dict(before=before, after=accuracy(), lastLosses=losses, seconds=time.time() - t)))
