"""KTO by TRL's own KTOTrainer through PEFT: losses, rewards, KL, gradients and AdamW steps, for test/train/kto.test.ts.

    python test/oracle/write-kto.py > test/fixtures/kto.json

Batches are TRL's collator's, the mismatched completions those of its data set mapping: shifted by one within a batch. The
adapter is the trained one of golden/peft/llama, the reference the model without it. Dropout is off, as is TRL's default.
"""
import json
import pathlib
import types
import warnings
from collections import defaultdict

import accelerate
import peft
import torch
import transformers
import trl
from trl.trainer.kto_trainer import DataCollatorForUnpairedPreference, KTOTrainer

warnings.simplefilter("ignore")
golden = pathlib.Path(__file__).parent.parent / "fixtures/golden/peft/llama"
torch.manual_seed(32)
accelerator = accelerate.Accelerator(cpu=True)
collate = DataCollatorForUnpairedPreference(pad_token_id=0)


def ids(low, high):
    return torch.randint(3, 96, (int(torch.randint(low, high, (1,))),)).tolist()


labels = [True, False, False, True, True, False, True]
rows = [{"prompt_ids": ids(2, 7), "completion_ids": ids(1, 9) + [2], "label": label} for label in labels]


def shifted(batch):
    """What `add_kl_completion_ids` of KTOTrainer._prepare_dataset makes of a batch."""
    completions = [row["completion_ids"] for row in batch]
    return [{**row, "KL_completion_ids": c} for row, c in zip(batch, completions[-1:] + completions[:-1])]


def load():
    base = transformers.AutoModelForCausalLM.from_pretrained(golden / "model")
    return peft.PeftModel.from_pretrained(base, golden / "adapter-trained", is_trainable=True)


def trainer_of(model, kind, beta, desirable=1.0, undesirable=1.0):
    """A trainer with what its loss reads, and nothing else."""
    trainer = KTOTrainer.__new__(KTOTrainer)
    trainer.model, trainer.ref_model, trainer.accelerator = model, None, accelerator
    trainer.args = types.SimpleNamespace(gradient_checkpointing_kwargs=None)
    trainer.loss_type, trainer.calculate_KL, trainer.beta = kind, kind == "kto", beta
    trainer.desirable_weight, trainer.undesirable_weight = desirable, undesirable
    trainer.precompute_ref_logps, trainer.aux_loss_enabled, trainer.use_liger_kernel = False, False, False
    trainer._metrics, trainer._total_train_tokens, trainer._tp_size = defaultdict(lambda: defaultdict(list)), 0, 1
    return trainer


names = {"rewardChosen": "rewards/chosen", "rewardRejected": "rewards/rejected", "rewardMargin": "rewards/margins", "kl": "kl"}


def compute(trainer, batch):
    """The loss of a batch, and what TRL reports of it."""
    trainer._metrics.clear()
    loss = trainer._compute_loss(trainer.model, collate(shifted(batch) if trainer.calculate_KL else batch), False)
    told = trainer._metrics["train" if trainer.model.training else "eval"]
    return loss, {ours: told[theirs][-1] for ours, theirs in names.items() if theirs in told}


desirable = [row for row in rows if row["label"]]
undesirable = [row for row in rows if not row["label"]]
variants = {
    "kto": (rows, ("kto", 0.3), {"beta": 0.3}),
    "kto with a KL that is clamped at 0": (rows[::-1], ("kto", 0.1), {}),
    "kto with weights": (rows, ("kto", 0.5, 1.4, 0.7), {"beta": 0.5, "desirableWeight": 1.4, "undesirableWeight": 0.7}),
    "kto of desirable rows alone": (desirable, ("kto", 0.3), {"beta": 0.3}),
    "kto of undesirable rows alone": (undesirable, ("kto", 0.3), {"beta": 0.3}),
    "apo_zero_unpaired": (rows, ("apo_zero_unpaired", 0.4, 1.2), {"lossType": "apo_zero_unpaired", "beta": 0.4, "desirableWeight": 1.2}),
}
cases = {}
for name, (batch, settings, options) in variants.items():
    trainer = trainer_of(load().train(), *settings)
    loss, told = compute(trainer, batch)
    loss.backward()
    trained = [(n, p) for n, p in trainer.model.named_parameters() if p.requires_grad]
    cases[name] = {
        "options": {"objective": "kto", **options},
        "rows": [rows.index(row) for row in batch],
        "loss": loss.item(),
        **told,
        "gradients": {n.replace(".default", ""): [float(f"{v:.7g}") for v in p.grad.flatten().tolist()] for n, p in trained},
    }

# Two micro-batches of three rows each make an update: their losses are divided by two, as Trainer does.
trainer = trainer_of(load().train(), "kto", 0.3)
trained = [p for p in trainer.model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=0.005, weight_decay=0)
steps = []
for _ in range(6):
    optimizer.zero_grad()
    parts = [compute(trainer, rows[:3]), compute(trainer, rows[3:6])]
    for loss, _told in parts:
        (loss / 2).backward()
    norm = torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    steps.append({"loss": sum(loss.item() for loss, _told in parts) / 2, "gradNorm": norm.item(), "kl": sum(told["kl"] for _loss, told in parts) / 2})

# Evaluation in batches of three, the last of a single row; with a whole batch the KL is another.
trainer = trainer_of(load().eval(), "kto", 0.3)
evaluations = {}
with torch.no_grad():
    for size in [3, 7]:
        parts = [(rows[i : i + size], *compute(trainer, rows[i : i + size])) for i in range(0, len(rows), size)]
        evaluations[size] = {
            "loss": sum(loss.item() * len(batch) for batch, loss, _told in parts) / len(rows),
            "kl": sum(told["kl"] * len(batch) for batch, _loss, told in parts) / len(rows),
        }
versions = {m.__name__: m.__version__ for m in (torch, transformers, peft, trl)}
print(json.dumps({"made_with": versions, "rows": rows, "cases": cases, "steps": steps, "evaluations": evaluations}))
