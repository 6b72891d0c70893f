"""The tables, as a transaction sees them: `db.jobs`, `db.tasks`, …"""

import apsw

from vidprod.store.sqlite.accounts import Accounts
from vidprod.store.sqlite.answers import Answers
from vidprod.store.sqlite.audit import Audit
from vidprod.store.sqlite.deliveries import Deliveries
from vidprod.store.sqlite.endpoints import Endpoints
from vidprod.store.sqlite.events import Events
from vidprod.store.sqlite.facts import Facts
from vidprod.store.sqlite.history import History
from vidprod.store.sqlite.invariants import Invariants, Waits
from vidprod.store.sqlite.jobs import Jobs
from vidprod.store.sqlite.journal import Journal
from vidprod.store.sqlite.kept import Kept
from vidprod.store.sqlite.keys import Keys
from vidprod.store.sqlite.links import Links
from vidprod.store.sqlite.notifications import Notifications, Subscriptions
from vidprod.store.sqlite.outbox import Outbox
from vidprod.store.sqlite.plans import Plans
from vidprod.store.sqlite.publications import Publications
from vidprod.store.sqlite.receipts import Receipts
from vidprod.store.sqlite.sealed import Sealed
from vidprod.store.sqlite.segments import Segments
from vidprod.store.sqlite.sessions import Sessions
from vidprod.store.sqlite.table import Outcome
from vidprod.store.sqlite.tasks import Tasks
from vidprod.store.sqlite.uploads import Uploads
from vidprod.store.sqlite.usage import Usage
from vidprod.store.sqlite.users import Users
from vidprod.store.sqlite.videos import Videos


class Tables:
    """Valid inside the transaction it was given to, on that thread, and nowhere else."""

    def __init__(self, connection: apsw.Connection, outcome: Outcome) -> None:
        self.videos = Videos(connection, outcome)
        self.jobs = Jobs(connection, outcome)
        self.tasks = Tasks(connection, outcome)
        self.segments = Segments(connection, outcome)
        self.events = Events(connection, outcome)
        self.answers = Answers(connection, outcome)
        self.uploads = Uploads(connection, outcome)
        self.accounts = Accounts(connection, outcome)
        self.endpoints = Endpoints(connection, outcome)
        self.deliveries = Deliveries(connection, outcome)
        self.outbox = Outbox(connection, outcome)
        self.subscriptions = Subscriptions(connection, outcome)
        self.notifications = Notifications(connection, outcome)
        self.publications = Publications(connection, outcome)
        self.plans = Plans(connection, outcome)
        self.journal = Journal(connection, outcome)
        self.usage = Usage(connection, outcome)
        self.receipts = Receipts(connection, outcome)
        self.facts = Facts(connection, outcome)
        self.history = History(connection, outcome)
        self.sealed = Sealed(connection, outcome)
        self.users = Users(connection, outcome)
        self.audit = Audit(connection, outcome)
        self.links = Links(connection, outcome)
        self.sessions = Sessions(connection, outcome)
        self.keys = Keys(connection, outcome)
        self.kept = Kept(connection, outcome)
        self.invariants = Invariants(connection, outcome)
        self.waits = Waits(connection, outcome)
