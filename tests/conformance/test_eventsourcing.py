"""The test suites that the `eventsourcing` library ships, run on our recorder and factory.

What cannot apply is skipped with its reason; `README.md` beside this file lists it.
"""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    JSONTranscoder,
    ProcessRecorder,
    TrackingRecorder,
    Transcoder,
    UUIDAsHex,
)
from eventsourcing.tests import persistence as suite
from eventsourcing.utils import Environment

from ledger.config import Settings
from ledger.store.database import Database
from ledger.store.recorder import LedgerAggregateRecorder, LedgerFactory, LedgerRecorder

STOCK_TRANSCODER = (
    "we use the library's stock JSONTranscoder, which writes a tuple as a list and a subclass of a "
    "JSON type as that type; the events of the ledger hold neither"
)
NO_TRACKING = "a projection keeps its checkpoint with its own tables, in their transaction"


@pytest.fixture
def open_database(settings: Settings) -> Iterator[Database]:
    with Database(settings) as database:
        yield database


class _OnOurDatabase:
    database: Database
    url: str

    @pytest.fixture(autouse=True)
    def _use(self, open_database: Database) -> None:
        self.database = open_database
        self.url = open_database.url


class _TextIds:
    def new_originator_id(self) -> UUID | str:
        return f"customer-{uuid4()}"


class TestAggregateRecorder(_OnOurDatabase, suite.AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return LedgerAggregateRecorder(self.database)


class TestAggregateRecorderWithTextIds(_TextIds, TestAggregateRecorder):
    pass


class TestApplicationRecorder(
    _OnOurDatabase, suite.ApplicationRecorderTestCase[ApplicationRecorder]
):
    def create_recorder(self) -> ApplicationRecorder:
        return LedgerRecorder(self.database)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderWithTextIds(_TextIds, TestApplicationRecorder):
    pass


class TestNonInterleavingNotificationIDs(
    _OnOurDatabase, suite.NonInterleavingNotificationIDsBaseCase
):
    def create_recorder(self) -> ApplicationRecorder:
        return LedgerRecorder(self.database)


class TestTranscoder(suite.TranscoderTestCase):
    def construct_transcoder(self) -> Transcoder:
        transcoder = JSONTranscoder()
        transcoder.register(suite.CustomType1AsDict())
        transcoder.register(suite.CustomType2AsDict())
        transcoder.register(UUIDAsHex())
        return transcoder

    @pytest.mark.skip(reason=STOCK_TRANSCODER)
    def test_dict_subclass(self) -> None:
        pass

    @pytest.mark.skip(reason=STOCK_TRANSCODER)
    def test_list_subclass(self) -> None:
        pass

    @pytest.mark.skip(reason=STOCK_TRANSCODER)
    def test_str_subclass(self) -> None:
        pass

    @pytest.mark.skip(reason=STOCK_TRANSCODER)
    def test_int_subclass(self) -> None:
        pass

    @pytest.mark.skip(reason=STOCK_TRANSCODER)
    def test_tuple(self) -> None:
        pass

    @pytest.mark.skip(reason=STOCK_TRANSCODER)
    def test_mixed(self) -> None:
        pass


class TestFactory(_OnOurDatabase, suite.InfrastructureFactoryTestCase[LedgerFactory]):
    def setUp(self) -> None:
        self.env = Environment(
            "qledger",
            {"PERSISTENCE_MODULE": "ledger.store.recorder", "QLEDGER_DATABASE_URL": self.url},
        )
        super().setUp()

    def expected_factory_class(self) -> type[LedgerFactory]:
        return LedgerFactory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return LedgerAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return LedgerRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        raise NotImplementedError(NO_TRACKING)

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        raise NotImplementedError(NO_TRACKING)

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        raise NotImplementedError(NO_TRACKING)

    @pytest.mark.skip(reason=NO_TRACKING)
    def test_create_tracking_recorder(self) -> None:
        pass

    @pytest.mark.skip(reason=NO_TRACKING)
    def test_create_process_recorder(self) -> None:
        pass


@pytest.mark.skip(reason=f"TrackingRecorderTestCase: {NO_TRACKING}")
def test_tracking_recorder() -> None:
    pass


@pytest.mark.skip(reason=f"ProcessRecorderTestCase: {NO_TRACKING}")
def test_process_recorder() -> None:
    pass
