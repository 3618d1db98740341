"""The data that the examples read.

Two environment variables of the source change it between runs:

DOC_ROWS: how many rows exist by now for `get_data_after_id` (ids from 1 on, default 3).
DOC_CONNECTION: `refused` makes `establish_connection` fail.
"""

import os

data = [{"id": 1, "value": "one"}, {"id": 2, "value": "two"}]


def get_data_after_id(last_id):
    rows = int(os.environ.get("DOC_ROWS", "3"))
    return [{"id": number, "value": f"row {number}"} for number in range((last_id or 0) + 1, rows + 1)]


class Connection:
    def __init__(self):
        self.is_open = True

    def get_data(self):
        if not self.is_open:
            raise ConnectionError("the connection is closed")
        return [{"id": 1, "reading": 20.5}, {"id": 2, "reading": 21.0}]

    def close(self):
        self.is_open = False


def establish_connection():
    if os.environ.get("DOC_CONNECTION") == "refused":
        raise ConnectionError("connection refused")
    return Connection()


def get_paginated_data(page, size, total=2500):
    first = (page - 1) * size
    last = min(first + size, total)
    return [{"id": number, "page": page} for number in range(first, last)], last < total


def fetch_users():
    return [{"id": 1, "name": "Alice"}, {"id": 2, "name": "Bob"}]


def fetch_activities():
    return [
        {"user_id": 1, "action": "login"},
        {"user_id": 2, "action": "login"},
        {"user_id": 1, "action": "logout"},
    ]
