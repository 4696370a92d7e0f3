"""Help for tests: pictures with text on them, and the messages that send them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from voxmesh.vlm.v1 import vlm_pb2
from voxmesh_testing.streams import Exchange

Request = vlm_pb2.StreamingAnalyzeRequest
Response = vlm_pb2.StreamingAnalyzeResponse
VlmExchange = Exchange[Request, Response]

READ_TEXT = vlm_pb2.Analyze.TASK_READ_TEXT
ANSWER = vlm_pb2.Analyze.TASK_ANSWER
CANCEL = Request(cancel=vlm_pb2.Cancel())
MEBIBYTE = 1024 * 1024
SCRIPTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Knda": ("kn", ("ಒಟ್ಟು ಮೊತ್ತ ೪೮.೫೦ ರೂಪಾಯಿ", "ದಯವಿಟ್ಟು ಶೀಘ್ರವಾಗಿ ಪಾವತಿಸಿ", "ನಿಮ್ಮ ಆದೇಶಕ್ಕೆ ಧನ್ಯವಾದಗಳು")),
    "Taml": ("ta", ("மொத்த தொகை நாற்பது ரூபாய்", "விரைவில் செலுத்தவும்", "உங்கள் ஆர்டருக்கு நன்றி")),
    "Deva": ("hi", ("कुल राशि ४८ रुपये है", "कृपया जल्दी भुगतान करें", "आपके आदेश के लिए धन्यवाद")),
    "Arab": ("ar", ("المبلغ الإجمالي ثمانية وأربعون", "يرجى الدفع قريبا", "شكرا لطلبك")),
}
"""Language and lines of the pictures in `scripts/`, by ISO 15924: drawn once with Noto fonts at 30 pixels, for a font
that shapes them is not on every machine."""


def written_in(script: str) -> bytes:
    """The file of a picture of `SCRIPTS`."""
    return (Path(__file__).parent / "scripts" / f"{script}.png").read_bytes()


def draw(*lines: str, width: int = 0, height: int = 0, font_pixels: int = 32) -> Image.Image:
    """Black lines of text on white; without a width or a height the picture is as large as the text needs."""
    step, font = round(font_pixels * 1.6), ImageFont.load_default(size=font_pixels)
    needed = round(max(map(font.getlength, lines))) + 2 * font_pixels
    image = Image.new("RGB", (width or needed, height or step * (len(lines) + 1)), "white")
    canvas = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        canvas.text((font_pixels, step // 2 + number * step), line, fill="black", font=font)
    return image


def file_of(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """A picture as a file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def half(file: bytes) -> bytes:
    """What is left of a file after a broken upload."""
    return file[: len(file) // 2]


def upload(data: bytes, index: int = 0, chunk_bytes: int = MEBIBYTE) -> list[Request]:
    """A file in chunks."""
    return [
        Request(image_chunk=vlm_pb2.ImageChunk(image_index=index, data=data[begin : begin + chunk_bytes]))
        for begin in range(0, len(data), chunk_bytes)
    ]


def analyze(task: Any = READ_TEXT, **fields: Any) -> Request:
    """What is asked about the pictures sent."""
    return Request(analyze=vlm_pb2.Analyze(task=task, **fields))


def read(image: Image.Image) -> list[Request]:
    """Read the text of a picture."""
    return [*upload(file_of(image)), analyze()]


def lines_of(responses: Sequence[Response], analysis: int = 0) -> list[str]:
    """The lines that were read in an analysis, in lower case without spaces."""
    lines = [response.text_line for response in responses if response.HasField("text_line")]
    return [line.text.lower().replace(" ", "") for line in lines if line.analysis_index == analysis]


def answer_of(responses: Sequence[Response], analysis: int = 0) -> str:
    """The text of an answer."""
    deltas = [response.text_delta for response in responses if response.HasField("text_delta")]
    return "".join(delta.text for delta in deltas if delta.analysis_index == analysis)


def page() -> Image.Image:
    """A picture that takes a while."""
    return draw(*(f"Line number {number} of a page" for number in range(14)), width=1000, font_pixels=40)
