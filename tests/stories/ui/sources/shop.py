"""The shop's data."""

import nilus
from nilus import CustomSource


class Shop(CustomSource):
    """Orders of the shop, as its API lists them.

    One row for each order; `ordered_at` is in UTC.
    """

    def nilus_source(self, uri, table, **kwargs):
        rows = [{"id": number, "article": "cup", "ordered_at": "2026-01-01T00:00:00Z"} for number in range(20)]
        return nilus.resource(rows, name="orders", primary_key="id")
