"""The marks and abbreviations that decide where a clause ends."""
# ruff: noqa: RUF001 - the marks of other scripts look like ASCII ones, and that is the point

from __future__ import annotations

from typing import Final

STOPS: Final = frozenset(".!?…")
"""End a sentence, unless what is around them says otherwise."""
FULL_STOPS: Final = frozenset("。！？।॥")
"""End a sentence always."""
PAUSES: Final = frozenset(",;:")
"""End a clause when a space follows."""
FULL_PAUSES: Final = frozenset("—、，；：")
"""End a clause whatever follows."""
OPENERS: Final = "([{\"'“‘*_"
"""May stand before a word."""
CLOSERS: Final = " \t\r\n)]}\"'”’»*_~`.,;:!?…—–-。！？।॥、，；："
"""May stand before a clause only because they ended the one before."""
WORD_CLOSERS: Final = ")]}\"'”’*_`"
"""May stand between a word and its full stop."""

_ABBREVIATIONS = """
Mr Mrs Ms Mx Messrs Dr Prof St Jr Sr Gen Col Sgt Capt Lt Rev Hon Gov Sen Rep Pres Mt Ave Blvd Rd
Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec Mon Tue Tues Wed Thu Thurs Fri
Inc Ltd Corp Co Fig Vol Tel Ph etc vs cf approx dept vol fig eg ie al pp ca incl max tel
Rs sq Dept lb lbs oz tsp tbsp
डॉ डा प्रो श्री रु रू कि कि.मी कि.ग्रा सं नं पृ
ಡಾ ಪ್ರೊ ಶ್ರೀ ರೂ ರು ಶೇ ಕಿ ಕಿ.ಮೀ ಕೆ ಕೆ.ಜಿ ನಂ ಸಂ ಪು
"""
ABBREVIATIONS: Final = frozenset(_ABBREVIATIONS.split())
"""Words whose full stop ends no sentence; those that are words of their own, such as "no", are not here."""

_MONTHS = """
January February March April May June July August September October November December
Jan Feb Mar Apr Jun Jul Aug Sep Sept Oct Nov Dec
जनवरी फ़रवरी फरवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर सितम्बर अक्टूबर नवंबर नवम्बर दिसंबर दिसम्बर
ಜನವರಿ ಫೆಬ್ರವರಿ ಮಾರ್ಚ್ ಏಪ್ರಿಲ್ ಮೇ ಜೂನ್ ಜುಲೈ ಆಗಸ್ಟ್ ಸೆಪ್ಟೆಂಬರ್ ಅಕ್ಟೋಬರ್ ನವೆಂಬರ್ ಡಿಸೆಂಬರ್
"""
MONTHS: Final = tuple(_MONTHS.split())
"""Months as they are written; what follows one is its day or year."""
SHORT_DAYS: Final = ("Mon", "Tue", "Tues", "Wed", "Thu", "Thurs", "Fri", "Sat", "Sun")
"""Days of the week as they stand before a date."""

_CLAUSE_WORDS = """
and but or nor so yet because since although though while when whenever where wherever if unless until which who whose
that then than after before
और लेकिन मगर पर या क्योंकि कि जो जब तब अगर तो ताकि जबकि
ಮತ್ತು ಆದರೆ ಅಥವಾ ಏಕೆಂದರೆ ಆದ್ದರಿಂದ ಹಾಗೂ ಆಗ
"""
CLAUSE_WORDS: Final = frozenset(_CLAUSE_WORDS.split())
"""Words before which a speaker may take breath."""
