"""The words that Indian languages have for what stands around numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Words:
    """What one language says; a pattern's `{}` is the number."""

    language: str
    point: str
    minus: str
    percent: str
    rupees: str
    rupee: str = ""
    """One of them, where it is another word."""
    paise: str = ""
    plus: str = ""
    equals: str = ""
    times: str = ""
    joins: str = ""
    """Said for &."""
    spans: str = "{} {}"
    """A range."""
    months: tuple[str, ...] = ()
    century_years: bool = False
    """Whether 1947 is nineteen hundreds and forty-seven."""
    units: Mapping[str, str] = field(default_factory=dict[str, str])
    money: Mapping[str, str] = field(default_factory=dict[str, str])
    abbreviations: Mapping[str, str] = field(default_factory=dict[str, str])
    fractions: Mapping[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])
    rupee_signs: tuple[str, ...] = ("₹",)
    code_words: str = r"(?!)"
    """Pattern of the words before a number whose digits are read one by one."""
    scales: tuple[str, ...] = ()
    """Large numbers in words, which may stand after an amount."""


HINDI: Final = Words(
    language="hi",
    point="दशमलव",
    minus="माइनस",
    percent="{} प्रतिशत",
    rupees="रुपये",
    rupee="रुपया",
    paise="पैसे",
    plus="प्लस",
    equals="बराबर",
    times="गुणा",
    joins="और",
    spans="{} से {}",
    months=tuple("जनवरी फ़रवरी मार्च अप्रैल मई जून जुलाई अगस्त सितंबर अक्टूबर नवंबर दिसंबर".split()),
    century_years=True,
    units={
        "किमी": "किलोमीटर", "कि.मी.": "किलोमीटर", "km/h": "किलोमीटर प्रति घंटा", "km": "किलोमीटर", "m": "मीटर",
        "cm": "सेंटीमीटर", "सेमी": "सेंटीमीटर", "mm": "मिलीमीटर", "किग्रा": "किलोग्राम", "कि.ग्रा.": "किलोग्राम",
        "kg": "किलोग्राम", "g": "ग्राम", "mg": "मिलीग्राम", "ml": "मिलीलीटर", "l": "लीटर", "L": "लीटर",
        "°C": "डिग्री सेल्सियस", "°F": "डिग्री फ़ारेनहाइट", "°": "डिग्री", "GB": "जीबी", "MB": "एमबी", "TB": "टीबी",
        "kW": "किलोवाट", "W": "वाट", "V": "वोल्ट", "Hz": "हर्ट्ज़", "ft": "फ़ुट",
    },
    money={"$": "डॉलर", "€": "यूरो", "£": "पाउंड", "¥": "येन"},
    abbreviations={
        "डॉ.": "डॉक्टर", "डा.": "डॉक्टर", "प्रो.": "प्रोफ़ेसर", "कि.मी.": "किलोमीटर", "सं.": "संख्या", "नं.": "नंबर",
        "पृ.": "पृष्ठ", "उदा.": "उदाहरण",
    },
    fractions={(1, 2): "आधा", (1, 4): "एक चौथाई", (3, 4): "तीन चौथाई", (1, 3): "एक तिहाई", (2, 3): "दो तिहाई"},
    rupee_signs=("₹", "रु.", "रु", "रू.", "रू", "Rs.", "Rs"),
    code_words=r"(?:कोड|पिन|ओटीपी|पासवर्ड|OTP|PIN)(?: कोड| नंबर)?:?(?: है)?",
    scales=("हज़ार", "हजार", "लाख", "करोड़", "अरब"),
)  # fmt: skip

KANNADA: Final = Words(
    language="kn",
    point="ಬಿಂದು",
    minus="ಮೈನಸ್",
    percent="ಶೇಕಡಾ {}",
    rupees="ರೂಪಾಯಿ",
    paise="ಪೈಸೆ",
    plus="ಪ್ಲಸ್",
    equals="ಸಮ",
    times="ಗುಣಿಸು",
    joins="ಮತ್ತು",
    months=tuple(
        "ಜನವರಿ ಫೆಬ್ರವರಿ ಮಾರ್ಚ್ ಏಪ್ರಿಲ್ ಮೇ ಜೂನ್ ಜುಲೈ ಆಗಸ್ಟ್ ಸೆಪ್ಟೆಂಬರ್ ಅಕ್ಟೋಬರ್ ನವೆಂಬರ್ ಡಿಸೆಂಬರ್".split()
    ),
    units={
        "ಕಿ.ಮೀ.": "ಕಿಲೋಮೀಟರ್", "ಕಿ.ಮೀ": "ಕಿಲೋಮೀಟರ್", "ಕಿಮೀ": "ಕಿಲೋಮೀಟರ್", "km/h": "ಕಿಲೋಮೀಟರ್ ಪ್ರತಿ ಗಂಟೆಗೆ",
        "km": "ಕಿಲೋಮೀಟರ್", "m": "ಮೀಟರ್", "ಮೀ.": "ಮೀಟರ್", "cm": "ಸೆಂಟಿಮೀಟರ್", "mm": "ಮಿಲಿಮೀಟರ್", "ಕೆ.ಜಿ.": "ಕಿಲೋಗ್ರಾಂ",
        "ಕೆ.ಜಿ": "ಕಿಲೋಗ್ರಾಂ", "ಕೆಜಿ": "ಕಿಲೋಗ್ರಾಂ", "kg": "ಕಿಲೋಗ್ರಾಂ", "g": "ಗ್ರಾಂ", "mg": "ಮಿಲಿಗ್ರಾಂ", "ml": "ಮಿಲಿಲೀಟರ್",
        "l": "ಲೀಟರ್", "L": "ಲೀಟರ್", "°C": "ಡಿಗ್ರಿ ಸೆಲ್ಸಿಯಸ್", "°F": "ಡಿಗ್ರಿ ಫ್ಯಾರನ್‌ಹೀಟ್", "°": "ಡಿಗ್ರಿ", "GB": "ಜಿಬಿ",
        "MB": "ಎಂಬಿ", "TB": "ಟಿಬಿ", "kW": "ಕಿಲೋವ್ಯಾಟ್", "W": "ವ್ಯಾಟ್", "V": "ವೋಲ್ಟ್", "Hz": "ಹರ್ಟ್ಜ್", "ft": "ಅಡಿ",
    },
    money={"$": "ಡಾಲರ್", "€": "ಯೂರೋ", "£": "ಪೌಂಡ್", "¥": "ಯೆನ್"},
    abbreviations={
        "ಡಾ.": "ಡಾಕ್ಟರ್", "ಪ್ರೊ.": "ಪ್ರೊಫೆಸರ್", "ಶೇ.": "ಶೇಕಡಾ", "ಶೇ ": "ಶೇಕಡಾ ", "ಕಿ.ಮೀ.": "ಕಿಲೋಮೀಟರ್", "ನಂ.": "ನಂಬರ್",
        "ಸಂ.": "ಸಂಖ್ಯೆ", "ಪು.": "ಪುಟ",
    },
    fractions={(1, 2): "ಅರ್ಧ", (1, 4): "ಕಾಲು", (3, 4): "ಮುಕ್ಕಾಲು"},
    rupee_signs=("₹", "ರೂ.", "ರೂ", "ರು.", "Rs.", "Rs"),
    code_words=r"(?:ಕೋಡ್|ಪಿನ್|ಒಟಿಪಿ|ಪಾಸ್‌ವರ್ಡ್|OTP|PIN)(?: ಕೋಡ್| ಸಂಖ್ಯೆ)?:?",
    scales=("ಸಾವಿರ", "ಲಕ್ಷ", "ಕೋಟಿ"),
)  # fmt: skip

_OTHERS: Final = (
    Words("mr", "दशांश", "उणे", "{} टक्के", "रुपये"),
    Words("ne", "दशमलव", "माइनस", "{} प्रतिशत", "रुपैयाँ"),
    Words("bn", "দশমিক", "মাইনাস", "{} শতাংশ", "টাকা"),
    Words("as", "দশমিক", "মাইনাছ", "{} শতাংশ", "টকা"),
    Words("pa", "ਦਸ਼ਮਲਵ", "ਮਾਈਨਸ", "{} ਫ਼ੀਸਦੀ", "ਰੁਪਏ"),
    Words("gu", "દશાંશ", "માઇનસ", "{} ટકા", "રૂપિયા"),
    Words("or", "ଦଶମିକ", "ମାଇନସ୍", "{} ପ୍ରତିଶତ", "ଟଙ୍କା"),
    Words("ta", "புள்ளி", "மைனஸ்", "{} சதவீதம்", "ரூபாய்"),
    Words("te", "పాయింట్", "మైనస్", "{} శాతం", "రూపాయలు"),
    Words("ml", "ദശാംശം", "മൈനസ്", "{} ശതമാനം", "രൂപ"),
    Words("ur", "اعشاریہ", "منفی", "{} فیصد", "روپے"),
)
WORDS: Final = {words.language: words for words in (HINDI, KANNADA, *_OTHERS)}
