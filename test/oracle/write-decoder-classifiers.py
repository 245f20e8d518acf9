"""Writes test/fixtures/golden/classifiers: decoders that classify rows, with LoRA adapters, and 20 steps of AdamW.

Run with Python that has torch, transformers and peft: python test/oracle/write-decoder-classifiers.py
"""
import json, pathlib
import peft, torch, transformers
from transformers import AutoConfig

out = pathlib.Path(__file__).parent.parent / "fixtures" / "golden" / "classifiers"
versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
labels = dict(id2label={str(i): f"label {i}" for i in range(3)}, label2id={f"label {i}": i for i in range(3)}, pad_token_id=0)
base = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=32, **labels)
cases = {
    "llama": ("LlamaForSequenceClassification", dict(base, model_type="llama", num_key_value_heads=2), ["q_proj", "v_proj", "down_proj"]),
    "gemma2": ("Gemma2ForSequenceClassification", dict(base, model_type="gemma2", num_key_value_heads=2, head_dim=8, sliding_window=4, query_pre_attn_scalar=9, attn_logit_softcapping=2.0, eos_token_id=1), ["q_proj", "v_proj"]),
    "gpt_neox": ("GPTNeoXForSequenceClassification", dict(base, model_type="gpt_neox"), ["query_key_value", "dense"]),
    "phi3": ("Phi3ForSequenceClassification", dict(base, model_type="phi3", num_key_value_heads=2), ["qkv_proj"]),
}
for seed, (name, (class_name, keys, targets)) in enumerate(cases.items()):
    torch.manual_seed(seed)
    folder = out / name
    model = getattr(transformers, class_name)._from_config(AutoConfig.for_model(**json.loads(json.dumps(keys))), attn_implementation="eager").eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * 0.15)
    model.save_pretrained(folder / "model")
    ids = torch.randint(3, 40, (3, 11))
    lengths = [11, 8, 6]
    mask = torch.tensor([[int(i < n) for i in range(11)] for n in lengths])
    feeds = dict(input_ids=ids * mask, attention_mask=mask, labels=torch.tensor([0, 2, 1]))
    base_loss = model(**feeds, use_cache=False).loss.item()
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets)).eval()
    with torch.no_grad():
        for n, p in adapted.named_parameters():
            if "lora_" in n:
                p.copy_(torch.randn_like(p) * 0.1)
    adapted.save_pretrained(folder / "adapter")
    trained = [p for p in adapted.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.005, weight_decay=0.01)
    losses, norms = [], []
    for _ in range(20):
        optimizer.zero_grad()
        loss = adapted(**feeds, use_cache=False).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(trained, 1.0).item())
        losses.append(loss.item())
        optimizer.step()
    rows = [dict(input_ids=row[:n], labels=label) for row, n, label in zip(ids.tolist(), lengths, [0, 2, 1])]
    case = dict(made_with=versions, rows=rows, base_loss=base_loss, losses=losses, grad_norms=norms)
    (folder / "case.json").write_text(json.dumps(case, indent=1))
    for extra in [*folder.glob("*/README.md"), *folder.glob("model/generation_config.json")]:
        extra.unlink()
