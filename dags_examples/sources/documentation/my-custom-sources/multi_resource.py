"""Multi-resource source: one resource replaces its table, the other appends to it."""

import nilus
from utils import fetch_activities, fetch_users


@nilus.resource(write_disposition="replace")
def users():
    yield from fetch_users()

@nilus.resource(write_disposition="append")
def activities():
    yield from fetch_activities()

@nilus.source
def multi_resource_source(uri, table, **kwargs):
    return users(), activities()


class MultiResourceSource(nilus.CustomSource):
    def nilus_source(self, uri: str, table: str, **kwargs):
        return multi_resource_source(uri, table, **kwargs)
