"""Pages of rows in the order in which they were made: behind one of them, or before it."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.completions import Order

_COLUMNS: Final = "(created, number)"


def page_of(
    where: list[str], values: list[Any], order: Order, limit: int, after: Any, before: Any, alias: str
) -> tuple[str, bool]:
    """The end of a statement, ``WHERE … ORDER BY … LIMIT …``, to which `values` are added: one row more than `limit`,
    to know whether there are more. `after` and `before` are rows with `created` and `number`, or None. Also whether
    the rows come in the opposite order: a page before a row is read backwards."""
    backwards = before is not None and after is None
    ascending = (order == "asc") != backwards
    columns = _COLUMNS.replace("created", f"{alias}.created").replace("number", f"{alias}.number")
    conditions = list(where)
    for row, forwards in ((after, True), (before, False)):
        if row is not None:
            values += [row["created"], row["number"]]
            sign = ">" if (order == "asc") == forwards else "<"
            conditions.append(f"{columns} {sign} (${len(values) - 1}, ${len(values)})")
    values.append(limit + 1)
    way = "ASC" if ascending else "DESC"
    return (
        f"WHERE {' AND '.join(conditions)} ORDER BY {alias}.created {way}, {alias}.number {way} LIMIT ${len(values)}",
        backwards,
    )
