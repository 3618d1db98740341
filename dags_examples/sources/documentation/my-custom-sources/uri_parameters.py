"""URI and parameter handling: `custom://UriParameterSource?param1=value1&param2=value2`."""

import nilus

from urllib.parse import urlparse, parse_qs

def nilus_source(self, uri: str, table: str, **kwargs):
    parsed_uri = urlparse(uri)
    params = parse_qs(parsed_uri.query)

    return my_source_function(
        uri=uri,
        table=table,
        param1=params.get("param1", [None])[0],
        param2=params.get("param2", [None])[0],
        **kwargs
    )


@nilus.resource()
def fetch_parameters(table, param1, param2):
    yield {"table": table, "param1": param1, "param2": param2}


@nilus.source
def my_source_function(uri, table, param1=None, param2=None, **kwargs):
    return fetch_parameters(table, param1, param2)


class UriParameterSource(nilus.CustomSource):
    nilus_source = nilus_source
