"""A paper as plain text of 88 columns."""

import textwrap

from seeds.generator.dates import short, spoken
from seeds.generator.paper import Paper, Section, Table

_WIDTH = 88


def _wrapped(line: str) -> list[str]:
    indent = "  " if line.startswith("- ") else ""
    return textwrap.wrap(line, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _row(cells: tuple[str, ...], widths: tuple[int, ...]) -> str:
    return "".join(f"{cell[:width]:<{width}} " for cell, width in zip(cells, widths, strict=True)).rstrip()


def _table(table: Table) -> list[str]:
    rule = "-" * (sum(table.widths) + len(table.widths) - 1)
    return [_row(table.head, table.widths), rule, *(_row(row, table.widths) for row in table.rows)]


def _section(section: Section) -> list[str]:
    lines = ["", section.title.upper()]
    for paragraph in section.lines:
        lines += _wrapped(paragraph)
    if section.table:
        lines += ["", *_table(section.table)] if section.lines else _table(section.table)
    return lines


def heading(paper: Paper) -> tuple[tuple[str, str], ...]:
    """The lines about whom, when and by whom that stand above every document."""
    person, author = paper.person, paper.author
    lines = [
        ("Patient", f"{person.name}, born {short(person.born)}, {person.gender}"),
        ("Date", f"{spoken(paper.when.date())}, {paper.when:%H:%M}"),
        ("Author", f"{author.name}, {author.role}"),
    ]
    return (*lines, ("To", paper.recipient)) if paper.recipient else tuple(lines)


def render(paper: Paper) -> str:
    house = paper.author.organisation
    lines = [house.name.upper(), f"{house.address}   Tel. {house.phone}", "", paper.title, "=" * len(paper.title)]
    lines += [f"{label + ':':<10}{value}" for label, value in heading(paper)]
    for section in paper.sections:
        lines += _section(section)
    return "\n".join([*lines, "", f"{paper.author.name}", f"{paper.author.role}, {house.name}", ""])
