"""PyTorch + PEFT in a process of its own, for comparison; speaks the protocol of protocol.ts.

Needs torch, transformers and peft. The same rows (tokenised already), the same batches, the same first A and B, the same
clipping and AdamW, the same number of threads. Nothing is done that a careful user would not do.
"""

import json
import resource
import sys
import time

# This file's own folder, where "import peft" would find this file.
sys.path.pop(0)

import peft
import torch
import transformers

IGNORED = -100


def peak_bytes():
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def read_batches(path, size):
    """Rows in file order, padded on the right to the longest of their batch."""
    with open(path) as file:
        rows = [json.loads(line) for line in file]
    for start in range(0, len(rows), size):
        group = rows[start : start + size]
        width = max(len(row["input_ids"]) for row in group)
        pad = lambda values, fill: values + [fill] * (width - len(values))
        labels = [row["labels"] for row in group]
        batch = {
            "input_ids": torch.tensor([pad(row["input_ids"], 0) for row in group]),
            # A number is the class of a row.
            "labels": torch.tensor([pad(each, IGNORED) if isinstance(each, list) else each for each in labels]),
        }
        tokens = sum(len(row["input_ids"]) for row in group)
        if tokens < width * len(group):
            # Where nothing is padded no mask is given: attention then takes its fastest way.
            batch["attention_mask"] = torch.tensor([[1] * len(r["input_ids"]) + [0] * (width - len(r["input_ids"])) for r in group])
        yield batch, tokens


class Run:
    def __init__(self, case, threads, engine, device):
        torch.set_num_threads(threads)
        torch.set_float32_matmul_precision("high" if engine.endswith("tf32") else "highest")
        self.device = device
        torch.manual_seed(0)
        self.case = case
        self.bf16 = engine.endswith("bf16")
        dtype = torch.bfloat16 if self.bf16 else torch.float32
        self.dtype = dtype
        self.model = self.load()
        self.model.train()
        self.compiled = engine.startswith("compile")
        self.forward = torch.compile(self.model) if self.compiled else self.model
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=case["learningRate"], weight_decay=0.0)
        self.batches = self.read_batches("tokens")

    def read_batches(self, rows):
        for batch, tokens in read_batches(self.case[rows], self.case["batchSize"]):
            yield {name: tensor.to(self.device) for name, tensor in batch.items()}, tokens

    def autocast(self):
        return torch.autocast(self.device, torch.bfloat16, enabled=self.bf16)

    def load(self):
        classifies = self.case.get("task") == "sequence-classification"
        options = {} if classifies else {"use_cache": False}
        kind = transformers.AutoModelForSequenceClassification if classifies else transformers.AutoModelForCausalLM
        base = kind.from_pretrained(self.case["model"], dtype=self.dtype, **options).to(self.device)
        return peft.PeftModel.from_pretrained(base, self.case["adapter"], is_trainable=True)

    @torch.no_grad()
    def forward_seconds(self, merged, count):
        model = (self.load().merge_and_unload() if merged else self.model).eval()
        forward = torch.compile(model) if self.compiled else model
        batch, _ = next(self.read_batches("tokens"))
        seconds = []
        for i in range(-1, count):
            started = time.perf_counter()
            with self.autocast():
                forward(**batch).loss.item()
            if i >= 0:
                seconds.append(time.perf_counter() - started)
        self.model.train()
        return seconds

    def step(self):
        started, cpu = time.perf_counter(), time.process_time()
        batch, tokens = next(self.batches)
        # PEFT keeps A and B in float32 beside a bfloat16 base; autocast is how its users combine them.
        with self.autocast():
            loss = self.forward(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        value = loss.item()
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        return {"seconds": seconds, "cpuSeconds": cpu_seconds, "loss": value, "tokens": tokens}

    @torch.no_grad()
    def generate(self, prompt, tokens, count):
        self.model.eval()
        ids = torch.tensor([prompt], device=self.device)
        options = {"max_new_tokens": tokens, "min_new_tokens": tokens, "do_sample": False, "use_cache": True}
        rates = []
        for i in range(-1, count):
            started = time.perf_counter()
            with self.autocast():
                self.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), pad_token_id=0, **options).tolist()
            if i >= 0:
                rates.append(tokens / (time.perf_counter() - started))
        self.model.train()
        return rates

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        total, count = 0.0, 0
        for batch, _ in self.read_batches("evalTokens"):
            labelled = int((batch["labels"][:, 1:] != IGNORED).sum())
            total += self.model(**batch).loss.item() * labelled
            count += labelled
        self.model.train()
        return total / count


def main():
    # What libraries print must not mix with the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    run = None
    for line in sys.stdin:
        request = json.loads(line)
        if request["ask"] == "quit":
            break
        answer = {}
        if request["ask"] == "prepare":
            device = "cpu" if request.get("device", "cpu") == "cpu" else "cuda"
            run = Run(request["case"], request["threads"], request["engine"], device)
            answer["versions"] = f"PyTorch {torch.__version__}, PEFT {peft.__version__}, transformers {transformers.__version__}"
        elif request["ask"] == "steps":
            answer["steps"] = [run.step() for _ in range(request["count"])]
        elif request["ask"] == "forward":
            answer["seconds"] = run.forward_seconds(request["merged"], request["count"])
        elif request["ask"] == "generate":
            answer["rates"] = run.generate(request["prompt"], request["tokens"], request["count"])
        elif request["ask"] == "evaluate":
            answer["loss"] = run.evaluate()
        answer["peakBytes"] = peak_bytes()
        print(json.dumps(answer), file=answers, flush=True)


main()
