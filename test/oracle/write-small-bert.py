"""The base of docs/guide-classification.md's figures: python write-small-bert.py TRAIN.csv OUT [STEPS]

A BERT of 2 layers of 128 with a WordPiece vocabulary of 4,000, both made from the column `text` alone: no labels, no other text. It
learns to guess masked words (15 %, as BERT does), 64 texts a step. Written as transformers' AutoModelForMaskedLM and AutoTokenizer.
"""
import csv, sys, time
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
import transformers as t

rows, out = Path(sys.argv[1]), Path(sys.argv[2])
steps = int(sys.argv[3]) if len(sys.argv) > 3 else 1500
texts = [row["text"] for row in csv.DictReader(rows.open())]
out.mkdir(parents=True, exist_ok=True)

trainer = BertWordPieceTokenizer(lowercase=True)
trainer.train_from_iterator(texts, vocab_size=4000, min_frequency=2, show_progress=False)
tokenizer = t.BertTokenizer(vocab=trainer.get_vocab(), do_lower_case=True, model_max_length=128)

torch.manual_seed(0)
torch.set_num_threads(1)
config = t.BertConfig(vocab_size=len(tokenizer), hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512, max_position_embeddings=128)
model = t.BertForMaskedLM(config).train()
ids = sorted((tokenizer(text, truncation=True, max_length=64)["input_ids"] for text in texts), key=len)
batches = [ids[i : i + 64] for i in range(0, len(ids), 64)]
special = torch.tensor(tokenizer.all_special_ids)

optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
begin = time.time()
for step in range(steps):
    for group in optimizer.param_groups:
        group["lr"] = 1e-3 * min(1, (step + 1) / 200) * (1 - step / steps)
    batch = batches[int(torch.randint(len(batches), ()))]
    padded = tokenizer.pad({"input_ids": batch}, return_tensors="pt")
    x, mask = padded["input_ids"], padded["attention_mask"]
    chosen = (torch.rand(x.shape) < 0.15) & ~torch.isin(x, special)
    dice = torch.rand(x.shape)
    seen = torch.where(chosen & (dice < 0.8), tokenizer.mask_token_id, x)
    seen = torch.where(chosen & (dice > 0.9), torch.randint(len(special), len(tokenizer), x.shape), seen)
    # Only the chosen positions reach the vocabulary.
    hidden = model.bert(seen, attention_mask=mask).last_hidden_state[chosen]
    loss = torch.nn.functional.cross_entropy(model.cls(hidden), x[chosen])
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 100 == 0:
        print(step, f"{time.time() - begin:.0f} s", f"{loss.item():.3f}", flush=True)
model.save_pretrained(out)
tokenizer.save_pretrained(out)
