"""Asks Python's tokenizers which character is what, and writes it as ranges: python write-unicode-tables.py ../../src/tokenizer/unicode/tables.ts

Each part of that library has Unicode tables of its own age: Oniguruma's for patterns, Rust's for lower case and digits, three
crates' for punctuation, accents and normal forms. They are asked for every code point, so that our answers do not depend on
the tables of the JavaScript engine.
"""
import json
import subprocess
import sys

import regex
import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
ALL = "".join(map(chr, POINTS))
BETWEEN = "".join("a" + chr(c) for c in POINTS)


def pattern(source, points=POINTS, text=ALL):
    """Code points that a pattern of Oniguruma matches, or None if it does not know it."""
    try:
        split = pre_tokenizers.Split(Regex(source), "removed", invert=True)
    except Exception:
        return None
    return {c for _, (a, b) in split.pre_tokenize_str(text) for c in points[a:b]}


def base36(n):
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    out = ""
    while True:
        n, r = divmod(n, 36)
        out = digits[r] + out
        if n == 0:
            return out


def runs(members):
    """Borders of a set, as distances: in from the first on, out from the second on, and so forth."""
    borders = []
    for c in sorted(members):
        if borders and borders[-1] == c:
            borders[-1] = c + 1
        else:
            borders += [c, c + 1]
    return " ".join(base36(b - a) for a, b in zip([0, *borders], borders))


unassigned = pattern(r"[\p{Cn}\p{Co}]+")
ASSIGNED = [c for c in POINTS if c not in unassigned]
ASSIGNED_TEXT = "".join(map(chr, ASSIGNED))
sets = {}
categories = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
for name in categories:
    sets[name] = pattern(r"\p{%s}+" % name) if name == "Co" else pattern(r"\p{%s}+" % name, ASSIGNED, ASSIGNED_TEXT)
for name in ["Alphabetic", "Uppercase", "Lowercase", "Ideographic", "Emoji", "Emoji_Presentation", "Emoji_Modifier", "Emoji_Modifier_Base", "Emoji_Component", "Extended_Pictographic"]:
    found = pattern(r"\p{%s}+" % name)
    assert found is not None, name
    sets[name] = found
assert pattern(r"[[:upper:]]+") == sets["Uppercase"] and pattern(r"[[:lower:]]+") == sets["Lowercase"] and pattern(r"[[:alpha:]]+") == sets["Alphabetic"]
letters_marks = sets["Alphabetic"].union(*(sets[n] for n in ["Mn", "Mc", "Me", "Nd", "Pc"]))
assert pattern(r"[\w]+") == letters_marks, "a word's characters, within brackets"
assert pattern(r"\w+") == letters_marks | {0xB2, 0xB3, 0xB9, 0xBC, 0xBD, 0xBE}, "a word's characters"
assert pattern(r"[[:alnum:]]+") == sets["Alphabetic"] | sets["Nd"]
sets["posix_punct"] = pattern(r"[[:punct:]]+")
sets["posix_graph"] = pattern(r"[[:graph:]]+")
sets["posix_print"] = pattern(r"[[:print:]]+")
# Only characters that are there have a script.
scripts = {}
for name in """Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid
Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic Deseret Devanagari Dives_Akuru
Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya
Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi
Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen
Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari
New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian
Old_Turkic Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian
Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangsa Tangut Telugu
Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square""".split():
    found = pattern(r"\p{%s}+" % name, ASSIGNED, ASSIGNED_TEXT)
    if found is not None:
        scripts[name] = found

# Rust's own, and the crates'.
words = {POINTS[a // 3] for _, (a, b) in pre_tokenizers.Whitespace().pre_tokenize_str("".join("a" + chr(c) + " " for c in POINTS)) if a % 3 == 0 and b - a == 2}
assert words == letters_marks | {0x200C, 0x200D}, "a word's characters in the regex crate"
digits = pre_tokenizers.Digits(False).pre_tokenize_str(BETWEEN)
sets["rust_numeric"] = {POINTS[a // 2] for _, (a, b) in digits if b - a == 1 and a % 2 == 1}
kept = {POINTS[i // 2] for _, (a, b) in pre_tokenizers.Punctuation("removed").pre_tokenize_str(BETWEEN) for i in range(a, b) if i % 2 == 1}
sets["rust_punctuation"] = set(POINTS) - kept
clean = normalizers.BertNormalizer(True, False, False, False)
sets["rust_other"] = {c for c in POINTS if clean.normalize_str(chr(c)) == ""}
bare = normalizers.BertNormalizer(False, False, True, False)
sets["rust_nonspacing"] = {c for c in POINTS if bare.normalize_str("a" + chr(c)) == "a"}
strip = normalizers.StripAccents()
sets["rust_combining"] = {c for c in POINTS if strip.normalize_str("a" + chr(c)) == "a"}

# Characters that are too new for the crate of normal forms, and that JavaScript would decompose or reorder.
forms = [normalizers.NFKD(), normalizers.NFKC()]
known = [c for c in ASSIGNED if not (0x3400 <= c < 0xA000 or 0xAC00 <= c < 0xD7A4 or 0x17000 <= c < 0x18D00 or 0x20000 <= c < 0x2F800 or 0x30000 <= c)]
known += [c for c in unassigned if c < 0x30000 and c not in sets["Co"]]
probes = [chr(c) for c in known] + ["a\u0345" + chr(c) + "\u0334" for c in known]
theirs = [[form.normalize_str(p) for p in probes] for form in forms]
node = """const fs = require('node:fs'); const [probes, theirs] = JSON.parse(fs.readFileSync(0, 'utf8'))
const out = []; const firsts = []; probes.forEach((p, i) => { if (p.normalize('NFKD') !== theirs[0][i] || p.normalize('NFKC') !== theirs[1][i]) { out.push(i); const d = p.normalize('NFD'); if ([...p].length === 1 && [...d].length > 1 && d.normalize('NFC') === p) firsts.push(d.codePointAt(0)) } }); console.log(JSON.stringify([out, firsts]))"""
# What a character that is too new is composed of stays apart, too.
differing, firsts = json.loads(subprocess.run(["node", "-e", node], input=json.dumps([probes, theirs]), capture_output=True, text=True, check=True).stdout)
sets["rust_not_normalized"] = {known[i % len(known)] for i in differing} | set(firsts) | (set(POINTS) - set().union(*(sets[n] for n in categories)))

lower = normalizers.Lowercase()
changes, start = [], None
mapped = [(c, lower.normalize_str(chr(c))) for c in POINTS if lower.normalize_str(chr(c)) != chr(c)]
special = {c: text for c, text in mapped if len(text) != 1}
assert special == {0x130: "i\u0307"}, special
steps = []
for c, text in mapped:
    if c in special:
        continue
    delta = ord(text) - c
    last = steps[-1] if steps else None
    # first, last, step, distance
    if last and last[3] == delta and (last[0] == last[1] and c - last[1] <= 2 or last[2] == c - last[1]):
        last[2], last[1] = c - last[1], c
    else:
        steps.append([c, c, 1, delta])

breaks = {name: {c for c in POINTS if regex.match(r"\p{GCB=%s}" % name, chr(c))} for name in ["Control", "Extend", "SpacingMark", "Prepend"]}
sets["break_control"] = breaks["Control"]
sets["break_extend"] = breaks["Extend"] | breaks["SpacingMark"] | {0x200D}
sets["break_prepend"] = breaks["Prepend"]

# The pre-tokenizer UnicodeScripts: which runs of characters it takes for one script.
split = pre_tokenizers.UnicodeScripts()
anything = {c for c in POINTS if split.pre_tokenize_str(chr(c)) == []}
groups = []
scripted = [c for c in POINTS if c not in anything]
pieces = split.pre_tokenize_str("".join(map(chr, scripted)))
for _, (a, b) in pieces:
    for group in groups:
        if len(split.pre_tokenize_str(chr(group[0]) + chr(scripted[a]))) == 1:
            group.extend(scripted[a:b])
            break
    else:
        groups.append(scripted[a:b])

out = sys.argv[1]
with open(out, "w") as f:
    f.write("/** @file Which character is what to Python's tokenizers %s; written by test/oracle/write-unicode-tables.py, not by hand. */\n\n" % tokenizers.__version__)
    f.write("/** Borders of sets of code points, as distances in base 36: in from the first on, out from the second on, and so forth. */\n")
    f.write("export const sets = {\n%s}\n\n" % "".join("  %s: '%s',\n" % (k, runs(v)) for k, v in sets.items()))
    f.write("/** The same for the scripts that a pattern can name. */\nexport const scripts: Readonly<Record<string, string>> = {\n%s}\n\n" % "".join("  %s: '%s',\n" % (k, runs(v)) for k, v in scripts.items()))
    f.write("/** The same for what the pre-tokenizer UnicodeScripts takes for one script. */\nexport const scriptGroups: readonly string[] = [\n%s]\n\n" % "".join("  '%s',\n" % runs(set(g)) for g in groups))
    f.write("/** Lower case: first, last, step, distance; four numbers each. */\nexport const lowerCase = '%s'\n" % " ".join(str(n) for s in steps for n in s))
