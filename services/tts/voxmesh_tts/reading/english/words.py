"""Abbreviations, Roman numerals, acronyms, code and single signs in English."""

from __future__ import annotations

import re
from functools import partial
from typing import Final

from voxmesh_tts.reading.addresses import spelled
from voxmesh_tts.reading.english.numerals import Region, cardinal, digits, ordinal
from voxmesh_tts.reading.rules import Match, Rule, one_of

_ABBREVIATIONS: Final = {
    "Mr.": "Mister", "Mrs.": "Missus", "Prof.": "Professor", "Gen.": "General", "Col.": "Colonel",
    "Sgt.": "Sergeant", "Capt.": "Captain", "Lt.": "Lieutenant", "Rev.": "Reverend", "Hon.": "Honorable",
    "Gov.": "Governor", "Sen.": "Senator", "Rep.": "Representative", "Pres.": "President", "Mt.": "Mount",
    "Ave.": "Avenue", "Blvd.": "Boulevard", "Rd.": "Road", "Jr.": "Junior", "Sr.": "Senior",
    "Inc.": "Incorporated", "Ltd.": "Limited", "Corp.": "Corporation", "Co.": "Company", "vs.": "versus",
    "etc.": "et cetera", "e.g.": "for example", "i.e.": "that is", "approx.": "approximately",
    "dept.": "department", "Dept.": "Department", "vol.": "volume", "Vol.": "Volume", "fig.": "figure",
    "Fig.": "Figure", "ca.": "circa", "cf.": "compare", "a.k.a.": "also known as", "aka": "also known as",
    "incl.": "including", "max.": "maximum", "tel.": "telephone", "Tel.": "Telephone",
    "ext.": "extension", "est.": "established", "govt.": "government", "hrs.": "hours", "al.": "al",
    "Ph.D.": "P.H.D.", "w/o": "without", "w/": "with", "and/or": "and or",
}  # fmt: skip
_ABBREVIATION = re.compile(rf"(?<![\w.])(?:{one_of(_ABBREVIATIONS)})(?!\w)")
_DOCTOR = re.compile(r"\bDr\.?(?=\s[A-Z])")
_DRIVE = re.compile(r"(?<=[a-z] )Dr\.(?!\s[A-Z])")
_SAINT_OR_STREET = re.compile(r"(?:\b(\w+)\s)?\bSt(?:\.|(?=\s[A-Z]))(?!\w)")
_BEFORE_SAINT: Final = frozenset("At By For From In Of On The To With And".split())
_NUMBER = re.compile(r"\b(No|Nos|no)\.\s?(?=\d)")
_LEAST = re.compile(r"(?<!\d\s)(?<!\d)\bmin\.")
_FLIGHT = re.compile(r"(?<=\bFlight )[A-Z]{2}(?=\s?\d)")
_PAGE = re.compile(r"\b(pp?)\.\s?(?=\d)")

_ROMAN = r"((?=[IVXLC])C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3})(?<=[IVXLC]))"
_COUNTED: Final = (
    "Chapter Part Act Volume Section War Type Phase Class Book Article Appendix Bowl Title Stage Figure Level Grade "
    "Scene Season Episode Table Category Unit"
).split()
_RULERS: Final = (
    "Henry Louis Elizabeth George Charles Edward Richard James Paul Pius Benedict Leo Gregory Clement Urban Innocent "
    "Boniface Napoleon William Philip Alexander Catherine Frederick Ivan Ramses Ramesses Rama Peter Nicholas Francis "
    "Ferdinand Gustav Christian Mary Emmanuel Xavier Wilhelm Friedrich Ludwig Carl Karl Otto Joseph Leopold Haakon "
    "Olav Harald Margrethe Ptolemy Darius Xerxes Constantine Theodosius Justinian Alfonso Pedro Felipe Juan Carlos"
).split()
_COUNTED_ROMAN = re.compile(rf"\b({one_of(_COUNTED)}) {_ROMAN}\b(?!['\u2019.]\w)")
_RULER_ROMAN = re.compile(
    rf"\b({one_of(_RULERS)}) (?:{_ROMAN}\b(?<! I)|(I)\b(?=[.,;:!?)]|$|\s(?:of|was|had|died|ruled)\b))(?!['\u2019.]\w)"
)
_CENTURY = re.compile(rf"\b{_ROMAN}(?:th)? (century|centuries)\b")
_NAMED_ROMAN = re.compile(r"(?<=[a-z] )(?<=\w\w )(II|III|IV|VI|VII|VIII|IX|XI|XII|XIII|XIV|XV|XVI)\b(?!['\u2019.]\w)")
_VALUES: Final = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}

_SPELLED: Final = (
    "FBI CIA API USA UK UN EU AI URL URI CEO CFO CTO IBM ISO FAQ ATM USB CPU GPU ID UI UX IDE AWS IRS EST EDT IST "
    "ETA DIY FYI LED UFO IQ VIP GDP EMI TV AM PM AC OS IP IT IoT NGO MBA MIT UCLA UPI GSTIN IIT ICU IPO HIV DNA RNA "
    "EV IPL BBC CNN NBA NFL SUV PDF HTTP HTTPS SSH SQL CSS HTML XML MRI DVD CD TTS STT LLM SDK PC QR OTP SMS VPN "
    "SAT ECG EEG NHS ONU AIDS".replace("AIDS", "")
    .replace("SAT", "")
    .split()
)
_ACRONYM = re.compile(rf"(?<![\w./])({one_of(_SPELLED)}|[BCDFGHJKLMNPQRSTVWXZ]{{2,6}})(s?)(?![\w'\u2019]|\.\w)")
_CAPITALS = re.compile(r"[A-Z]{3,}")
_MOST_ACRONYMS: Final = 2
"""Words in capitals that a text without a small letter may hold and not be shouted."""
_SERIAL = re.compile(r"(?<![\w.-])(?=[A-Z\d]*\d[A-Z\d]*[A-Z]|[A-Z]{3,}\d{3,})[A-Z\d]{7,}(?![\w-])")
_HEX = re.compile(
    r"(?<![\w.-])(?:[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}|(?:[\da-fA-F]{2}:){5}[\da-fA-F]{2}"
    r"|(?=[a-f]*\d)(?=\d*[a-f])[\da-f]{7,64})(?![\w-])"
)
_CODE_IS = r"(?:code|PIN|OTP|passcode|password|zip|ZIP)(?:\s(?:is|number|code))?:?"

_VERSION = re.compile(r"(?<![\w.])(?:([Vv]ersion)\s)?v\.?(\d+(?:\.\d+)*)(?![\w])", re.ASCII)
_DOTTED = re.compile(r"(?<![\w.,$])(\d+(?:\.\d+){2,})(?![\w])")
_RELEASE: Final = (
    "version Version release Release Python Node Java Ubuntu Debian iOS macOS iPadOS Android Windows Chrome Firefox "
    "Django Rails Kubernetes PHP Ruby Go Rust CUDA"
).split()
_NAMED_VERSION = re.compile(rf"\b({one_of(_RELEASE)}) (\d+)\.(\d+)(?![\w.]*\d|%)")
_CALL = re.compile(r"(?<=\w)\(\)")
_LONG_FLAG = re.compile(r"(?<!\S)--(?=[a-z])")
_SHORT_FLAG = re.compile(r"(?<!\S)-(?=[a-z]{1,3}\b(?!['\u2019]))")
_SNAKE = re.compile(r"\b_*[A-Za-z]\w*_\w*\b")
_CAMEL = re.compile(r"(?<![\w.])[a-z]{2,}(?:[A-Z][a-z0-9]+)+(?!\w)")
_LANGUAGE = re.compile(r"(?<!\w)(C|F)(\+\+|#)(?!\w)")
_DOT_NAME = re.compile(r"(?<![\w.])\.(?=[A-Za-z])|(?<=[a-z])\.(?=[a-z]\w)")
_NO_SPACE = re.compile(r"(?<=[a-z])\.(?=[A-Z][a-z])")
"""Between sentences that were written without a space."""
_JS = re.compile(r"(?<=[A-Za-z])\.(js|py|ts)\b")
_SIGNS: Final = (
    (r"(?<![\w&])#(?=[A-Za-z])", "hashtag "),
    (r"(?<=\w)\s?&\s?(?=\w)", " and "),
    (r"&", " and "),
    (r"(?<!\w)@(?=\w)|\s@\s", " at "),
    (r"(?<=[A-Za-z])/(?=[A-Za-z])", " slash "),
    (r"\s?%", " percent"),
    (r"\u00a7\s?", "section "),
    (r"\$", " dollars "),
    (r"\u20ac", " euros "),
    (r"\u00a3", " pounds "),
    (r"\u20b9", " rupees "),
    (r"\u00b0", " degrees"),
    (r"[\u00a9\u00ae\u2122*_^~=<>{}\\]", " "),
    (r"(?<=[\w.])/(?=\w)", " slash "),
)


def version_rules(region: Region) -> list[Rule]:
    """Rules for codes, serial numbers and versions."""
    return [
        (
            re.compile(rf"((?<!\w)(?:{_CODE_IS})\s+)(\d{{4,8}})(?!\w|[.,/:-]\d)"),
            lambda match: match[1] + digits(match[2]),
        ),
        (re.compile(r"\b((?:[Cc]all|[Dd]ial|[Rr]ing) )(\d{3})\b"), lambda match: match[1] + digits(match[2])),
        (re.compile(r"\b([A-Z]{2} )(\d{5})\b(?![\d,.]\d)"), lambda match: match[1] + digits(match[2])),
        (_SERIAL, lambda match: _spelled_out(match[0])),
        (_HEX, lambda match: _spelled_out(match[0])),
        (_VERSION, partial(_version, region)),
        (_DOTTED, lambda match: _points(match[1], region)),
        (_NAMED_VERSION, lambda match: f"{match[1]} {_points(f'{match[2]}.{match[3]}', region)}"),
    ]


def code_rules() -> list[Rule]:
    """Rules for what programmers write."""
    return [
        (_CALL, lambda _: ""),
        (_LONG_FLAG, lambda _: "dash dash "),
        (_SHORT_FLAG, lambda _: "dash "),
        (_SNAKE, lambda match: " ".join(match[0].replace("_", " ").split())),
        (_CAMEL, lambda match: re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", match[0])),
        (_LANGUAGE, lambda match: f"{match[1]} {'sharp' if match[2] == '#' else 'plus plus'}"),
        (_JS, lambda match: f" dot {spelled(match[1])}"),
        (_NO_SPACE, lambda _: ". "),
        (_DOT_NAME, lambda match: " dot " if match.start() else "dot "),
    ]


def word_rules(region: Region) -> list[Rule]:
    """Rules for abbreviations and Roman numerals."""
    return [
        (_DOCTOR, lambda _: "Doctor"),
        (_DRIVE, partial(_keeping_stop, "Drive")),
        (_SAINT_OR_STREET, _saint_or_street),
        (_NUMBER, lambda match: "Numbers " if match[1] == "Nos" else "Number " if match[1] == "No" else "number "),
        (re.compile(r"(?<![\w&])#(?=\d)"), lambda _: "number "),
        (_LEAST, partial(_keeping_stop, "minimum")),
        (_FLIGHT, lambda match: spelled(match[0])),
        (_PAGE, lambda match: "pages " if match[1] == "pp" else "page "),
        (_ABBREVIATION, lambda match: _keeping_stop(_ABBREVIATIONS[match[0]], match)),
        (_CENTURY, lambda match: f"{ordinal(_roman(match[1]), region)} {match[2]}"),
        (_COUNTED_ROMAN, lambda match: f"{match[1]} {cardinal(_roman(match[2]), region)}"),
        (_RULER_ROMAN, lambda match: f"{match[1]} the {ordinal(_roman(match[2] or match[3]), region)}"),
        (_NAMED_ROMAN, lambda match: cardinal(_roman(match[1]), region)),
    ]


def acronym_rules() -> list[Rule]:
    """Rules for letters that are spelled, and for a letter beside a digit."""
    return [
        (re.compile(r"(?<=[A-Z])-?(?=\d)|(?<=\d)(?=[A-Z]\b)"), lambda _: " "),
        (_ACRONYM, _acronym),
    ]


def sign_rules() -> list[Rule]:
    """Rules for signs that stand alone; what has no name is left out."""
    return [(re.compile(pattern), partial(_sign, said)) for pattern, said in _SIGNS]


def _keeping_stop(said: str, match: Match) -> str:
    """`said`, with the full stop where it also ends the text."""
    at_end = not match.string[match.end() :].strip(" \"')\u201d\u2019")
    return f"{said}." if match[0].endswith(".") and at_end else said


def _saint_or_street(match: Match) -> str:
    """A street has its name before it, a saint after it."""
    before = match[1] or ""
    is_street = before[:1].isdigit() or (before[:1].isupper() and before not in _BEFORE_SAINT)
    said = _keeping_stop("Street", match) if is_street else "Saint"
    return f"{before} {said}" if before else said


def _roman(letters: str) -> int:
    values = [_VALUES[letter] for letter in letters]
    return sum(-value if value < max(values[place:]) else value for place, value in enumerate(values))


def _acronym(match: Match) -> str:
    text = match.string
    # A text in capitals throughout is shouted, not spelled.
    if not any(map(str.islower, text)) and len(_CAPITALS.findall(text)) > _MOST_ACRONYMS:
        return match[0]
    # The plural as "CPU's": in "C.P.U.s" voices spell the ending too.
    return f"{spelled(match[1])[:-1]}'s" if match[2] else spelled(match[1])


def _spelled_out(code: str) -> str:
    return " ".join(f"{sign.upper()}." if sign.isalpha() else digits(sign) for sign in code if sign.isalnum())


def _version(region: Region, match: Match) -> str:
    return f"{match[1] or 'version'} {_points(match[2], region)}"


def _points(dotted: str, region: Region) -> str:
    return " point ".join(cardinal(int(part), region) for part in dotted.split(".") if len(part) < 16)


def _sign(said: str, match: Match) -> str:
    del match
    return said
