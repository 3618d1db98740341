"""Orders of a made-up shop: one every hour, always the same for the same hour."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlparse

import nilus
from nilus import CustomSource

ARTICLES = ("kettle", "teapot", "cup", "tray", "spoon")


@nilus.resource()
def orders(first, days):
    for hour in range(days * 24):
        placed_at = first + timedelta(hours=hour)
        number = int(placed_at.timestamp()) // 3600
        yield {
            "order_id": number,
            "placed_at": placed_at,
            "article": ARTICLES[number % len(ARTICLES)],
            "pieces": number % 4 + 1,
        }


@nilus.source
def shop(first, days):
    return orders(first, days)


class Orders(CustomSource):
    """`custom://Orders?first=2026-01-01&days=14`: a window of it is chosen by `incremental-key: placed_at`."""

    def nilus_source(self, uri: str, table: str, **kwargs):
        query = parse_qs(urlparse(uri).query)
        first = datetime.fromisoformat(query["first"][0]).replace(tzinfo=UTC)
        return shop(first, int(query["days"][0]))
