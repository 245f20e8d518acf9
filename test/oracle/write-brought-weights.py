"""Cases of adapters that bring weights of their base, with PEFT's logits (torch, transformers, peft): python write-brought-weights.py OUT"""
import torch, json, os, shutil, copy
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
from peft import LoraConfig, get_peft_model, PeftModel
from safetensors.torch import load_file, save_file
import sys, tempfile
out=sys.argv[1]
scratch=tempfile.mkdtemp()
def fill(m):
    g=torch.Generator().manual_seed(3)
    for n,p in m.named_parameters():
        if 'lora_' in n: p.data=torch.randn(p.shape,generator=g)*0.2
ids=[[1,5,9,33,2,7,95,11],[3,3,40,41,42,8,9,10]]
def write(name, base, adapterdir, y, ids=ids):
    d=f'{out}/{name}'; shutil.rmtree(d,ignore_errors=True); os.makedirs(d)
    base.save_pretrained(d+'/model'); shutil.copytree(adapterdir,d+'/adapter')
    json.dump({'ids':ids,'y':y.flatten().tolist()},open(d+'/expected.json','w'))
def tiny(tied):
    torch.manual_seed(1)
    return LlamaForCausalLM(LlamaConfig(hidden_size=32,intermediate_size=48,num_hidden_layers=2,num_attention_heads=4,num_key_value_heads=2,vocab_size=96,max_position_embeddings=64,tie_word_embeddings=tied,initializer_range=0.3)).eval()
for tied in (False,True):
  for dt in (torch.float16,torch.bfloat16):
    base=tiny(tied)
    pm=get_peft_model(copy.deepcopy(base),LoraConfig(r=4,target_modules=['q_proj','embed_tokens']+([] if tied else ['lm_head']),task_type='CAUSAL_LM')); fill(pm)
    a=scratch+'/a'; shutil.rmtree(a,ignore_errors=True); pm.save_pretrained(a)
    t=load_file(a+'/adapter_model.safetensors'); print(tied,[k for k in t if 'base_layer' in k])
    t={k:(v.to(dt) if 'base_layer' in k else v) for k,v in t.items()}; save_file(t,a+'/adapter_model.safetensors',metadata={'format':'pt'})
    lm=PeftModel.from_pretrained(copy.deepcopy(base),a).eval()
    with torch.no_grad(): y=lm(torch.tensor(ids)).logits; y0=pm(torch.tensor(ids)).logits
    print('diff rounded vs not',(y-y0).abs().max().item(), y.abs().max().item())
    write(f"rounded-{'tied' if tied else 'untied'}-{str(dt)[6:]}",base,a,y)
  for save in (False,True):
    base=tiny(tied)
    big=copy.deepcopy(base); big.resize_token_embeddings(98)
    kw=dict(modules_to_save=['embed_tokens','lm_head']) if save else {}
    pm=get_peft_model(big,LoraConfig(r=4,target_modules=['q_proj'],task_type='CAUSAL_LM',base_model_name_or_path=None,**kw)); fill(pm)
    if save:
        for n,p in pm.named_parameters():
            if 'modules_to_save' in n: p.data+=0.01*torch.randn(p.shape,generator=torch.Generator().manual_seed(5))
    a=scratch+'/a'; shutil.rmtree(a,ignore_errors=True); pm.save_pretrained(a, save_embedding_layers=True)
    t=load_file(a+'/adapter_model.safetensors'); print(tied,save,[(k,tuple(v.shape)) for k,v in t.items() if 'q_proj' not in k])
    i2=[[1,97,9,33,2,96,95,11]]
    with torch.no_grad(): y=pm.eval()(torch.tensor(i2)).logits
    write(f"grown-{'tied' if tied else 'untied'}-{'saved' if save else 'copies'}",base,a,y,i2)
    try:
        PeftModel.from_pretrained(copy.deepcopy(base),a); print('PEFT loads on the small base')
    except Exception as e: print('PEFT:',str(e)[:150])
# grown and targeted
base=tiny(False); big=copy.deepcopy(base); big.resize_token_embeddings(98)
pm=get_peft_model(big,LoraConfig(r=4,target_modules=['q_proj','embed_tokens','lm_head'],task_type='CAUSAL_LM')); fill(pm)
a=scratch+'/a'; shutil.rmtree(a,ignore_errors=True); pm.save_pretrained(a)
i2=[[1,97,9,33,2,96,95,11]]
with torch.no_grad(): y=pm.eval()(torch.tensor(i2)).logits
write('grown-targeted',base,a,y,i2)
# grown, with rows of the new tokens trained
for tied in (False,True):
    base=tiny(tied); big=copy.deepcopy(base); big.resize_token_embeddings(98)
    pm=get_peft_model(big,LoraConfig(r=4,target_modules=['q_proj'],trainable_token_indices=[96,97],task_type='CAUSAL_LM')); fill(pm)
    for n,p in pm.named_parameters():
        if 'trainable_tokens' in n: p.data+=0.3*torch.randn(p.shape,generator=torch.Generator().manual_seed(7))
    shutil.rmtree(a,ignore_errors=True); pm.save_pretrained(a, save_embedding_layers=True); print(tied,[k for k in load_file(a+'/adapter_model.safetensors') if 'q_proj' not in k])
    with torch.no_grad(): y=pm.eval()(torch.tensor(i2)).logits
    write(f"grown-{'tied' if tied else 'untied'}-tokens",base,a,y,i2)
# smaller
base=tiny(False); sm=copy.deepcopy(base); sm.resize_token_embeddings(90)
pm=get_peft_model(sm,LoraConfig(r=4,target_modules=['q_proj'],task_type='CAUSAL_LM')); fill(pm)
shutil.rmtree(a,ignore_errors=True); pm.save_pretrained(a, save_embedding_layers=True)
with torch.no_grad(): y=pm.eval()(torch.tensor([[1,2,3]])).logits
write('smaller',base,a,y,[[1,2,3]])
open(out+'/smaller/refused','w').write('vocabulary was made smaller')
