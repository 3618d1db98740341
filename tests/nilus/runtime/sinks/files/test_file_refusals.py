"""What cannot be done with files is refused before the source is read, and what is found out late before rows land."""

from __future__ import annotations

from types import SimpleNamespace

import dlt
import pytest
from job_fixture import job_with

from nilus.errors import DestinationError, WorkflowError
from nilus.protocol.job import Run, SinkSpec, SourceSpec
from nilus.runtime import support
from nilus.runtime.rows.reading.decision import Reading
from nilus.runtime.sinks.files.sink import FilesystemSink

CURSOR = Reading("cursor", None, None, reads_state=True, keeps_state=True)
FULL = Reading("full", None, None, reads_state=False, keeps_state=False)


def job_of(**options):
    run = Run(
        state_key="k", dag_id="d", task_id="t", map_index=-1, run_id="r", run_type="manual", try_number=1,
        repository="", commit="c",
    )  # fmt: skip
    return job_with(
        run=run, source=SourceSpec(address="custom://S", table="t"),
        sink=SinkSpec(address="file:///lake", display_address="", dataset="raw"), checkout="/", base_dir="/",
        work_dir="/", **options,
    )  # fmt: skip


def refuse(write_disposition, *, query="", reading=CURSOR, kind=FilesystemSink, job=None, **hints):
    table_format = "delta" if query else None
    resource = dlt.resource(
        [{"id": 1}], name="orders", write_disposition=write_disposition, table_format=table_format, **hints
    )
    source = dlt.source(lambda: resource, name="shop")()
    sink = kind(SinkSpec(address=f"file:///lake{query}", display_address="", dataset="raw"))
    support.refuse_unsupported(job or job_of(), reading, source, sink, sink.destination())


SCD2 = {"disposition": "merge", "strategy": "scd2"}
UPSERT = {"disposition": "merge", "strategy": "upsert"}
DELTA = "?table_format=delta"


@pytest.mark.parametrize(
    ("write_disposition", "query", "hints"),
    [
        ("merge", "", {"primary_key": "id"}),
        (SCD2, "", {}),
        (UPSERT, "", {"primary_key": "id"}),
        (SCD2, DELTA, {"primary_key": "id"}),
        ("merge", DELTA, {"merge_key": "id"}),
        ({"disposition": "merge", "strategy": "delete-insert"}, DELTA, {"primary_key": "id"}),
    ],
)
def test_a_merge_that_files_cannot_do_is_refused_with_the_remedy(write_disposition, query, hints):
    with pytest.raises(WorkflowError, match="cannot write resource 'orders' by") as caught:
        refuse(write_disposition, query=query, **hints)
    assert caught.value.expected.startswith("append, replace")
    assert "table_format=delta" in caught.value.remedy


def test_a_merge_into_delta_without_a_primary_key_is_refused():
    with pytest.raises(WorkflowError, match="has none"):
        refuse("merge", query=DELTA)


@pytest.mark.parametrize(
    ("write_disposition", "query", "hints"),
    [
        ("append", "", {}),
        ("replace", "", {}),
        ("append", DELTA, {}),
        ("replace", DELTA, {}),
        ("merge", DELTA, {"primary_key": "id"}),
        (UPSERT, DELTA, {"primary_key": "id"}),
    ],
)
def test_what_files_can_do_is_not_refused(write_disposition, query, hints):
    refuse(write_disposition, query=query, **hints)


class Forgetful(FilesystemSink):
    """A destination that cannot remove what an interrupted load left."""

    name = "forgetful"
    exactly_once = False


def test_appending_with_state_to_a_sink_that_cannot_take_rows_back_is_refused():
    with pytest.raises(WorkflowError, match="cannot take back") as caught:
        refuse("append", kind=Forgetful)
    assert "at_least_once=True" in caught.value.remedy


def test_appending_at_least_once_is_allowed_where_the_author_says_so_and_said_in_the_log(caplog):
    caplog.set_level("WARNING", logger="nilus")
    refuse("append", kind=Forgetful, job=job_of(at_least_once=True))
    assert "at least once" in caplog.text


@pytest.mark.parametrize(("write_disposition", "reading"), [("replace", CURSOR), ("append", FULL)])
def test_runs_that_repeat_nothing_may_use_such_a_sink(write_disposition, reading):
    refuse(write_disposition, kind=Forgetful, reading=reading)


def test_a_merge_that_each_row_decides_on_fails_before_any_row_lands(run):
    code = """
        @nilus.resource(
            table_name=lambda row: "orders", write_disposition=lambda row: "merge", primary_key=lambda row: "id"
        )
        def orders():
            yield {"id": 1}

        @nilus.resource(name="others", write_disposition="append")
        def others():
            yield {"id": 1}

        class Shop(CustomSource):
            def nilus_source(self, uri, table, **kwargs):
                return orders, others
    """
    with pytest.raises(DestinationError, match="files cannot be merged"):
        run(code)
    assert run.lake.tables() == []


ANOTHER = """
    @nilus.source(name="another")
    def another(*rows, **hints):
        return nilus.resource(*rows, **hints)
"""
PLAIN = """
    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return nilus.resource([{"id": 1}], name="orders", write_disposition="append")
"""


def test_plain_files_are_not_made_a_delta_table(run):
    run(PLAIN)
    before = run.lake.table_files("orders")
    with pytest.raises(DestinationError, match="to be a Delta table"):
        run(PLAIN, address=f"{run.lake.address}{DELTA}")
    assert run.lake.table_files("orders") == before


def test_a_delta_table_stays_one_for_its_source_and_is_not_mixed_with_the_files_of_another(run):
    run(PLAIN, address=f"{run.lake.address}{DELTA}")
    run(PLAIN, run_id="b")
    assert len(run.lake.delta("orders").to_pyarrow_table()) == 2
    with pytest.raises(DestinationError, match="to be plain files"):
        run(PLAIN.replace("nilus.resource(", "another(") + ANOTHER, state_key="another.load")
    assert len(run.lake.rows("orders")) == 2


def test_a_folder_that_cannot_be_written_fails_with_its_name_and_no_retry(run, tmp_path):
    (tmp_path / "lake").write_text("a file in its place")
    with pytest.raises(DestinationError) as caught:
        run(PLAIN)
    assert not caught.value.retryable


def test_the_capabilities_are_asked_of_the_destination_not_of_a_list():
    caps = SimpleNamespace(supported_merge_strategies=["scd2"], merge_strategies_selector=None)
    resource = dlt.resource([{"id": 1}], name="orders", write_disposition=SCD2)
    source = dlt.source(lambda: resource, name="shop")()
    sink = FilesystemSink(SinkSpec(address="file:///lake", display_address="", dataset="raw"))
    support.refuse_unsupported(job_of(), CURSOR, source, sink, SimpleNamespace(capabilities=lambda: caps))
