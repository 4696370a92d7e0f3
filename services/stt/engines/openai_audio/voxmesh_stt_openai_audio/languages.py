"""Languages as servers name them, as BCP-47 tags.

Whisper servers answer with an English name or a code, Qwen3-ASR with names, and requests want the
ISO-639 code alone.
"""

from __future__ import annotations

import re

from voxmesh_runtime.language_tags import primary

_NAMES = """
af afrikaans,am amharic,ar arabic,as assamese,az azerbaijani,ba bashkir,be belarusian,bg bulgarian,bn bengali,
bo tibetan,br breton,bs bosnian,ca catalan,ca valencian,cs czech,cy welsh,da danish,de german,el greek,en english,
es spanish,es castilian,et estonian,eu basque,fa persian,fi finnish,fil filipino,fo faroese,fr french,gl galician,
gu gujarati,ha hausa,haw hawaiian,he hebrew,hi hindi,hr croatian,ht haitian creole,ht haitian,hu hungarian,
hy armenian,id indonesian,is icelandic,it italian,ja japanese,jv javanese,ka georgian,kk kazakh,km khmer,kn kannada,
ko korean,la latin,lb luxembourgish,lb letzeburgesch,ln lingala,lo lao,lt lithuanian,lv latvian,mg malagasy,mi maori,
mk macedonian,ml malayalam,mn mongolian,mr marathi,ms malay,mt maltese,my myanmar,my burmese,ne nepali,nl dutch,
nl flemish,nn nynorsk,no norwegian,oc occitan,pa punjabi,pa panjabi,pl polish,ps pashto,ps pushto,pt portuguese,
ro romanian,ro moldavian,ro moldovan,ru russian,sa sanskrit,sd sindhi,si sinhala,si sinhalese,sk slovak,sl slovenian,
sn shona,so somali,sq albanian,sr serbian,su sundanese,sv swedish,sw swahili,ta tamil,te telugu,tg tajik,th thai,
tk turkmen,tl tagalog,tr turkish,tt tatar,uk ukrainian,ur urdu,uz uzbek,vi vietnamese,yi yiddish,yo yoruba,
yue cantonese,zh chinese,zh mandarin
"""
_CODE_OF = {name: code for code, _, name in (entry.partition(" ") for entry in _NAMES.replace("\n", "").split(","))}
_ASKED_AS = {"fil": "tl"}
"""Servers ask for the shorter code, which BCP-47 has given up."""
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


def code_of(tag: str) -> str:
    """The language of a BCP-47 tag as servers want it: `en` of `en-IN`; empty for none."""
    language = primary(tag)
    return _ASKED_AS.get(language, language)


def tag_of(answered: str) -> str:
    """The BCP-47 tag of a language as a server names it, the first of several; empty when it is not known."""
    first = answered.split(",", 1)[0].strip()
    code = _CODE_OF.get(first.lower())
    if code is not None:
        return code
    return first.replace("_", "-") if _TAG.fullmatch(first) else ""
