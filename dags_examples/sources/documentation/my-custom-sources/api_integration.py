"""API integration: `custom://ApiIntegrationSource?api_url=…&api_key={API_KEY}&endpoint=…`."""

from urllib.parse import parse_qs, urlparse

import requests

import nilus


@nilus.resource()
def fetch_api_data(api_url, api_key, endpoint):
    headers = {"Authorization": f"Bearer {api_key}"}
    data = requests.get(f"{api_url}/{endpoint}", headers=headers).json()
    for item in data:
        yield item


class ApiIntegrationSource(nilus.CustomSource):
    def nilus_source(self, uri: str, table: str, **kwargs):
        params = parse_qs(urlparse(uri).query)
        return fetch_api_data(params["api_url"][0], params["api_key"][0], params["endpoint"][0])
