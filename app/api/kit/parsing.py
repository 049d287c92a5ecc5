"""Parsing and validating documents, each once. Strawberry's caches, with two things mended."""

from collections.abc import Iterator
from contextlib import suppress

from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache

CACHED_DOCUMENTS = 500
MAX_CACHED = 20_000
"""In characters. A document with a file written into it is not sent twice, and would fill the memory."""


class Parsing(ParserCache):
    """A syntax error is left to the parser proper, which reports it; raised from here it would end a whole stream."""

    def __init__(self) -> None:
        super().__init__(CACHED_DOCUMENTS)

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        if context.query and len(context.query) <= MAX_CACHED:
            with suppress(GraphQLError):
                context.graphql_document = self.cached_parse_document(context.query, **context.parse_options)
        yield


class Validating(ValidationCache):
    def __init__(self) -> None:
        super().__init__(CACHED_DOCUMENTS)

    def on_validate(self) -> Iterator[None]:
        if len(self.execution_context.query or "") <= MAX_CACHED:
            yield from super().on_validate()
        else:
            yield
