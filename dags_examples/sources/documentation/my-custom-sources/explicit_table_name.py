"""The name of the destination table, given explicitly."""

import nilus

dummy_data = [{"name": "Aisha"}, {"name": "Rahul"}, {"name": "Neha"}]


@nilus.resource(table_name="my_table")
def fetch_random_users():
    for d in dummy_data:
        yield d


class TableNameSource(nilus.CustomSource):
    def nilus_source(self, uri: str, table: str, **kwargs):
        return fetch_random_users()
