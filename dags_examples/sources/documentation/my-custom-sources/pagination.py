"""Performance optimization: one page after the other."""

import nilus
from utils import get_paginated_data


@nilus.resource()
def fetch_large_dataset(batch_size=1000):
    page = 1
    has_more = True

    while has_more:
        data, has_more = get_paginated_data(page=page, size=batch_size)
        for item in data:
            yield item
        page += 1


class PaginationSource(nilus.CustomSource):
    def nilus_source(self, uri: str, table: str, **kwargs):
        return fetch_large_dataset()
