"""Scanned paper: a food diary written by hand, and letters that came by fax."""

import random
import unicodedata
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from seeds.generator.dates import short
from seeds.generator.handwriting import write
from seeds.generator.onebit import encode
from seeds.generator.paper import Paper, Section, Table
from seeds.generator.render_text import heading

_WIDTH, _HEIGHT, _MARGIN, _LINE = 850, 1100, 70, 21


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The face that Pillow carries along, so that the page does not depend on installed fonts."""
    return ImageFont.load_default(size)


def _plain(text: str) -> str:
    """Without what neither Pillow's face nor the hand can write: accents, the micro sign, raised digits, guillemets."""
    bare = unicodedata.normalize("NFKD", text.translate({0xB5: "u", 0xAB: '"', 0xBB: '"'}))
    return bare.encode("ascii", "ignore").decode("ascii")


def _dust(draw: ImageDraw.ImageDraw, height: int, rng: random.Random) -> None:
    for _ in range(70):
        x, y = rng.randrange(_WIDTH), rng.randrange(height)
        draw.ellipse((x, y, x + rng.randint(0, 2), y + rng.randint(0, 1)), fill=0)


def _diary(paper: Paper, rng: random.Random) -> Image.Image:
    image = Image.new("1", (_WIDTH, _HEIGHT), 1)
    draw = ImageDraw.Draw(image)
    tilt = rng.uniform(-8, 8)
    for y in range(150, _HEIGHT - 40, 44):
        for x in range(30, _WIDTH - 30, 8):
            draw.point((x, y + tilt * x / _WIDTH), fill=0)
    draw.line((105, 20, 105 + tilt / 2, _HEIGHT - 20), fill=0)
    write(draw, f"Food diary  {_plain(paper.person.name)}", 130, 84, 3.4, rng)
    y = 150 - 6
    for section in paper.sections:
        end = write(draw, section.title, 120, y, 3.0, rng)
        draw.line((120, y + 6, end, y + 5 + rng.uniform(-2, 2)), fill=0, width=2)
        y += 44
        for line in section.lines:
            write(draw, line, 132 + rng.uniform(-4, 6), y + tilt / 3, 2.5, rng)
            y += 44
        y += 44
    if rng.random() < 0.6:
        write(draw, f"for {paper.author.given}, {short(paper.when.date())}", 420, min(y, _HEIGHT - 60), 2.5, rng)
    _dust(draw, _HEIGHT, rng)
    return image


class _Page:
    """Lines of print that grow downwards; the sheet is cut to their length at the end."""

    def __init__(self) -> None:
        self.image = Image.new("L", (_WIDTH, 3 * _HEIGHT), 255)
        self.draw = ImageDraw.Draw(self.image)
        self.y = 60

    def put(self, text: str, size: int = 16, x: int = _MARGIN) -> None:
        self.draw.text((x, self.y), _plain(text), font=_font(size), fill=0)

    def paragraph(self, text: str, size: int = 16) -> None:
        font = _font(size)
        line = ""
        for word in _plain(text).split(" "):
            longer = f"{line} {word}" if line else word
            if line and font.getlength(longer) > _WIDTH - 2 * _MARGIN:
                self.put(line, size)
                self.y += _LINE
                line = word
            else:
                line = longer
        self.put(line, size)
        self.y += _LINE + 6

    def table(self, table: Table) -> None:
        share = (_WIDTH - 2 * _MARGIN) / sum(table.widths)
        for row in (table.head, *table.rows):
            for column, cell in enumerate(row):
                self.put(cell, 15, _MARGIN + round(sum(table.widths[:column]) * share))
            self.y += _LINE
            self.draw.line((_MARGIN, self.y - 2, _WIDTH - _MARGIN, self.y - 2), fill=120)
        self.y += 8

    def section(self, section: Section) -> None:
        self.y += 8
        self.put(section.title.upper(), 15)
        self.y += _LINE + 2
        for line in section.lines:
            self.paragraph(line)
        if section.table:
            self.table(section.table)


def _fax(paper: Paper, rng: random.Random) -> Image.Image:
    page, house = _Page(), paper.author.organisation
    page.y = 14
    page.put(f"FAX {paper.when:%d-%m-%Y %H:%M}   {house.name.upper()}   {house.phone}   P.01/01", 13, 40)
    page.y = 60
    page.put(house.name, 26)
    page.y += 34
    page.put(house.address, 14)
    page.y += 40
    page.paragraph(paper.title, 20)
    for label, value in heading(paper):
        page.put(f"{label}: {value}")
        page.y += _LINE
    for section in paper.sections:
        page.section(section)
    page.y += 18
    write(page.draw, paper.author.family, _MARGIN + 10, page.y + 20, 3.6, rng)
    page.y += 40
    page.put(f"{paper.author.name}, {paper.author.role}", 15)
    height = max(_HEIGHT, page.y + 60)
    sheet = page.image.crop((0, 0, _WIDTH, height)).point([0] * 151 + [255] * 105)
    image = sheet.convert("1", dither=Image.Dither.NONE)
    _dust(ImageDraw.Draw(image), height, rng)
    return image


def render(paper: Paper, rng: random.Random) -> bytes:
    return encode(_diary(paper, rng) if paper.kind == "diary" else _fax(paper, rng))
