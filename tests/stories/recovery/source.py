"""The source of the recovery tests: appended, replaced and merged tables, with child tables, and a cursor."""

import os
import pathlib

import nilus


def _die(point):
    if "NILUS_KILL_AT" in os.environ:
        from kill_points import die

        die(point)


def _new(state):
    last, rows = state.get("last", 0), int(os.environ["ROWS"])
    yield from range(last + 1, rows + 1)
    state["last"] = rows


@nilus.resource(write_disposition="append")
def items():
    for number in _new(nilus.current.resource_state()):
        yield {"id": number, "tags": [{"tag": f"{number}-{letter}"} for letter in "ab"]}
        if number % 100 == 50:
            _die("in_extract")


@nilus.resource(write_disposition="append")
def notes():
    _die("between_resources")
    for number in _new(nilus.current.resource_state()):
        yield {"id": number, "text": f"note {number}"}


@nilus.resource(write_disposition="merge", primary_key="id", columns={"number": {"dedup_sort": "desc"}})
def latest():
    for number in _new(nilus.current.resource_state()):
        yield {"id": number % 20, "number": number}


@nilus.resource(write_disposition="replace")
def whole():
    for number in range(int(os.environ["ROWS"])):
        yield {"id": number}


@nilus.source
def everything():
    return items, notes, latest, whole


class Everything(nilus.CustomSource):
    def handles_incrementality(self):
        return True

    def nilus_source(self, uri, table, **kwargs):
        return everything()


class Plain(Everything):
    def handles_incrementality(self):
        return False


@nilus.resource(write_disposition="append")
def letters():
    """Consumes what it reads: a file is moved away before its rows are yielded."""
    inbox, processed = (pathlib.Path(os.environ["LETTERS"], name) for name in ("input", "processed"))
    state = nilus.current.resource_state()
    for path in sorted(inbox.iterdir()):
        path.rename(processed / path.name)
        yield [{"file": path.name, "line": int(line)} for line in (processed / path.name).read_text().split()]
        state["files"] = state.get("files", 0) + 1


class Letters(nilus.CustomSource):
    def handles_incrementality(self):
        return True

    def nilus_source(self, uri, table, **kwargs):
        return letters


class PlainLetters(Letters):
    def handles_incrementality(self):
        return False
