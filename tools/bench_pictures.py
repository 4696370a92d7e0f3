"""Draw the pictures of `voxmesh bench vlm` again: a scanned page, a web page, Kannada, and Kannada with English.

python tools/bench_pictures.py

Needs the fonts DejaVu and Noto (Debian: fonts-dejavu, fonts-noto-core), and Pillow with raqm, which joins the letters
of Kannada (Debian: libfribidi0). What they say is taken from the file of cases, with which answers are compared.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
from distributions import ROOT
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features

FOLDER = ROOT / "client/voxmesh_client/bench/pictures/cases"
FONTS = Path("/usr/share/fonts/truetype")
MONO = "dejavu/DejaVuSansMono.ttf"
SANS, BOLD = "noto/NotoSans-Regular.ttf", "noto/NotoSans-Bold.ttf"
KANNADA = "noto/NotoSansKannada-Regular.ttf"
SEED = 2026
KANNADA_BLOCK = range(0x0C80, 0x0D00)
INK, GREY, PALE, BLUE = "#1c1c1c", "#6a6a6a", "#e4e6ea", "#2456c8"


def main() -> None:
    """Write all pictures."""
    if not features.check("raqm"):
        raise SystemExit("this Pillow cannot join the letters of Kannada: install libfribidi0")
    cases = tomllib.loads((FOLDER / "seed.toml").read_text(encoding="utf-8"))["cases"]
    said = {case["picture"]: case["lines"] for case in cases if "lines" in case}
    document(said["document.jpg"]).save(FOLDER / "document.jpg", quality=50, optimize=True)
    web_page().save(FOLDER / "screenshot.png", optimize=True)
    for name in ("kannada.png", "mixed.png"):
        page(said[name]).save(FOLDER / name, optimize=True)


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """A font that joins letters where its script asks for it."""
    return ImageFont.truetype(str(FONTS / name), size, layout_engine=ImageFont.Layout.RAQM)


def document(lines: list[str]) -> Image.Image:
    """A typewritten page as a scanner sees it: not quite straight, not quite sharp, on grey paper."""
    page_image = Image.new("L", (1240, 1240), 236)
    draw, typed = ImageDraw.Draw(page_image), font(MONO, 26)
    for number, line in enumerate(lines):
        draw.text((110, 110 + 46 * number), line, font=typed, fill=40)
    turned = page_image.rotate(0.6, Image.Resampling.BICUBIC, fillcolor=236).filter(ImageFilter.GaussianBlur(0.7))
    noise = np.random.default_rng(SEED).normal(0, 5, (turned.height, turned.width))
    return Image.fromarray(np.clip(np.asarray(turned, np.float64) + noise, 0, 255).astype(np.uint8))


def web_page() -> Image.Image:
    """The page of one drawing in a shop for icons."""
    image = Image.new("RGB", (1280, 800), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1280, 72), fill="#f6f7f9")
    draw.text((40, 18), "GlyphBazaar", font=font(BOLD, 28), fill=BLUE)
    draw.rounded_rectangle((300, 16, 860, 56), 20, fill="white", outline="#c8ccd4")
    draw.text((324, 24), "Search 2 million icons", font=font(SANS, 18), fill=GREY)
    for x, label in ((930, "Pricing"), (1040, "Log in"), (1150, "Sign up")):
        draw.text((x, 24), label, font=font(SANS, 18), fill=INK)
    draw.rounded_rectangle((60, 120, 620, 640), 16, fill="#f2f3f6")
    lighthouse(draw)
    draw.text((680, 124), "Lighthouse icon", font=font(BOLD, 34), fill=INK)
    draw.text((680, 180), "by Mira Olsen, from the set Harbour Lines", font=font(SANS, 19), fill=GREY)
    plans = (("Subscription", "$3.50 a month"), ("Single licence", "$4.95"), ("With attribution", "Free"))
    for number, (name, price) in enumerate(plans):
        top = 236 + 84 * number
        draw.rounded_rectangle((680, top, 1220, top + 68), 10, outline="#c8ccd4", width=2)
        draw.text((704, top + 20), name, font=font(SANS, 20), fill=INK)
        draw.text((1040, top + 20), price, font=font(BOLD, 20), fill=INK)
    draw.rounded_rectangle((680, 506, 1220, 566), 10, fill=BLUE)
    draw.text((880, 520), "Download SVG", font=font(BOLD, 22), fill="white")
    draw.text((680, 596), "Colour", font=font(SANS, 18), fill=GREY)
    for number, colour in enumerate(("#1c1c1c", "#c0392b", "#27864a", BLUE)):
        draw.ellipse((770 + 52 * number, 590, 804 + 52 * number, 624), fill=colour)
    draw.text((60, 670), "More from this set", font=font(BOLD, 20), fill=INK)
    for number, label in enumerate(("Anchor", "Boat", "Gull", "Wave", "Rope", "Crab")):
        left = 60 + 196 * number
        draw.rounded_rectangle((left, 706, left + 176, 776), 10, fill=PALE)
        draw.text((left + 56, 728), label, font=font(SANS, 18), fill=INK)
    return image


def lighthouse(draw: ImageDraw.ImageDraw) -> None:
    """A tower with stripes, a lamp and two beams."""
    draw.polygon([(290, 560), (310, 300), (370, 300), (390, 560)], outline=INK, width=6)
    for top in (360, 440, 520):
        draw.line((300, top, 380, top - 14), fill=INK, width=12)
    draw.rectangle((314, 244, 366, 300), outline=INK, width=6)
    draw.polygon([(304, 244), (340, 206), (376, 244)], fill=INK)
    draw.line((306, 262, 170, 230), fill=INK, width=5)
    draw.line((374, 262, 510, 230), fill=INK, width=5)
    draw.arc((180, 540, 500, 620), 20, 160, fill=INK, width=6)


def page(lines: list[str]) -> Image.Image:
    """Lines in large letters, each run of letters in the font of its script."""
    image = Image.new("L", (1240, 60 + 92 * len(lines)), 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        x, baseline = 50.0, 92 * (number + 1)
        for run, name in runs(line):
            drawn = font(name, 38)
            draw.text((x, baseline), run, font=drawn, fill=0, anchor="ls")
            x += drawn.getlength(run)
    return image


def runs(line: str) -> list[tuple[str, str]]:
    """A line cut where its script changes, each piece with its font; spaces and points stay with what is before."""
    pieces: list[tuple[str, str]] = []
    for letter in line:
        if letter.isascii() and not letter.isalnum() and letter not in "[]" and pieces:
            pieces[-1] = (pieces[-1][0] + letter, pieces[-1][1])
            continue
        name = KANNADA if ord(letter) in KANNADA_BLOCK or letter == "\u200c" else SANS
        if pieces and pieces[-1][1] == name:
            pieces[-1] = (pieces[-1][0] + letter, name)
        else:
            pieces.append((letter, name))
    return pieces


if __name__ == "__main__":
    main()
