"""Writes test/fixtures/golden/replication: PEFT's layer_replication on the tiny Llama of the golden cases."""
import json, pathlib, torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

root = pathlib.Path(__file__).parent.parent / "fixtures/golden"
out = root / "replication"
torch.manual_seed(5)
base = AutoModelForCausalLM.from_pretrained(root / "peft/llama/model", dtype=torch.float32)
count = base.config.num_hidden_layers
ids = torch.randint(3, base.config.vocab_size, (2, 9))
tensors = {"input_ids": ids}
config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], layer_replication=[[0, count], [count - 2, count]],
                    task_type="CAUSAL_LM", init_lora_weights=False)
model = get_peft_model(base, config)
result = model(input_ids=ids, labels=ids)
result.loss.backward()
tensors["logits"] = result.logits.detach()
for name, p in model.named_parameters():
    if p.requires_grad:
        tensors["grad." + name.replace(".default.weight", ".weight")] = p.grad
with model.disable_adapter():
    bare = model(input_ids=ids, labels=ids)
model.save_pretrained(out / "adapter")
prompt = ids[:1, :4]
greedy = model.generate(prompt, max_new_tokens=8, do_sample=False, eos_token_id=None)[0, 4:].tolist()
merged = model.merge_and_unload()
# The copies share one weight, and PEFT 0.21 adds the branches of all of them to it: the merged model is another one.
print("largest change of a logit by PEFT's merge:", (merged(input_ids=ids).logits - result.logits).abs().max().item())
save_file({k: v.contiguous() for k, v in tensors.items()}, out / "tensors.safetensors")
config_path = out / "adapter/adapter_config.json"
stored = json.loads(config_path.read_text())
stored["base_model_name_or_path"] = "llama"
config_path.write_text(json.dumps(stored, indent=2, sort_keys=True) + "\n")
(out / "adapter/README.md").unlink(missing_ok=True)
(out / "case.json").write_text(json.dumps({"loss": result.loss.item(), "base_loss": bare.loss.item(), "layers": merged.config.num_hidden_layers,
    "prompt": prompt[0].tolist(), "greedy": greedy}, indent=2) + "\n")
