"""A source that does with its secrets what it should not: it prints, logs and raises them."""

import base64
import logging
import os
import sys
from urllib.parse import parse_qs, quote, quote_plus, urlparse

import nilus
from nilus import CustomSource

logger = logging.getLogger(__name__)


@nilus.resource(write_disposition="append")
def orders(uri, fails):
    secrets = {
        "api": os.environ["API_TOKEN"],
        "private": os.environ["PRIVATE_KEY"],
        "address": parse_qs(urlparse(uri).query)["key"][0],
    }
    for name, secret in secrets.items():
        data = secret.encode()
        encoded = base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()
        text = " ".join((secret, quote(secret, safe=""), quote_plus(secret), *encoded))
        print("printed", name, text)
        print("printed to standard error", name, text, file=sys.stderr)
        logger.warning("logged %s %s", name, text)
        logger.info("%s has %d characters", name, len(secret))
    logger.info("all of them: %s", secrets)
    logger.info("the address is %s", uri)
    yield {"order_id": 1}
    if fails:
        raise RuntimeError(f"refused: {uri} with {secrets}")


@nilus.source
def shop(uri, fails):
    return orders(uri, fails)


class Careless(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return shop(uri, table == "fails")
