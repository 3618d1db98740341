"""A source of as many rows as its address says."""

from urllib.parse import parse_qs, urlparse

import nilus
from nilus import CustomSource


class Telling(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        rows = parse_qs(urlparse(uri).query)["rows"][0]

        @nilus.source
        def shop():
            @nilus.resource
            def orders():
                if rows == "broken":
                    raise ValueError("no rows today")
                yield from ({"order_id": number, "card": "4111"} for number in range(int(rows)))

            return orders

        return shop()
