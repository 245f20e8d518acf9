"""More cases of loralib's formulas, in torch: shapes and options that the shared golden cases lack."""
import json, torch, torch.nn.functional as F
from pathlib import Path
from safetensors.torch import save_file
out = Path(__file__).resolve().parent.parent / 'fixtures/golden/nn'
def save(name, cfg, **t):
    d = out / name; d.mkdir(parents=True, exist_ok=True)
    (d/'case.json').write_text(json.dumps(cfg, indent=1)+'\n')
    save_file({k.replace('__','.'): v.detach().contiguous().clone() for k,v in t.items()}, str(d/'tensors.safetensors'))
def conv(name, rank, cin, cout, kernel, lengths, r, alpha, seed, form='loralib', **kw):
    torch.manual_seed(seed)
    f = [F.conv1d, F.conv2d, F.conv3d][rank-1]
    g = kw.get('groups', 1); k = kernel[-1]; K = 1
    for n in kernel[:-1]: K *= n
    W = torch.randn(cout, cin//g, *kernel)*.2; b = torch.randn(cout)
    x = torch.randn(2, cin, *lengths, requires_grad=True)
    if form == 'loralib':
        A = torch.randn(r*k, cin*k)*.3; B = torch.randn(cout//g*K, r*k)*.3
    else:
        A = torch.randn(r, cin, *kernel)*.3; B = torch.randn(cout, r//g, *[1]*rank)*.3
    A.requires_grad_(); B.requires_grad_(); b.requires_grad_()
    s = alpha/r
    extra = {}
    if form == 'loralib':
        y = f(x, W + (B@A).view(W.shape)*s, b, **kw); extra['merged__weight'] = W + (B@A).view(W.shape)*s
    else:
        kw2 = {a: v for a, v in kw.items() if a != 'groups'}
        y = f(x, W, b, **kw) + s*f(f(x, A, **kw2), B, groups=g)
        if g == 1: extra['merged__weight'] = W + s*torch.einsum('or,ri...->oi...', B.flatten(1), A)
    gy = torch.randn_like(y); (y*gy).sum().backward()
    save(name, dict(layer=f'Conv{rank}d', inChannels=cin, outChannels=cout, kernel=kernel, r=r, alpha=alpha, formulation=form, bias_mode='lora_only', **kw),
         x=x, y=y, gy=gy, gx=x.grad, param__weight=W, param__bias=b, param__lora_A=A, param__lora_B=B, grad__lora_A=A.grad, grad__lora_B=B.grad, grad__bias=b.grad, y_eval=y, **extra)
conv('conv2d-groups-dilation', 2, 6, 8, [3,3], [9,8], 2, 3, 1, groups=2, dilation=2, padding=1)
conv('conv2d-oblong', 2, 4, 6, [1,5], [7,9], 3, 5, 2, stride=[2,1], padding=[0,2])
conv('conv1d-stride', 1, 4, 6, [3], [11], 2, 4, 3, stride=2, padding=1)
conv('conv1d-groups', 1, 4, 6, [4], [11], 3, 4, 4, groups=2, dilation=2)
conv('conv3d', 3, 2, 4, [3,3,3], [5,6,4], 2, 2, 5, padding=1, stride=2)
conv('conv3d-oblong-groups', 3, 4, 4, [2,1,3], [4,3,5], 1, 2, 6, groups=2)
conv('conv2d-peft', 2, 6, 8, [3,3], [8,8], 4, 8, 7, form='peft', stride=2, padding=1)
conv('conv2d-peft-groups', 2, 6, 8, [3,3], [8,8], 4, 8, 8, form='peft', groups=2, padding=1)
conv('conv3d-peft', 3, 2, 4, [1,1,3], [4,4,5], 2, 3, 9, form='peft')
def merged(name, cin, cout, enable, fan, r, alpha, seed):
    torch.manual_seed(seed)
    g = sum(enable); n = len(enable)
    W = torch.randn(cout, cin)*.2; b = torch.randn(cout, requires_grad=True); x = torch.randn(2, 3, cin, requires_grad=True)
    A = torch.randn(r*g, cin, requires_grad=True); B = torch.randn(cout//n*g, r, requires_grad=True)
    d = F.conv1d(A.unsqueeze(0), B.unsqueeze(-1), groups=g).squeeze(0)
    ind = torch.zeros(n, cout//n, dtype=torch.bool); ind[enable] = True
    full = torch.zeros(cout, cin).masked_scatter(ind.view(-1,1).expand(-1,cin), d)
    s = alpha/r; y = F.linear(x, W, b) + x @ full.T * s
    gy = torch.randn_like(y); (y*gy).sum().backward()
    m = W + s*full; t = (lambda w: w.T) if fan else (lambda w: w)
    save(name, dict(layer='MergedLinear', r=r, alpha=alpha, enable_lora=enable, fan_in_fan_out=fan, bias_mode='lora_only'),
         x=x, y=y, gy=gy, gx=x.grad, param__weight=t(W), param__bias=b, param__lora_A=A, param__lora_B=B, grad__lora_A=A.grad, grad__lora_B=B.grad, grad__bias=b.grad, y_eval=y, merged__weight=t(m))
merged('merged-linear-fan-bias', 5, 24, [True,False,False,True], True, 3, 7, 10)
merged('merged-linear-one', 7, 12, [False,True], False, 1, 2, 11)
# batch normalisation: training mode, statistics and gradients; pools
torch.manual_seed(12)
bn = torch.nn.BatchNorm2d(4); bn.weight.data.normal_(); bn.bias.data.normal_(); x = torch.randn(3,4,5,6, requires_grad=True)
w, b = bn.weight.clone(), bn.bias.clone(); y = bn(x); gy = torch.randn_like(y); (y*gy).sum().backward(); bn.eval()
save('batchnorm', dict(layer='BatchNorm2d'), x=x, y=y, gy=gy, gx=x.grad, param__weight=w, param__bias=b, grad__weight=bn.weight.grad, grad__bias=bn.bias.grad, y_eval=bn(x), running_mean=bn.running_mean, running_var=bn.running_var)
