"""Static source: a small, fixed data set."""

import nilus


@nilus.resource()
def fetch_random_users():
    for d in [{"id": 1, "name": "Alice"}]:
        yield d

@nilus.source
def random_user_source(uri, table, **kwargs):
    return fetch_random_users()


class StaticSource(nilus.CustomSource):
    def nilus_source(self, uri: str, table: str, **kwargs):
        return random_user_source(uri, table, **kwargs)
