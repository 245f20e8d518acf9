"""Scores of texts for test/metrics: odd corpora, tokens of NLTK, and what the definitions give.

NLTK computes its own BLEU and tokens; everything else is written down here from the definitions once more, as plainly as it can be.
Writes test/fixtures/metrics/{scores,words}.json.
"""

import json
import math
import random
import re
import string
from collections import Counter
from pathlib import Path

from nltk.tokenize import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer
from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu

OUT = Path(__file__).parents[1] / "fixtures/metrics"
rng = random.Random(7)


def ngrams(tokens, n):
    return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]


def tokens_13a(text):
    text = text.replace("<skipped>", "")
    text = text.replace("-\n", "").replace("\n", " ")
    for entity, sign in (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")):
        text = text.replace(entity, sign)
    text = f" {text} "
    text = re.sub(r"([{-~\[-` -&(-+:-@/])", r" \1 ", text)
    text = re.sub(r"([^0-9])([.,])", r"\1 \2 ", text)
    text = re.sub(r"([.,])([^0-9])", r" \1 \2", text)
    text = re.sub(r"([0-9])(-)", r"\1 \2 ", text)
    return text.split()


def hits_of(hypothesis, references, n):
    most = Counter()
    for reference in references:
        most |= Counter(ngrams(reference, n))
    return Counter(ngrams(hypothesis, n)) & most


def closest(hypothesis, references):
    return min((abs(len(r) - len(hypothesis)), len(r)) for r in references)[1]


def bleu(corpus, smoothing=0):
    log = 0
    for n in range(1, 5):
        hits = sum(sum(hits_of(h, rs, n).values()) for h, rs in corpus) + smoothing
        total = sum(len(h) - n + 1 for h, _ in corpus) + smoothing
        log += math.log(max(hits, 1e-15) / max(total, 1e-9)) / 4
    c, r = sum(len(h) for h, _ in corpus), sum(closest(h, rs) for h, rs in corpus)
    return math.exp(log) * (1 if c > r else math.exp(1 - r / (c or 1e-5)))


def multi_bleu(corpus):
    log = 0
    for n in range(1, 5):
        hits = sum(sum(hits_of(h, rs, n).values()) for h, rs in corpus)
        if hits == 0:
            return 0
        log += math.log(hits / sum(len(ngrams(h, n)) for h, _ in corpus)) / 4
    c, r = sum(len(h) for h, _ in corpus), sum(closest(h, rs) for h, rs in corpus)
    return math.exp(log) * (1 if c >= r else math.exp(1 - r / c))


def nist(corpus):
    counts = Counter()
    for _, references in corpus:
        for reference in references:
            counts[()] += len(reference)
            for n in range(1, 6):
                counts.update(ngrams(reference, n))
    score = 0
    for n in range(1, 6):
        info = 0
        for h, rs in corpus:
            for gram, times in hits_of(h, rs, n).items():
                info += times * math.log2(counts[gram[:-1]] / counts[gram])
        total = sum(len(h) - n + 1 for h, _ in corpus)
        score += info / total if total != 0 else 0
    c = sum(len(h) for h, _ in corpus)
    r = sum(sum(len(x) for x in rs) / len(rs) for _, rs in corpus)
    if c == 0:
        return 0
    return score if c >= r else score * math.exp(math.log(0.5) / math.log(1.5) ** 2 * math.log(c / r) ** 2)


def lcs(a, b):
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


def rouge_l(hypothesis, references):
    hypothesis = hypothesis or [""]
    references = [r or [""] for r in references]
    p = max(lcs(hypothesis, r) / len(hypothesis) for r in references)
    r = max(lcs(hypothesis, r) / len(r) for r in references)
    return 0 if p == 0 or r == 0 else (1 + 1.44) * p * r / (r + 1.44 * p)


def cider(corpus):
    documents = Counter()
    for _, references in corpus:
        documents.update({g for r in references for n in range(1, 5) for g in ngrams(r, n)})

    def vector(tokens, n):
        return {g: c * (math.log(len(corpus)) - math.log(max(1, documents[g]))) for g, c in Counter(ngrams(tokens, n)).items()}

    scores = []
    for h, references in corpus:
        values = []
        for r in references:
            total = 0
            for n in range(1, 5):
                a, b = vector(h, n), vector(r, n)
                value = sum(min(a[g], b.get(g, 0)) * b.get(g, 0) for g in a)
                norm = math.sqrt(sum(x * x for x in a.values())) * math.sqrt(sum(x * x for x in b.values()))
                difference = len(ngrams(h, 2)) - len(ngrams(r, 2))
                total += (value / norm if norm != 0 else value) * math.exp(-(difference**2) / 72)
            values.append(total / 4)
        scores.append(10 * sum(values) / len(values))
    return scores


def levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            new.append(min(row[j] + 1, new[-1] + 1, row[j - 1] + (x != y)))
        row = new
    return row[-1]


def ter(words, reference):
    if not reference:
        return 1
    shifts = 0
    while True:
        found = []
        for i in range(len(words)):
            for j in range(len(reference)):
                if i == j or words[i] != reference[j]:
                    continue
                n = 1
                while i + n < len(words) and j + n < len(reference) and words[i + n] == reference[j + n]:
                    n += 1
                block, rest = words[i : i + n], words[:i] + words[i + n :]
                moved = rest[:j] + block + rest[j:]
                found.append((levenshtein(words, reference) - levenshtein(moved, reference), moved))
        gain, moved = max(found, default=(0, words))
        if gain <= 0:
            return (shifts + levenshtein(words, reference)) / len(reference)
        shifts, words = shifts + 1, moved


def chrf_words(text):
    words = []
    for word in text.split():
        if len(word) > 1 and word[-1] in string.punctuation:
            words += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in string.punctuation:
            words += [word[0], word[1:]]
        else:
            words.append(word)
    return words


def chrf_counts(hypothesis, reference):
    counts = []
    for orders, split in ((6, lambda x: list("".join(x.split()))), (2, chrf_words)):
        for n in range(1, orders + 1):
            a, b = Counter(ngrams(split(hypothesis), n)), Counter(ngrams(split(reference), n))
            counts.append((sum(a.values()), sum(b.values()), sum((a & b).values())))
    return counts


def chrf_score(counts):
    score = 0
    for a, b, both in counts:
        p, r = both / a if a else 1e-16, both / b if b else 1e-16
        score += 5 * p * r / (4 * p + r) if 4 * p + r > 0 else 0
    return score / len(counts)


def chrf(corpus):
    chosen, scores = [], []
    for h, references in corpus:
        references = [r for r in references if r.strip()]
        if not references:
            scores.append(None)
            continue
        best = max((chrf_counts(h, r) for r in references), key=chrf_score)
        chosen.append(best)
        scores.append(chrf_score(best))
    return (chrf_score([tuple(map(sum, zip(*order))) for order in zip(*chosen)]) if chosen else 0), scores


def nltk_bleu(corpus):
    kept = [([r for r in rs if r], h) for h, rs in corpus]
    kept = [(rs, h) for rs, h in kept if rs]
    return corpus_bleu([rs for rs, _ in kept], [h for _, h in kept], smoothing_function=SmoothingFunction().method3) if kept else 0


def abbreviations():
    source = (Path(__file__).parents[2] / "src/metrics/tokenize/abbreviations.ts").read_text()
    return set("".join(re.findall(r"'([^']*)'", source)).split())


parameters = PunktParameters()
parameters.abbrev_types = abbreviations()
punkt = PunktSentenceTokenizer(parameters)


def word_tokenize(text):
    return [word for sentence in punkt.tokenize(text) for word in NLTKWordTokenizer().tokenize(sentence)]


def scores_of(segments):
    """All that the tests compare, of segments of plain text."""

    def split(how):
        return [(how(s["hypothesis"]), [how(r) for r in s["references"]]) for s in segments]

    lower, words, nltk = split(lambda x: tokens_13a(x.lower())), split(str.split), split(word_tokenize)
    small = split(lambda x: x.lower().split())
    texts = [(s["hypothesis"], s["references"]) for s in segments]
    rouge, ciders = [rouge_l(h, rs) for h, rs in small], cider(small)
    ters = [min(ter(h, r) for r in rs) for h, rs in nltk]
    corpus_chrf, chrfs = chrf(texts)
    return {
        "segments": segments,
        "bleu": [bleu(lower), [bleu([s]) for s in lower], [bleu([s], 1) for s in lower]],
        "nist": [nist(lower), [nist([s]) for s in lower]],
        "multiBleu": multi_bleu(split(tokens_13a)),
        "nltkBleu": nltk_bleu(nltk),
        "rougeL": [sum(rouge) / len(rouge), rouge],
        "cider": [sum(ciders) / len(ciders), ciders],
        "ter": [sum(ters) / len(ters), ters],
        "chrf": [corpus_chrf, chrfs],
    }


def corpus_of(size, vocabulary, longest, references):
    def text():
        words = [rng.choice(vocabulary) for _ in range(rng.randint(0, longest))]
        return " ".join(words)

    def near(original):
        words = original.split()
        for _ in range(rng.randint(0, 3)):
            if len(words) > 2:
                i, j, k = sorted(rng.randint(0, len(words)) for _ in range(3))
                words = words[:i] + words[j:k] + words[i:j] + words[k:]
            if words and rng.random() < 0.5:
                words[rng.randrange(len(words))] = rng.choice(vocabulary)
        return " ".join(words)

    segments = []
    for _ in range(size):
        first = text()
        others = [near(first) if rng.random() < 0.7 else text() for _ in range(rng.randint(0, references - 1))]
        segments.append({"hypothesis": near(first), "references": [first, *others]})
    return segments


plain = "the The a cat dog sat on mat , . it's it is 3.50 $3 50-60 New York food family-friendly &amp; (very) good".split()
strange = ["é", "e\u0301", "日本", "🙂", "\ufb01", "\uff21", "İ", "ß", "x_y", "«q»", "--", "...", "a\u00a0b", "U.S.", "can't", "ΑΣ"]
corpora = {
    "plain": corpus_of(12, plain, 14, 4),
    "repeated words": corpus_of(8, ["a", "b", "a", "c"], 12, 3),
    "unicode": corpus_of(8, plain[:4] + strange, 9, 3),
    "one segment": corpus_of(1, plain, 12, 3),
    "long lines": corpus_of(2, plain, 60, 2),
    "short": [
        {"hypothesis": "a b c d", "references": ["a b c d"]},
        {"hypothesis": "", "references": ["a b", ""]},
        {"hypothesis": "x y z", "references": ["a"]},
        {"hypothesis": "b c d a", "references": ["a b c d"]},
        {"hypothesis": "a", "references": ["", "   "]},
    ],
    "empty": [{"hypothesis": "", "references": [""]}, {"hypothesis": "", "references": ["a"]}],
    "one empty": [{"hypothesis": "", "references": [""]}],
    "ties of lengths": [
        {"hypothesis": "a b c d e", "references": ["a b c d", "a b c d e f"]},
        {"hypothesis": "a b c d e", "references": ["a b c d e f", "a b c d"]},
    ],
}

pieces = ["'tis", "'twas", "cannot", "gonna", "wanna", "DON'T", "he'll", "'s", "''", "``", '"', '"Hi"', "(a)", "[b]", "{c}", "<d>"]
pieces += ["--", "-", "...", "..", ".", "!", "?", "Mr.", "U.S.", "J.", "e.g.", "3.5", "3,5", "5.", "a,b", ",", ":", "::", "$", "@", "#"]
pieces += ["*", "«x»", "“y”", "‘z’", "–", "é", "naïve", "日本", "🙂", "x_y", "o'clock", "students'", "d'ye", "more'n", "n't", "\t"]
pieces += ["\u00a0", "\u3000", "word", "The", "the", "b", ";", "end.", "end.)", 'end."', "end.”", "what?!", "Ph.D.", "a\x1cb", "٣.", "ⅷ."]
lines = ["".join(rng.choice(pieces) + rng.choice([" ", " ", " ", ""]) for _ in range(rng.randint(0, 12))) for _ in range(400)]

OUT.mkdir(exist_ok=True)
(OUT / "scores.json").write_text(json.dumps({name: scores_of(segments) for name, segments in corpora.items()}, ensure_ascii=False, separators=(",", ":")) + "\n")
(OUT / "words.json").write_text(json.dumps([[line, word_tokenize(line), tokens_13a(line)] for line in lines], ensure_ascii=False, separators=(",", ":")) + "\n")
