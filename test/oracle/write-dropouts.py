"""Where transformers' encoders drop values while they learn, for test/models/dropouts.test.ts: python write-dropouts.py > ../fixtures/dropouts.json

Every call of dropout in a forward pass of a tiny model: its probability, and how many elements it saw.
"""
import json
import sys

import torch
import transformers

calls = []


def dropout(input, p=0.5, training=True, inplace=False):
    if training and p > 0:
        calls.append([round(p, 6), input.numel()])
    return input


torch.nn.functional.dropout = dropout

sizes = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12, "max_position_embeddings": 16, "type_vocab_size": 2, "pad_token_id": 0}
share = {"hidden_dropout_prob": 0.125, "attention_probs_dropout_prob": 0.25}
configs = {
    "bert": {**sizes, **share},
    "bert with a share for its head": {**sizes, **share, "classifier_dropout": 0.375},
    "roberta": {**sizes, **share, "pad_token_id": 1, "classifier_dropout": 0.375},
    "distilbert": {"vocab_size": 20, "dim": 8, "n_layers": 2, "n_heads": 2, "hidden_dim": 12, "max_position_embeddings": 16, "dropout": 0.125, "attention_dropout": 0.25, "seq_classif_dropout": 0.375, "qa_dropout": 0.5},
    "deberta-v2": {**sizes, **share, "relative_attention": True, "position_buckets": 4, "pos_att_type": "p2c|c2p", "norm_rel_ebd": "layer_norm", "share_att_key": True, "pooler_hidden_size": 8, "pooler_dropout": 0.0625, "cls_dropout": 0.375, "conv_kernel_size": 3},
}
classes = {"sequence-classification": transformers.AutoModelForSequenceClassification, "token-classification": transformers.AutoModelForTokenClassification, "question-answering": transformers.AutoModelForQuestionAnswering, "feature-extraction": transformers.AutoModel}
cases = []
for name, settings in configs.items():
    for task, auto in classes.items():
        config = transformers.AutoConfig.for_model(name.split(" ")[0], **settings)
        model = auto.from_config(config, attn_implementation="eager").train()
        calls.clear()
        model(input_ids=torch.full((2, 5), 7), attention_mask=torch.ones(2, 5, dtype=torch.long))
        cases.append({"name": name, "task": task, "config": {"model_type": config.model_type, "architectures": [type(model).__name__], **settings}, "calls": sorted(calls)})

json.dump({"made_with": {"torch": torch.__version__, "transformers": transformers.__version__}, "cases": cases}, sys.stdout)
