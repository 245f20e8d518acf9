"""Writes test/fixtures/onnx/recurrent: exported networks with LSTM, GRU and RNN, what PyTorch and PEFT make of them.

usage: python test/oracle/write-recurrent.py [folder [case…]]

Each case holds model.onnx, tensors.safetensors (input.*, labels, logits, param.* and grad.* by PEFT's names without
base_model.model., those of the recurrent layers' own weights among them) and case.json (loss, r, alpha,
targets, the losses of 20 steps of AdamW, and constants of inputs that decide a branch).
"""
import json
import os
import sys

import onnx
import peft
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn

OUT = sys.argv[1] if len(sys.argv) > 1 else 'test/fixtures/onnx/recurrent'
STEPS, RATE = 20, 1e-2


class CnnLstm(nn.Module):
    """A convolution, two layers of LSTM, the last step."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 6, 3, padding=1)
        self.lstm = nn.LSTM(6, 5, num_layers=2, batch_first=True)
        self.fc = nn.Linear(5, 3)

    def forward(self, x):
        y, _ = self.lstm(torch.relu(self.conv(x)).transpose(1, 2))
        return self.fc(y[:, -1])


class BiLstmTagger(nn.Module):
    """An embedding, an LSTM in both directions, a class for each token."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 6)
        self.proj = nn.Linear(6, 6)
        self.lstm = nn.LSTM(6, 4, batch_first=True, bidirectional=True)
        self.classifier = nn.Linear(8, 3)

    def forward(self, input_ids):
        y, _ = self.lstm(self.proj(self.embed(input_ids)))
        return self.classifier(y)


class GruClassifier(nn.Module):
    """The last state of a GRU in both directions."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(3, 5)
        self.gru = nn.GRU(5, 4, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(8, 3)

    def forward(self, x):
        _, h = self.gru(self.proj(x))
        return self.fc(torch.cat([h[0], h[1]], dim=-1))


class ElmanClassifier(nn.Module):
    """A plain recurrence, without bias."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(3, 5)
        self.rnn = nn.RNN(5, 4, batch_first=True, bias=False)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        y, _ = self.rnn(self.proj(x))
        return self.fc(y.mean(1))


class Detector(nn.Module):
    """One branch of a voice activity detector: a Fourier transform as a convolution, an encoder, an LSTM with states."""

    def __init__(self, filters):
        super().__init__()
        self.stft = nn.Conv1d(1, 2 * filters, 8, stride=4, bias=False)
        self.encoder = nn.Conv1d(filters, 6, 3, padding=1)
        self.lstm = nn.LSTM(6, 5)
        self.decoder = nn.Conv1d(5, 2, 1)
        self.filters = filters

    def forward(self, x, state):
        spectrum = self.stft(x.unsqueeze(1))
        real, imaginary = spectrum[:, : self.filters], spectrum[:, self.filters :]
        features = torch.relu(self.encoder(torch.sqrt(real**2 + imaginary**2 + 1e-6)))
        y, (h, c) = self.lstm(features.permute(2, 0, 1), (state[0:1], state[1:2]))
        scores = self.decoder(torch.relu(y).permute(1, 2, 0)).mean(2)
        return scores, torch.cat([h, c], 0)


class Vad(nn.Module):
    """Two detectors, chosen by the sampling rate."""

    def __init__(self):
        super().__init__()
        self.wide = Detector(4)
        self.narrow = Detector(3)

    def forward(self, x, state, sr):
        if sr == 16000:
            return self.wide(x, state)
        return self.narrow(x, state)


class DynamoVad(Vad):
    def forward(self, x, state, sr):
        if torch.compiler.is_compiling():
            return torch.cond(sr == 16000, self.wide, self.narrow, (x, state))
        return self.wide(x, state)


def layer_gradients(model):
    """Gradients of the recurrent layers' own weights."""
    recurrent = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.RNNBase)]
    return {f'grad.{n.replace("base_model.model.", "")}.{k}': p.grad.clone() for n, m in recurrent for k, p in m.named_parameters(recurse=False)}


def export(model, inputs, path, dynamic, outputs, exporter, scripted):
    names = list(inputs)
    args = tuple(inputs.values())
    if exporter == 'torchscript':
        traced = torch.jit.script(model) if scripted else model
        torch.onnx.export(traced, args, path, input_names=names, output_names=outputs, dynamic_axes={k: dict(v) for k, v in dynamic.items()}, opset_version=17, dynamo=False)
        return
    dims = {}
    shapes = {n: {a: dims.setdefault(d, torch.export.Dim(d, min=2, max=512)) for a, d in dynamic.get(n, {}).items()} for n in names}
    torch.onnx.export(model, args, path, input_names=names, output_names=outputs, dynamic_shapes=tuple(shapes.values()), dynamo=True, external_data=False)


def without_traces(path):
    """Drops the notes that name files of the machine."""
    model = onnx.load(path)

    def strip(graph):
        for node in graph.node:
            kept = [p for p in node.metadata_props if 'trace' not in p.key]
            del node.metadata_props[:]
            node.metadata_props.extend(kept)
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    strip(attribute.g)

    strip(model.graph)
    onnx.save(model, path)


def case(name, build, inputs, labels, targets, dynamic, saved=None, exporters=('torchscript', 'dynamo'), outputs=('logits',), constants=None, scripted=False, builders=None):
    for exporter in exporters:
        if ONLY and f'{name}-{exporter}' not in ONLY:
            continue
        torch.manual_seed(7)
        model = (builders or {}).get(exporter, build)()
        # Larger recurrences, so that what goes through many steps is more than rounding.
        with torch.no_grad():
            for key, p in model.named_parameters():
                p.mul_(1.5 if 'weight_' in key else 1)
        folder = f'{OUT}/{name}-{exporter}'
        os.makedirs(folder, exist_ok=True)
        model.eval()
        try:
            export(model, inputs, f'{folder}/model.onnx', dynamic, list(outputs), exporter, scripted)
        except Exception as error:  # noqa: BLE001
            print(f'{name}-{exporter}: {type(error).__name__}: {str(error)[:300]}')
            os.rmdir(folder)
            continue
        without_traces(f'{folder}/model.onnx')
        wrapped = get_peft_model(model, LoraConfig(r=2, lora_alpha=4, target_modules=targets, lora_dropout=0, modules_to_save=saved))
        with torch.no_grad():
            for key, p in wrapped.named_parameters():
                if 'lora_' in key:
                    p.copy_(torch.randn_like(p) * 0.3)
        trained = {k: p for k, p in wrapped.named_parameters() if p.requires_grad}
        for p in wrapped.parameters():
            p.requires_grad_(True)
        def loss_of():
            out = wrapped(*inputs.values())
            logits = out[0] if isinstance(out, tuple) else out
            return logits, nn.functional.cross_entropy(logits.reshape(-1, logits.shape[-1]), labels.reshape(-1))
        logits, loss = loss_of()
        loss.backward()
        strip = lambda k: k.replace('base_model.model.', '').replace('.modules_to_save.default', '')
        fed = {k: v for k, v in inputs.items() if k not in (constants or {})}
        tensors = {f'input.{k}': v for k, v in fed.items()} | {'labels': labels, 'logits': logits.detach()}
        tensors |= {f'param.{strip(k)}': p.detach().clone() for k, p in trained.items()}
        tensors |= {f'grad.{strip(k)}': p.grad.clone() for k, p in trained.items() if p.grad is not None}
        tensors |= layer_gradients(wrapped) if constants is None and saved is None else {}
        save_file({k: v.contiguous() for k, v in tensors.items()}, f'{folder}/tensors.safetensors')
        used = {k: p for k, p in trained.items() if p.grad is not None}
        optimizer = torch.optim.AdamW(used.values(), lr=RATE, weight_decay=0.0)
        losses = []
        for _ in range(STEPS):
            optimizer.zero_grad()
            _, step = loss_of()
            step.backward()
            optimizer.step()
            losses.append(step.item())
        made = {'torch': torch.__version__, 'peft': peft.__version__}
        told = {'case': f'recurrent/{name}-{exporter}', 'loss': loss.item(), 'r': 2, 'alpha': 4, 'targets': targets, 'saved': saved, 'rate': RATE, 'losses': losses, 'constants': constants or {}, 'made_with': made}
        with open(f'{folder}/case.json', 'w') as file:
            json.dump(told, file, indent=1)
        print('wrote', folder)


ONLY = sys.argv[2:]
torch.manual_seed(3)
x = torch.randn(3, 7, 3)
case('cnn-lstm', CnnLstm, {'x': torch.randn(4, 4, 9)}, torch.tensor([0, 2, 1, 1]), ['conv', 'fc'], {'x': {0: 'batch', 2: 'width'}})
case('bilstm-tagger', BiLstmTagger, {'input_ids': torch.randint(0, 11, (3, 6))}, torch.randint(0, 3, (3, 6)), ['embed', 'proj', 'classifier'], {'input_ids': {0: 'batch', 1: 'sequence'}}, exporters=('torchscript',))
case('gru-classifier', GruClassifier, {'x': x}, torch.tensor([2, 0, 1]), ['proj', 'fc'], {'x': {0: 'batch', 1: 'steps'}})
case('rnn-classifier', ElmanClassifier, {'x': x}, torch.tensor([2, 0, 1]), ['proj', 'fc'], {'x': {0: 'batch', 1: 'steps'}})
case(
    'vad', Vad, {'x': torch.randn(3, 32), 'state': torch.zeros(2, 3, 5), 'sr': torch.tensor(16000)}, torch.tensor([1, 0, 1]),
    ['wide.encoder', 'wide.decoder'], {'x': {0: 'batch', 1: 'samples'}, 'state': {1: 'batch'}},
    outputs=('output', 'stateN'), constants={'sr': 16000, 'state': 0}, scripted=True, builders={'dynamo': DynamoVad},
)
case('saved-lstm', BiLstmTagger, {'input_ids': torch.randint(0, 11, (3, 6))}, torch.randint(0, 3, (3, 6)), ['proj'], {'input_ids': {0: 'batch', 1: 'sequence'}}, saved=['lstm', 'classifier'], exporters=('torchscript',))
case('saved-gru', GruClassifier, {'x': x}, torch.tensor([2, 0, 1]), ['proj'], {'x': {0: 'batch', 1: 'steps'}}, saved=['gru'])
