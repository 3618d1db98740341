"""Athena: Iceberg tables in a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nilus.runtime.sinks.warehouses.warehouse import Parameter, WarehouseSink


class AthenaSink(WarehouseSink):
    """`athena://?bucket=s3://bucket/folder&region_name=…&workgroup=…`, keys in the address, else the machine's own.

    The bucket holds tables and results of queries; `staging-bucket` names another one for the tables.
    """

    name: ClassVar[str] = "athena"
    drivers: ClassVar[Mapping[str, str]] = {"pyathena": "PyAthena", "botocore": "botocore"}
    example: ClassVar[str] = "athena://?bucket=s3://bucket/folder&region_name=…"
    parts: ClassVar[Mapping[str, str]] = {}
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "bucket": Parameter("query_result_bucket", is_option=True),
        "workgroup": Parameter("athena_work_group", is_option=True),
        "catalog": Parameter("aws_data_catalog", is_option=True),
        "access_key_id": Parameter("aws_access_key_id"),
        "secret_access_key": Parameter("aws_secret_access_key"),
        "session_token": Parameter("aws_session_token"),
        "region_name": Parameter("region_name"),
        "profile": Parameter("profile_name"),
    }
    needed: ClassVar[tuple[str, ...]] = ("query_result_bucket",)
    options: ClassVar[Mapping[str, Any]] = {"replace_strategy": "insert-from-staging", "force_iceberg": True}
    refusals: ClassVar[tuple[str, ...]] = ("access ?denied", "unrecognizedclient", "invalidsignature", "not authorized")

    def complete(self, credentials: dict[str, Any], options: dict[str, Any]) -> None:  # noqa: ARG002
        """Let the bucket be named without its scheme, as other tools do."""
        bucket = options.get("query_result_bucket", "")
        if bucket and "://" not in bucket:
            options["query_result_bucket"] = f"s3://{bucket}"

    @property
    def staging_bucket(self) -> str | None:
        """The workflow's, else the address's: there is no other way to load."""
        return self.spec.staging_bucket or self.configuration()[1]["query_result_bucket"]

    def staging_credentials(self, scheme: str) -> dict[str, Any]:
        """Return the same keys: both are of the same cloud."""
        return self.configuration()[0] if scheme == "s3" else {}
