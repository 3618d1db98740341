"""The name of the destination table where none is given: the function's."""

import nilus

dummy_data = [{"name": "Aisha"}, {"name": "Rahul"}, {"name": "Neha"}]


@nilus.resource()
def fetch_random_users():
    response = dummy_data
    for d in response:
        yield d


class DefaultTableNameSource(nilus.CustomSource):
    def nilus_source(self, uri: str, table: str, **kwargs):
        return fetch_random_users()
