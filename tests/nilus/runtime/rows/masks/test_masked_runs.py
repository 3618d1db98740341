"""Masks in runs: what is loaded, what is refused before anything is, and that nothing clear is left anywhere."""

from __future__ import annotations

import hashlib
import hmac
from datetime import date

import pytest
from child_run import child_run

from nilus.errors import NilusError, SourceError, WorkflowError


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


ROWS = """
    import datetime
    import pandas as pd
    import pyarrow as pa

    ROWS = [
        {"id": 1, "E-Mail": "mia@example.com", "ssn": 123456789, "born": datetime.date(1987, 6, 5), "salary": 52347,
         "address": {"street": "Long Road 1", "city": "Ulm"}, "items": [{"sku": "secret-a", "n": 1}],
         "note": "2024-05-05"},
        dict.fromkeys(("E-Mail", "ssn", "born", "salary", "address", "items", "note")) | {"id": 2},
    ]

    def resource(name, data):
        return nilus.resource(lambda: data, name=name)

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            arrow = pa.Table.from_pylist(ROWS)
            frame = pd.DataFrame(ROWS)
            return [
                resource("dicts", iter(ROWS)),
                resource("lists", iter([list(ROWS)])),
                resource("frames", iter([frame])),
                resource("tables", iter([arrow])),
                resource("batches", iter(arrow.to_batches())),
                resource("lists_of_tables", iter([[arrow]])),
            ]
"""
MASK = {
    "e_mail": "email",
    "ssn": "hmac:our-key",
    "born": "year_only",
    "salary": "round:1000",
    "address.street": "hash",
    "items.sku": "fixed:X",
    "note": "month_year",
}


def test_every_kind_of_row_is_masked_alike(run_masked, sink):
    outcome = run_masked(ROWS, sink.spec(), mask=MASK, type_hints={"note": "text"})
    assert set(outcome.loaded.tables) == sink.tables()
    found = {}
    for table in sink.tables():
        query = f"SELECT e_mail, ssn, born, salary, address, items, note FROM {sink.table(table)} ORDER BY id"
        found[table] = [[str(value) for value in row] for row in sink.rows(query)]
    key = hmac.new(b"our-key", b"123456789", "sha256").hexdigest()
    for (first, second), table in zip(found.values(), found, strict=True):
        assert first[:3] == ["m*a@example.com", key, "1987"], table
        assert float(first[3]) == 52000, table
        assert sha("Long Road 1") in first[4], table
        assert "Ulm" in first[4], table
        assert "secret-a" not in first[5], table
        assert "X" in first[5], table
        assert first[6] == "2024-05", table
        assert second == ["None"] * 7, table
        assert sink.columns(table)["note"] in ("varchar", "character varying"), table
        assert sink.columns(table)["born"] == "bigint", table


def test_nested_values_are_masked_before_they_become_tables(run_masked, duckdb):
    run_masked(ROWS, duckdb.spec(), mask={**MASK, "address__city": "stars"}, resources=["lists"], max_table_nesting=2)
    assert duckdb.rows("SELECT address__street, address__city FROM raw.lists WHERE id = 1") == [
        (sha("Long Road 1"), "***")
    ]
    assert duckdb.rows("SELECT sku, n FROM raw.lists__items") == [("X", 1)]


CUSTOMERS = """
    import os

    @nilus.resource
    def customers():
        yield [{"id": 1, "email": "mia@example.com", "age": 35}]

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return customers
"""


@pytest.mark.parametrize(
    ("mask", "match"),
    [
        ({"e_mial": "hash"}, "'e_mial' is to be masked, but no row has it"),
        ({"Emails": "hash"}, "did you mean email"),
        ({"email.domain": "hash"}, "what it should be in is not nested"),
        ({"address.street": "hash"}, r"'address\.street' is to be masked, but no row has it"),
        ({"age": "email"}, "Resource 'customers': Column 'age' cannot be masked by email"),
        ({"email": "year_only"}, "'email' cannot be masked by year_only"),
    ],
)
def test_what_cannot_be_masked_fails_the_run_before_anything_is_loaded(run_masked, duckdb, mask, match):
    with pytest.raises(NilusError, match=match) as caught:
        run_masked(CUSTOMERS, duckdb.spec(), mask=mask)
    assert "mia@" not in str(caught.value)
    assert not caught.value.retryable
    assert duckdb.tables() == set()


def test_a_column_that_came_before_may_be_missing(run_masked, duckdb):
    run_masked(CUSTOMERS, duckdb.spec(strategy="append"), mask={"email": "hash"})
    run_masked(CUSTOMERS.replace('"email"', '"other"'), duckdb.spec(strategy="append"), mask={"email": "hash"})
    assert duckdb.rows("SELECT count(*), count(email) FROM raw.customers") == [(2, 1)]


def test_a_column_of_a_resource_that_gave_no_rows_is_warned_of_unless_a_name_is_alike(run_masked, duckdb):
    two = CUSTOMERS.replace("return customers", "return [customers, nilus.resource(iter([]), name='orders')]")
    outcome = run_masked(two, duckdb.spec(), mask={"iban": "hash"})
    assert [line for line in outcome.log if "WARNING Column 'iban'" in line]
    with pytest.raises(WorkflowError, match="did you mean email"):
        run_masked(two, duckdb.spec(), mask={"emial": "hash"})


def test_a_declared_column_may_be_missing_and_gets_the_type_of_its_mask(run_masked, sink):
    declared = """@nilus.resource(columns={
        "phone": {"data_type": "text"},
        "age": {"data_type": "bigint"},
        "email": {"data_type": "text", "precision": 20, "nullable": False},
    })"""
    outcome = run_masked(
        CUSTOMERS.replace("@nilus.resource", declared),
        sink.spec(),
        mask={"phone": "hash", "age": "hash", "email": "hash"},
    )
    assert [line for line in outcome.log if "'age' of resource 'customers' is declared bigint" in line]
    assert sink.rows(f"SELECT age, email FROM {sink.table('customers')}") == [(sha("35"), sha("mia@example.com"))]


def test_a_type_hint_is_about_what_comes_out(run_masked, duckdb):
    hints = {"born": "text", "salary": "double", "ssn": "text"}
    run_masked(ROWS, duckdb.spec(), mask=MASK, type_hints=hints, resources=["dicts", "tables"])
    for table in ("dicts", "tables"):
        assert duckdb.rows(f"SELECT born, salary FROM raw.{table} WHERE id = 1") == [("1987", 52000.0)], table
        assert duckdb.columns(table)["salary"] == "double"


@pytest.mark.parametrize(
    ("mask", "hint"), [("hash", "bigint"), ("year_only", "date"), ("date_shift", "double"), ("fixed:x", "bigint")]
)
def test_a_type_hint_that_masked_values_cannot_have_is_refused(run_masked, duckdb, mask, hint):
    with pytest.raises(WorkflowError, match=f"gives no {hint}"):
        run_masked(CUSTOMERS, duckdb.spec(), mask={"Email": mask}, type_hints={"email": hint})


def test_fixed_may_have_the_type_that_its_text_is(run_masked, duckdb):
    run_masked(CUSTOMERS, duckdb.spec(), mask={"email": "fixed:7"}, type_hints={"email": "bigint"})
    assert duckdb.rows("SELECT email FROM raw.customers") == [(7,)]


def test_a_table_whose_column_has_another_type_is_refused_until_it_is_made_anew(run_masked, sink):
    run_masked(CUSTOMERS, sink.spec(strategy="append"))
    with pytest.raises(WorkflowError, match="'age' of table 'customers' is bigint, and hash gives text"):
        run_masked(CUSTOMERS, sink.spec(strategy="append"), mask={"age": "hash"})
    assert sink.rows(f"SELECT age FROM {sink.table('customers')}") == [(35,)]
    run_masked(CUSTOMERS, sink.spec(strategy="append", full_refresh=True), mask={"age": "hash"})
    assert sink.rows(f"SELECT age FROM {sink.table('customers')}") == [(sha("35"),)]


@pytest.mark.parametrize(
    ("mask", "match"),
    [
        ({"email": "hash", "Email": "md5"}, "names the same column twice: 'email' and 'Email'"),
        ({"address": "redact", "address.street": "hash"}, r"twice: 'address' and 'address\.street'"),
        ({"address.street": "hash", "address__street": "md5"}, "twice"),
        ({"email": "hmac:{NO_SUCH_KEY}"}, "the key for column 'email' is not there"),
        ({"email": "hmac"}, "expected hmac:<key>"),
    ],
)
def test_masks_that_contradict_each_other_or_lack_their_key_are_refused(run_masked, duckdb, mask, match):
    with pytest.raises(WorkflowError, match=match):
        run_masked(CUSTOMERS, duckdb.spec(), mask=mask)


MERGED = """
    @nilus.resource
    def customers():
        yield [{"id": 1, "ssn": "111", "at": 5}, {"id": 2, "ssn": "222", "at": 6}]

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return customers
"""


def test_merging_goes_by_the_masked_key(run_masked, sink):
    spec = sink.spec(strategy="merge")
    run_masked(MERGED, spec, mask={"ssn": "hmac:key"}, primary_key=["ssn"])
    again = MERGED.replace('"id": 1', '"id": 3').replace('"222"', '"333"')
    run_masked(again, spec, mask={"ssn": "hmac:key"}, primary_key=["ssn"])
    found = sink.rows(f"SELECT id, ssn FROM {sink.table('customers')} ORDER BY 1, 2")
    keys = {text: hmac.new(b"key", text.encode(), "sha256").hexdigest() for text in ("111", "222", "333")}
    assert sorted(found) == sorted([(3, keys["111"]), (2, keys["222"]), (2, keys["333"])])


@pytest.mark.parametrize(
    ("options", "mask", "match"),
    [
        ({"strategy": "merge"}, {"ssn": "uuid"}, "'ssn' is a key, and uuid gives it other values in every run"),
        ({"strategy": "append"}, {"ssn": "random"}, "'ssn' is a key"),
        ({"strategy": "merge"}, {"ssn": "partial:1"}, "makes different values the same"),
        ({"strategy": "scd2"}, {"id": "noise"}, "scd2 compares rows"),
        ({"strategy": "append", "incremental_key": "at"}, {"at": "round"}, "'at' is its cursor"),
        ({"strategy": "append", "incremental_key": "at"}, {"ssn": "hash"}, "by which rows at its cursor are compared"),
    ],
)
def test_masks_of_keys_and_cursors_that_would_break_or_leak_are_refused(run_masked, duckdb, options, mask, match):
    sink = duckdb.spec(strategy=options.pop("strategy"))
    with pytest.raises(WorkflowError, match=match):
        run_masked(MERGED, sink, mask=mask, primary_key=["ssn"], **options)
    assert duckdb.tables() == set()


def test_a_cursor_works_on_clear_values_beside_masked_columns(run_masked, duckdb):
    options = {"incremental_key": "at", "mask": {"ssn": "redact"}}
    run_masked(MERGED, duckdb.spec(strategy="append"), **options)
    more = MERGED.replace("]\n", ', {"id": 3, "ssn": "333", "at": 6}, {"id": 4, "ssn": "444", "at": 7}]\n')
    run_masked(more, duckdb.spec(strategy="append"), **options)
    assert duckdb.rows("SELECT id, ssn FROM raw.customers ORDER BY id") == [
        (number, "REDACTED") for number in (1, 2, 3, 4)
    ]


def test_a_masked_key_of_a_window_is_compared_in_clear(run_masked, duckdb):
    dated = MERGED.replace('"at": 5', '"at": "2026-01-01"').replace('"at": 6', '"at": "2026-01-02"')
    run_masked(
        dated,
        duckdb.spec(strategy="append"),
        incremental_key="at",
        mask={"at": "hash"},
        interval=("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"),
    )
    assert duckdb.rows('SELECT id, "at" FROM raw.customers') == [(1, sha("2026-01-01"))]


TRANSFORMER = """
    @nilus.resource
    def customers():
        yield [{"email": "mia@example.com"}, {"email": "max@example.com"}]

    @nilus.transformer(data_from=customers)
    def lengths(rows):
        for row in rows:
            assert row["email"].endswith("@example.com"), row
            yield {"length": len(row["email"]), "email": row["email"]}

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return [customers, lengths]
"""


@pytest.mark.parametrize("resources", [None, ["lengths"]])
def test_a_transformer_reads_rows_as_they_are_and_its_own_are_masked(run_masked, duckdb, resources):
    run_masked(TRANSFORMER, duckdb.spec(), mask={"email": "hash"}, resources=resources)
    hashed = sorted(map(sha, ("mia@example.com", "max@example.com")))
    assert sorted(duckdb.rows("SELECT length, email FROM raw.lengths")) == [(15, text) for text in hashed]
    if resources is None:
        assert sorted(duckdb.rows("SELECT email FROM raw.customers")) == [(text,) for text in hashed]


VALIDATED = """
    from pydantic import BaseModel

    class Customer(BaseModel):
        email: str
        age: int

    @nilus.resource(columns=Customer)
    def customers():
        yield [{"email": "mia-secret@example.com", "age": 35}, {"email": "mia-secret@example.com", "age": "MIA-SECRET"}]

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return customers
"""


def test_rows_of_a_model_are_masked_behind_their_validation(run_masked, sink):
    run_masked(VALIDATED.replace('"MIA-SECRET"', "36"), sink.spec(), mask={"email": "hash", "age": "hash"})
    found = sink.rows(f"SELECT email, age FROM {sink.table('customers')} ORDER BY age")
    assert sorted(found) == sorted((sha("mia-secret@example.com"), sha(age)) for age in ("35", "36"))


CURSOR = """
    @nilus.resource
    def customers():
        yield [{"email": "mia-secret@example.com", "at": 1}, {"email": "mia-secret@example.com"}]

    class Shop(CustomSource):
        def nilus_source(self, uri, table, **kwargs):
            return customers
"""


@pytest.mark.parametrize(
    ("code", "options"),
    [(VALIDATED, {}), (CURSOR, {"incremental_key": "at", "strategy": "append"})],
    ids=["validation", "cursor"],
)
def test_a_run_that_fails_on_a_row_says_nothing_of_what_is_masked(run_masked, duckdb, code, options):
    failed, said, _ = child_run(run_masked, code, duckdb, {}, mask={"email": "hash"}, **options)
    assert failed
    assert "customers" in said
    assert "secret" not in said.lower()


def test_nothing_clear_and_no_key_is_left_in_the_sink_the_log_or_the_working_folder(run_masked, duckdb):
    code = ROWS.replace("ROWS = [", "BOOM = 1\n    ROWS = [")
    environ = {"MASK_KEY": "a-very-secret-key"}
    mask = {**MASK, "ssn": "hmac:{MASK_KEY}", "id": "sequential", "address.city": "random"}
    failed, said, work_dir = child_run(
        run_masked, code, duckdb, environ, mask=mask, incremental_key=None, strategy="append", max_table_nesting=1
    )
    assert not failed, said
    places = [path for path in (*work_dir.rglob("*"), duckdb.path) if path.is_file()]
    assert places
    texts = {path.name: path.read_bytes() for path in places} | {"log": said.encode()}
    for secret in ("mia@example.com", "123456789", "Long Road", "secret-a", "Ulm", "1987-06", "a-very-secret-key"):
        for name, text in texts.items():
            assert secret.encode() not in text, (secret, name)
    key = hmac.new(b"a-very-secret-key", b"123456789", "sha256").hexdigest()
    assert duckdb.rows("SELECT ssn FROM raw.tables WHERE ssn IS NOT NULL") == [(key,)]


def test_what_holds_no_rows_cannot_be_masked(run_masked, duckdb, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"email": "mia@example.com"}\n')
    imports = "import pyarrow\n    from dlt.extract.extractors import with_file_import"
    code = CUSTOMERS.replace("import os", imports).replace(
        'yield [{"id": 1, "email": "mia@example.com", "age": 35}]',
        f'yield with_file_import("{tmp_path}/rows.jsonl", "jsonl", 1, pyarrow.table({{"email": ["x"]}}))',
    )
    with pytest.raises(SourceError, match="what it yields cannot be masked") as caught:
        run_masked(code, duckdb.spec(), mask={"email": "hash"})
    assert "a file to import" in caught.value.found


def test_the_rows_a_source_keeps_are_not_changed(masks):
    row = {"email": "mia@example.com", "address": {"street": "Long Road 1"}, "born": date(1987, 6, 5)}
    copy = {**row, "address": dict(row["address"])}
    masked = masks({"email": "hash", "address.street": "redact", "born": "year_only"}).row(row)
    assert row == copy
    assert masked == {"email": sha("mia@example.com"), "address": {"street": "REDACTED"}, "born": 1987}


PATHS = """
    @nilus.resource(name="PARENT")
    def customers(at=nilus.sources.incremental(%r)):
        yield {"id": 1, "email": "mia@example.com", "a": {"email": "mia@example.com"}}

    @nilus.transformer(data_from=customers)
    def mails(row):
        yield {"id": row["id"], "email": row["email"]}

    class Shop(CustomSource):
        def handles_incrementality(self):
            return True

        def nilus_source(self, uri, table, **kwargs):
            return %s
"""


@pytest.mark.parametrize("returned", ["[customers, mails]", "mails"])
@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("email", "'email' is its cursor"),
        ("$['email']", "'email' is its cursor"),
        ("$.email", "'email' is its cursor"),
        ("*.email", "is not a plain field"),
        ("$..email", "is not a plain field"),
        ("['id','email']", "is not a plain field"),
        ("id|email", "is not a plain field"),
    ],
)
def test_no_cursor_keeps_a_masked_value_in_the_state(run_masked, duckdb, returned, path, match):
    with pytest.raises(WorkflowError, match=rf"(?s)'PARENT'.*{match}"):
        run_masked(PATHS % (path, returned), duckdb.spec(strategy="append"), mask={"email": "hash"})
    assert duckdb.tables() == set()


def test_a_path_of_names_is_compared_name_by_name(run_masked, duckdb):
    with pytest.raises(WorkflowError, match=r"'a\.email' is its cursor"):
        run_masked(PATHS % ("$.a['email']", "mails"), duckdb.spec(strategy="append"), mask={"a.email": "hash"})
    run_masked(PATHS % ("$['id']", "mails"), duckdb.spec(strategy="append"), mask={"email": "hash"})
    assert duckdb.rows("SELECT email FROM raw.mails") == [(sha("mia@example.com"),)]
