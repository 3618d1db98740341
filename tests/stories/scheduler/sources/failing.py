"""A source that fails while it yields rows."""

import nilus
from nilus import CustomSource


def price(order):
    return order["pieces"] * order["price"]


@nilus.resource(write_disposition="append")
def orders():
    yield {"order_id": 1, "total": price({"pieces": 2, "price": 3})}
    yield {"order_id": 2, "total": price({"pieces": 2})}


@nilus.source
def shop():
    return orders()


class Failing(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return shop()
