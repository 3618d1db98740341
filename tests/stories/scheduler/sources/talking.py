"""A source that says what it does in every way a source can."""

import logging
import sys
import time

import nilus
from nilus import CustomSource

logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
logger = logging.getLogger("shop.orders")


@nilus.resource(write_disposition="append")
def orders():
    logger.debug("said at DEBUG")
    logger.info("said at INFO")
    logger.warning("said at %s", "WARNING")
    print("printed", flush=True)
    print("printed to standard error", file=sys.stderr, flush=True)
    for page in range(2):
        yield [{"order_id": 10 * page + number, "article": "cup"} for number in range(10)]
        if page == 0:
            time.sleep(5.2)  # a little longer than the time between two lines of progress


@nilus.source
def shop():
    return orders()


class Talking(CustomSource):
    def nilus_source(self, uri, table, **kwargs):
        return shop()
