"""Incremental loading: the state of a resource says where the next run goes on."""

import nilus
from nilus import CustomSource
from utils import get_data_after_id


class MyIncrementalSource(CustomSource):
    def handles_incrementality(self) -> bool:
        return True

    @nilus.resource()
    def fetch_incremental_data(last_processed_id=None):
        state = nilus.current.resource_state()
        last_id = state.get("last_id", last_processed_id)

        data = get_data_after_id(last_id)
        if data:
            state["last_id"] = data[-1]["id"]

        for item in data:
            yield item


class IncrementalStateSource(MyIncrementalSource):
    def nilus_source(self, uri: str, table: str, **kwargs):
        return self.fetch_incremental_data()
