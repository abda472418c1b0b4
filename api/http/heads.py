"""HEAD: what GET would say before its answer, without the answer.

Law: nothing is made that only the answer needs, and nothing of the ledger is told, so a HEAD is no
reading. It refuses what GET refuses before it begins to answer, with the same status; a header that
only the answer could tell is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

GET_AND_HEAD = ["GET", "HEAD"]


def head_of(media_type: str, headers: Mapping[str, str]) -> Response:
    """The head of an answer.

    Args:
        media_type: of the answer.
        headers: what is known of it besides.
    """
    response = Response(headers=dict(headers), media_type=media_type)
    del response.headers["Content-Length"]  # nobody knows how long the answer would be
    return response
