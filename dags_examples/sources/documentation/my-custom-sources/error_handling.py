"""Error handling: the connection is closed, the error is logged and raised."""

import logging

import nilus
from utils import establish_connection

logger = logging.getLogger(__name__)


@nilus.resource()
def fetch_data_with_error_handling():
    try:
        conn = establish_connection()
        try:
            data = conn.get_data()
            for item in data:
                yield item
        finally:
            conn.close()
    except Exception as e:
        logger.error(f"Error fetching data: {str(e)}")
        raise


class ErrorHandlingSource(nilus.CustomSource):
    def nilus_source(self, uri: str, table: str, **kwargs):
        return fetch_data_with_error_handling()
