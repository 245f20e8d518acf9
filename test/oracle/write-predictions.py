"""What transformers' pipelines and sentence-transformers' encode say of texts: python write-predictions.py OUT PIPELINE

OUT/<name> are tiny models with tokenizers, OUT/cases.json the inputs and what Python says of them. PIPELINE is the folder
`transformers` of the wheel of transformers 4.57, which has the question-answering pipeline that version 5 has no more.
Characters are counted in UTF-16 units, as JavaScript does.
"""
import base64, json, shutil, sys, tempfile, types
from pathlib import Path

import torch
import transformers as t
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers, decoders

OUT, PIPELINE = Path(sys.argv[1]), Path(sys.argv[2])
OUT.mkdir(parents=True, exist_ok=True)

corpus = [
    "Ada Lovelace wrote to Charles Babbage in London about the engine.",
    "The café in Zürich was lovely, but the soup was cold!",
    "Where does Ada live? Ada lives in a small house near the river Thames.",
    "Unhappily, nobody from the United Nations came to New York on Monday.",
    "日本 and 東京 are words of two characters; e\u0301 is written with two.",
    "Some smile 🙂 and some do not 🙃, says the man from O'Reilly's shop.",
]

def saved(tokenizer, folder, **special):
    fast = t.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=48, **special)
    fast.save_pretrained(folder)
    return fast

def word_piece():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    tok.train_from_iterator(corpus[:4], trainers.WordPieceTrainer(vocab_size=150, special_tokens=special, show_progress=False))
    tok.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tok, dict(model_input_names=["input_ids", "token_type_ids", "attention_mask"], pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]")

def byte_bpe():
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tok.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tok, dict(bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>", model_input_names=["input_ids", "attention_mask"])

small = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24)
bio = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
sentiments = ["praise", "complaint", "question"]
named = lambda names: dict(id2label=dict(enumerate(names)), label2id={n: i for i, n in enumerate(names)})
families = {
    "bert": (word_piece, lambda size, **more: t.BertConfig(vocab_size=size, max_position_embeddings=48, pad_token_id=0, **small, **more), "Bert"),
    "roberta": (byte_bpe, lambda size, **more: t.RobertaConfig(vocab_size=size, max_position_embeddings=66, pad_token_id=1, bos_token_id=0, eos_token_id=2, **small, **more), "Roberta"),
}

def make(name, family, head, **more):
    tokenizer, config, prefix = families[family]
    tok, special = tokenizer()
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(len(name))
    model = getattr(t, prefix + head)(config(tok.get_vocab_size(), **more)).eval()
    for p in model.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.5)
    model.save_pretrained(folder)
    return model, saved(tok, folder, **special)

def units(text, place):
    return len(text[:place].encode("utf-16-le")) // 2

cases = {}
rows = [*corpus, "the soup", "Ada"]
pairs = [(corpus[i], corpus[i - 1]) for i in range(3)]

for name, more in [
    ("classes", dict(**named(sentiments))),
    ("several-labels", dict(problem_type="multi_label_classification", **named(sentiments))),
    ("number", dict(problem_type="regression", num_labels=1)),
]:
    model, tok = make(name, "bert", "ForSequenceClassification", **more)
    pipe = t.pipeline("text-classification", model=model, tokenizer=tok, device="cpu")
    said = lambda given: pipe(given, top_k=None, truncation=True)
    cases[name] = {
        "texts": [{"text": text, "scores": [[r["label"], r["score"]] for r in said(text)]} for text in rows],
        "pairs": [{"text": a, "text_pair": b, "scores": [[r["label"], r["score"]] for r in said({"text": a, "text_pair": b})]} for a, b in pairs],
    }

for name, family in [("tags", "bert"), ("tags-bytes", "roberta")]:
    model, tok = make(name, family, "ForTokenClassification", **named(bio))
    simple = t.pipeline("token-classification", model=model, tokenizer=tok, aggregation_strategy="simple", device="cpu")
    cases[name] = {"texts": [
        {"text": text, "entities": [[r["entity_group"], r["score"].item(), units(text, r["start"]), units(text, r["end"])] for r in simple(text)]}
        for text in rows
    ]}

# The question-answering pipeline over this version of the library.
class SquadExample:
    def __init__(self, qas_id, question_text, context_text, *_):
        self.question_text, self.context_text = question_text, context_text
class SquadFeatures:
    def __init__(self, **fields):
        self.__dict__.update(fields)
data = sys.modules["transformers.data"]
data.SquadExample, data.SquadFeatures, data.squad_convert_examples_to_features = SquadExample, SquadFeatures, None
sys.modules["transformers.modelcard"] = types.SimpleNamespace(ModelCard=object)
sys.modules["transformers.tokenization_utils"] = types.SimpleNamespace(PreTrainedTokenizer=t.PreTrainedTokenizer)
import transformers.utils as utils
utils.is_tf_available = lambda: False
source = (PIPELINE / "pipelines/question_answering.py").read_text()
pipelines = t.pipelines
module = types.ModuleType("transformers.pipelines.question_answering")
module.__package__ = "transformers.pipelines"
exec(compile(source, "question_answering.py", "exec"), module.__dict__)

class Whole:
    """A tokenizer that reads all of a context: with truncation the library stops at the word that reaches the limit, and the rest is lost."""
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
    def __getattr__(self, name):
        return getattr(self.tokenizer, name)
    def __call__(self, text, text_pair, max_length, stride, truncation, **_):
        backend = self.tokenizer._tokenizer
        backend.no_truncation()
        # Else white space would be taken off the offsets twice.
        processor, backend.post_processor = backend.post_processor, processors.ByteLevel(trim_offsets=False)
        question, context = (backend.encode(each, add_special_tokens=False) for each in (text, text_pair))
        backend.post_processor = processor
        backend.enable_truncation(max_length, stride=stride, strategy=truncation)
        first = backend.post_process(question, context)
        parts = [first, *first.overflowing]
        # The parts behind the first have lost their types: those of the first, as far as the context goes.
        types = [[*first.type_ids[: e.sequence_ids.index(1)], *[first.type_ids[-1]] * (len(e.ids) - e.sequence_ids.index(1))] for e in parts]
        data = {"input_ids": [e.ids for e in parts], "attention_mask": [e.attention_mask for e in parts], "token_type_ids": types}
        return t.BatchEncoding(data, encoding=parts)

questions = [("Where does Ada live?", corpus[2]), ("who wrote", corpus[0]), ("What was cold?", corpus[1]), ("smile?", corpus[5]), ("two?", corpus[4]), ("Where is the shop?", " ".join(corpus))]
for name, family in [("answers", "bert"), ("answers-bytes", "roberta")]:
    model, tok = make(name, family, "ForQuestionAnswering")
    pipe = module.QuestionAnsweringPipeline.__new__(module.QuestionAnsweringPipeline)
    pipe.model, pipe.tokenizer, pipe.framework = model, Whole(tok), "pt"
    def ask(question, context, top_k):
        outputs = []
        for inputs in pipe.preprocess({"question": question, "context": context}):
            with torch.no_grad():
                outputs.append(pipe._forward(inputs))
        found = pipe.postprocess(outputs, top_k=top_k)
        found = found if isinstance(found, list) else [found]
        return [[a["answer"], a["score"], units(context, a["start"]), units(context, a["end"])] for a in found]
    cases[name] = {"rows": [{"question": q, "context": c, "best": ask(q, c, 1), "top": ask(q, c, 3)} for q, c in questions]}

# The folders of write-sentence.py.
sentence = OUT.parent / "sentence"
cases["embeddings"] = {}
for name, made in json.loads((sentence / "cases.json").read_text()).items():
    folder = Path(tempfile.mkdtemp()) / name
    shutil.copytree(sentence / made["base"], folder)
    for file, content in made["files"].items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(base64.b64decode(content["base64"]) if isinstance(content, dict) and "base64" in content else json.dumps(content).encode())
    loaded = SentenceTransformer(str(folder), device="cpu")
    texts = ["the cat sat on the mat", "a dog ran", "The Cat"]
    cases["embeddings"][name] = [[text, [round(x, 7) for x in vector.tolist()]] for text, vector in zip(texts, loaded.encode(texts))]

(OUT / "cases.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1))
for folder in OUT.iterdir():
    (folder / "special_tokens_map.json").unlink(missing_ok=True) if folder.is_dir() else None
