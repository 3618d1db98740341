"""One local run in a process of its own: `python -m nilus.authoring RESULT_FILE`.

The request comes as JSON on standard input. The result file holds `{"loaded": …}` or `{"failed": …}` as JSON; what the
source says goes to standard output and error.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import traceback
from pathlib import Path
from typing import Any

from nilus.authoring.local_run import LocalRun
from nilus.authoring.local_state import LocalState
from nilus.errors import NilusError
from nilus.workflow.models import Workflow


def main() -> int:
    """Run what standard input asks for; return the exit code."""
    request = json.load(sys.stdin)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    try:
        result = {"loaded": dataclasses.asdict(_run(request))}
    except NilusError as error:
        traceback.print_exc()
        result = {"failed": error.as_dict()}
    Path(sys.argv[1]).write_text(json.dumps(result), encoding="utf-8")
    return 0 if "loaded" in result else 1


def _run(request: dict[str, Any]) -> Any:
    run = LocalRun(
        workflow=Workflow.parse(request["workflow"]),
        base_dir=Path(request["base_dir"]),
        checkout=Path(request["checkout"]),
        limit=request["limit"],
        resources=request["resources"],
        interval=tuple(request["interval"]) if request["interval"] else None,
        environ=request["environ"],
    )
    start = LocalState(key=run.state_key, state=request["state"], load_ids=request["load_ids"])
    return run.run(start)


if __name__ == "__main__":
    sys.exit(main())
