"""The schema as SQL, for people who read SQL: what the migrations amount to. Exported by `make schema`."""

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from app.domain.tables import metadata

HEAD = """-- The tables of healthrecords (PostgreSQL 18), exported from the models. The migrations in app/migrations are what runs.

CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;
"""


def schema_sql() -> str:
    dialect = postgresql.dialect()
    parts = [HEAD]
    for table in metadata.sorted_tables:
        statements = [
            CreateTable(table),
            *(CreateIndex(index) for index in sorted(table.indexes, key=lambda it: str(it.name))),
        ]
        parts += [
            str(statement.compile(dialect=dialect)).strip().replace("\t", "    ") + ";" for statement in statements
        ]
        parts.append("")
    return "\n".join(line.rstrip() for line in "\n".join(parts).splitlines()) + "\n"
