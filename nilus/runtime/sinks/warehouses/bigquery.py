"""BigQuery."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from nilus.errors import DestinationError
from nilus.runtime.sinks.warehouses.warehouse import Parameter, WarehouseSink

_KEY_FIELDS = ("project_id", "private_key", "private_key_id", "client_email")


class BigQuerySink(WarehouseSink):
    """`bigquery://project?location=EU&credentials_path=/key.json`, or `credentials_base64`; else the machine's own."""

    name: ClassVar[str] = "bigquery"
    best_file_format: ClassVar[str | None] = "parquet"
    drivers: ClassVar[Mapping[str, str]] = {"google.cloud.bigquery": "google-cloud-bigquery"}
    example: ClassVar[str] = "bigquery://project?location=EU&credentials_path=/path/of/key.json"
    parts: ClassVar[Mapping[str, str]] = {"host": "project_id"}
    parameters: ClassVar[Mapping[str, Parameter]] = {
        "credentials_path": Parameter("credentials_path"),
        "credentials_base64": Parameter("credentials_base64"),
        "location": Parameter("location", is_option=True),
    }
    needed: ClassVar[tuple[str, ...]] = ("project_id",)
    refusals: ClassVar[tuple[str, ...]] = (
        "access denied",
        "permission .* denied",
        "could not be refreshed",
        "invalid_grant",
        "default credentials not present",
    )

    def complete(self, credentials: dict[str, Any], options: dict[str, Any]) -> None:
        """Put a service account's key in the place of its file or its base64 form."""
        path, encoded = credentials.pop("credentials_path", None), credentials.pop("credentials_base64", None)
        if path or encoded:
            try:
                text = Path(path).read_text() if path else base64.b64decode(encoded, validate=True).decode()
                key = json.loads(text)
            except (OSError, binascii.Error, ValueError) as error:
                raise DestinationError(
                    "The service account's key cannot be read",
                    expected="the JSON of a key in the file of credentials_path, or in base64 in credentials_base64",
                    found=type(error).__name__,
                    remedy="correct the parameter of the address",
                ) from None
            for name in _KEY_FIELDS:
                if key.get(name):
                    credentials.setdefault(name, key[name])
        # Jobs are billed to the project of the address, which need not be the key's.
        options["project_id"] = credentials.get("project_id")

    def staging_credentials(self, scheme: str) -> dict[str, Any]:
        """Return the service account's key, which opens buckets of the same cloud."""
        return self.configuration()[0] if scheme in ("gs", "gcs") else {}
