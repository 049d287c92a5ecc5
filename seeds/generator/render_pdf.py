"""A paper as PDF: letterhead, tables, page numbers.

Lines are broken here and set with `text()`: fpdf2's `multi_cell` takes forty times as long. Streams stay uncompressed,
since the output of zlib differs between its builds and the cohort must not.
"""

from functools import lru_cache

from fpdf import FPDF

from seeds.generator.paper import Paper, Section, Table
from seeds.generator.render_text import heading

_LEFT, _RIGHT, _TOP, _BOTTOM = 20.0, 190.0, 20.0, 272.0
_LINE = 4.8
_HOUSE_COLOURS = {
    "millbrook-health-centre": (22, 92, 90),
    "st-brannock-hospital": (28, 58, 120),
    "norchester-laboratory": (110, 52, 30),
}


@lru_cache(maxsize=1)
def _ruler() -> FPDF:
    """Measures words. Its state is the font alone, set before each use."""
    return FPDF()


@lru_cache(maxsize=20_000)
def _width(word: str, style: str, size: float) -> float:
    ruler = _ruler()
    ruler.set_font("Helvetica", style, size)
    return ruler.get_string_width(word)


def _broken(text: str, width: float, style: str, size: float) -> list[str]:
    space = _width(" ", style, size)
    lines: list[str] = []
    words: list[str] = []
    used = 0.0
    for word in text.split(" "):
        length = _width(word, style, size)
        if words and used + space + length > width:
            lines.append(" ".join(words))
            words, used = [], 0.0
        used += length + (space if words else 0.0)
        words.append(word)
    return [*lines, " ".join(words)]


class _Sheet:
    """A pen on a page: it moves down and turns the page by itself."""

    def __init__(self, paper: Paper) -> None:
        self.paper = paper
        self.pdf = FPDF(format="A4")
        self.pdf.set_compression(False)
        self.pdf.set_auto_page_break(False)
        self.pdf.set_creation_date(paper.when)
        self.pdf.set_title(f"{paper.title} - {paper.person.name}")
        self.pdf.set_author(paper.author.name)
        self.pdf.set_producer("Norchester document service")
        self.colour = _HOUSE_COLOURS[paper.author.organisation.id]
        self.y = 0.0
        self._turn()

    def _turn(self) -> None:
        self.pdf.add_page()
        self.y = _TOP
        self._letterhead()

    def _letterhead(self) -> None:
        house, pdf = self.paper.author.organisation, self.pdf
        pdf.set_fill_color(*self.colour)
        pdf.rect(0, 0, 210, 5, style="F")
        pdf.set_text_color(*self.colour)
        self.put(house.name, _LEFT, "B", 14)
        pdf.set_text_color(90, 90, 90)
        self.y += 5
        self.put(f"{house.kind} - {house.address} - Tel. {house.phone}", _LEFT, "", 8)
        self.y += 3
        pdf.set_draw_color(*self.colour)
        pdf.line(_LEFT, self.y, _RIGHT, self.y)
        pdf.set_text_color(20, 20, 20)
        self.y += 9

    def put(self, text: str, x: float, style: str, size: float) -> None:
        self.pdf.set_font("Helvetica", style, size)
        self.pdf.text(x, self.y, text)

    def room(self, height: float) -> None:
        if self.y + height > _BOTTOM:
            self._turn()

    def paragraph(self, text: str, style: str = "", size: float = 10) -> None:
        listed = text.startswith("- ")
        x = _LEFT + (5 if listed else 0)
        for number, line in enumerate(_broken(text.removeprefix("- "), _RIGHT - x, style, size)):
            self.room(_LINE)
            if listed and number == 0:
                self.put("-", _LEFT + 1, style, size)
            self.put(line, x, style, size)
            self.y += _LINE
        self.y += 0.6 if listed else 1.6

    def table(self, table: Table) -> None:
        share = (_RIGHT - _LEFT) / sum(table.widths)
        edges = [_LEFT + sum(table.widths[:column]) * share for column in range(len(table.widths))]
        self.room(14)
        self._cells(table.head, edges, "B", shade=True)
        for row in table.rows:
            self.room(7)
            self._cells(row, edges, "B" if row[-1] in {"H", "L"} else "", shade=False)
        self.y += 3

    def _cells(self, cells: tuple[str, ...], edges: list[float], style: str, *, shade: bool) -> None:
        if shade:
            self.pdf.set_fill_color(232, 236, 240)
            self.pdf.rect(_LEFT, self.y - 4.2, _RIGHT - _LEFT, 6, style="F")
        for cell, edge in zip(cells, edges, strict=True):
            self.put(cell, edge + 1, style, 9)
        self.pdf.set_draw_color(200, 204, 208)
        self.pdf.line(_LEFT, self.y + 1.8, _RIGHT, self.y + 1.8)
        self.y += 6

    def section(self, section: Section) -> None:
        self.room(16)
        self.y += 2.5
        self.pdf.set_text_color(*self.colour)
        self.put(section.title, _LEFT, "B", 11)
        self.pdf.set_text_color(20, 20, 20)
        self.y += 6
        for line in section.lines:
            self.paragraph(line)
        if section.table:
            self.y += 2
            self.table(section.table)

    def finish(self) -> bytes:
        author, pdf = self.paper.author, self.pdf
        self.room(20)
        self.y += 6
        self.put(author.name, _LEFT, "B", 10)
        self.y += _LINE
        self.put(f"{author.role}, {author.organisation.name}", _LEFT, "", 9)
        for number in range(1, pdf.pages_count + 1):
            pdf.page = number
            pdf.set_text_color(110, 110, 110)
            self.y = 285
            self.put(f"{self.paper.person.name}, born {self.paper.person.born.isoformat()}", _LEFT, "", 8)
            self.put(f"Page {number} of {pdf.pages_count}", 172, "", 8)
        return bytes(pdf.output())


def render(paper: Paper) -> bytes:
    sheet = _Sheet(paper)
    sheet.paragraph(paper.title, "B", 13)
    sheet.y += 1
    for label, value in heading(paper):
        sheet.put(f"{label}:", _LEFT, "B", 9)
        sheet.put(value, _LEFT + 20, "", 9)
        sheet.y += _LINE
    for section in paper.sections:
        sheet.section(section)
    return sheet.finish()
