"""The span of a GraphQL operation, below that of its request (see `api.tracing`).

Law: it has the kind of the operation, the name of the trusted document and the cost, as they were
noted of the request; nothing of the question itself.
"""

from __future__ import annotations

from collections.abc import Iterator

from strawberry.extensions import SchemaExtension

from api.noted import noted
from api.tracing import span, tell


class Traced(SchemaExtension):
    """Opens a span for what is executed."""

    def on_execute(self) -> Iterator[None]:
        note = noted()
        kind = "question" if note is None or note.kind is None else note.kind
        name = None if note is None else note.document
        with span(f"graphql {kind}", {"qledger.document": name} if name else None):
            yield
            if note is not None:
                tell({"qledger.cost": None if note.spent is None else note.spent.cost})
