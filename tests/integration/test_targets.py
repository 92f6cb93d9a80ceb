"""Difficult targets: servers that refuse, hang, are behind, or die while a session moves to them.

Sessions stay where they are, are taken again, or go on to a better server; none is lost, none expires, and no
client is disconnected unless the outcome of its own write is unknown. Server 2 is the difficult one, behind a
door (lib/frontdoor.py) that only moves see.
"""
import pytest

from lib.drains import moves_done, undrain, wait_admitted
from lib.frontdoor import Frontdoor, LaggingDoor, Mode, behind
from lib.livesession import DATA_CHANGED, LiveSession, assert_undisturbed
from lib.raw import GET_DATA, Closed, RawClient
from lib.waiting import wait_for
from test_crashes import on_server, sessions  # noqa: F401 - a fixture

SERVERS, GOOD, DIFFICULT = (1, 2, 3), (1, 3), 2
COUNTER, LAST = "/counter", "/last"
CLOSED = "zkferry_client_closed_total"
MOVE_SECONDS = 60
SESSION_SECONDS = 15  # a busy machine's pauses must not look like lost servers to the libraries
ATTEMPTS = 3


def drain(proxy, sid):
    answer = proxy.post(f"/v1/servers/{sid}/drain")
    assert answer.status == 200, answer


def resumed_through(door, ensemble, mode):
    """A session moved by hand through the door: (a reply came, the first server has lost the session)."""
    door.mode = mode
    home = ensemble.followers()[0]
    with RawClient(ensemble[home].address) as old, RawClient(f"127.0.0.1:{door.port}") as new:
        old.attach()
        new.send_connect(session_id=old.session_id, password=old.password, timeout_ms=old.timeout_ms)
        if mode in (Mode.HANG, Mode.LATE):
            wait_for(lambda: door.troubled, 20, "the door has it")
            assert new.is_quiet()
            new.close()
            wait_for(lambda: not door.connections, 20, "the door has let go")
            return False, is_taken(old)
        try:
            replied = new.read_connect() == old.session_id
            assert replied
            if mode is Mode.CLOSE_AFTER:
                assert new.wait_closed() == b""
        except Closed:
            replied = False
        return replied, is_taken(old)


def is_taken(old):
    try:
        return old.create("/owner") != 0
    except Closed:
        return True


@pytest.mark.parametrize("mode,replied,taken", [
    (Mode.PASS, True, True), (Mode.DROP, False, False), (Mode.DROP_REPLY, False, True),
    (Mode.CLOSE_AFTER, True, True), (Mode.HANG, False, False), (Mode.LATE, False, True),
    (Mode.SLOW, True, True),
], ids=lambda value: getattr(value, "value", None))
def test_the_door(ensemble, door, mode, replied, taken):
    """The door does what the tests below believe; a lost reply does not tell who owns the session."""
    assert resumed_through(door, ensemble, mode) == (replied, taken)
    assert ensemble[DIFFICULT].word("ruok") == "imok"


class Scene:
    """The difficult server drained, and sessions of every kind on the other two."""

    def __init__(self, ensemble, proxy, load):
        self.ensemble, self.proxy, self.load = ensemble, proxy, load
        with ensemble.client(GOOD[0]) as direct:
            direct.create(COUNTER, b"0")
            direct.create(LAST, b"0")
        self.quiet = [LiveSession(proxy.clients, timeout=SESSION_SECONDS, reads=reads)
                      for reads in (None, None, COUNTER, COUNTER)]
        for session in self.quiet:
            assert session.watch(GET_DATA, LAST) == 0
        self.ids = {session.id for session in self.quiet} | load.session_ids

    def on(self, sid):
        return self.ids & self.ensemble[sid].sessions()

    def gather(self, *sids):
        """Until all sessions are on these servers; ends at once when a quiet one is disturbed."""
        def gathered():
            assert_undisturbed(self.quiet)
            return set().union(*(self.on(sid) for sid in sids)) == self.ids
        wait_for(gathered, MOVE_SECONDS, f"all {len(self.ids)} sessions are on {sids}")

    def empties(self, sid, left):
        drain(self.proxy, sid)
        self.gather(*left)

    def assert_kept(self, may_lose=False):
        """Everybody writes and has missed nothing; may_lose: writers whose write's outcome is unknown."""
        self.load.wait_progress(20)
        with self.ensemble.client(GOOD[0]) as direct:
            direct.set(LAST, b"1")
            report = self.load.verify(direct)
        assert report.problems() == []
        kept = [session for session in self.quiet if self._can_write(session)]
        wait_for(lambda: all(session.events for session in kept), 30, "the watches fire")
        assert [session.events for session in kept] == [[(DATA_CHANGED, LAST)]] * len(kept)
        assert_undisturbed(kept)
        self._assert_losses(may_lose, len(self.quiet) - len(kept))

    @staticmethod
    def _can_write(session):
        """Its first write may meet a server that took the session late: then its outcome is unknown."""
        try:
            return session.set(COUNTER, b"1") == 0
        except Closed:
            return False

    def _assert_losses(self, may_lose, quiet_losses):
        """Only unknown writes cost a connection. kazoo counts both in threads of its own: until they agree."""
        def counts():
            suspended = [worker.suspended for worker in self.load.workers]
            closed = self.proxy.metrics().value(CLOSED, reason="unknown_outcome")
            return suspended, [worker.unknown for worker in self.load.workers], closed - quiet_losses

        def agree():
            suspended, unknown, closed = counts()
            return suspended == unknown and closed == sum(suspended)
        wait_for(agree, 20, f"losses, unknown writes and closed connections agree; at first {counts()}")
        losses = quiet_losses + sum(counts()[0])
        assert may_lose or losses == 0, f"{losses} disconnects"

    def close(self):
        for session in self.quiet:
            session.close()


@pytest.fixture
def make_scene(make_proxy, make_workload):
    """make(ensemble, line of the difficult server): sessions on servers 1 and 3, and 2 ready to take them."""
    made = []

    def make(ensemble, line):
        proxy = make_proxy([ensemble.server_line(1), line, ensemble.server_line(3)])
        wait_admitted(proxy, *SERVERS)
        drain(proxy, DIFFICULT)
        load = make_workload(proxy.clients, sessions=6, writes_per_second=30, timeout=SESSION_SECONDS)
        made.append(Scene(ensemble, proxy, load))
        made[-1].gather(*GOOD)
        assert all(made[-1].on(sid) for sid in GOOD)
        return made[-1]
    yield make
    for scene in made:
        scene.close()


@pytest.fixture
def door(ensemble):
    with Frontdoor(ensemble[DIFFICULT]) as door:
        yield door


SHORT = (Mode.DROP, Mode.DROP_REPLY, Mode.CLOSE_AFTER, Mode.HANG)


@pytest.mark.parametrize("mode", [*SHORT, pytest.param(Mode.SLOW, marks=pytest.mark.full)],
                         ids=lambda mode: mode.value)
def test_a_difficult_target(ensemble, door, make_scene, mode):
    """First with a better one beside it, then as the only one left, then it is well again."""
    here = make_scene(ensemble, door.line)
    door.mode = mode
    undrain(here.proxy, DIFFICULT)
    here.empties(1, [DIFFICULT, 3] if mode is Mode.SLOW else [3])
    drain(here.proxy, 3)
    attempts = door.troubled + ATTEMPTS
    wait_for(lambda: door.troubled >= attempts, MOVE_SECONDS, f"{attempts} attachments met trouble")
    here.load.wait_progress(20)
    door.mode = Mode.PASS
    here.gather(DIFFICULT)
    here.assert_kept()


@pytest.mark.full
def test_a_target_that_answers_too_late(ensemble, door, make_scene):
    """It takes a session that was given back to its old server: the next write there is never answered."""
    here = make_scene(ensemble, door.line)
    door.mode = Mode.LATE
    undrain(here.proxy, DIFFICULT)
    here.empties(1, [3])
    assert door.troubled > 0
    door.mode = Mode.PASS
    here.assert_kept(may_lose=True)


def test_a_target_that_refuses(ensemble, door, make_scene):
    """Its port is closed a moment before sessions are to go there."""
    here = make_scene(ensemble, door.line)
    undrain(here.proxy, DIFFICULT)
    door.shut()
    here.empties(1, [3])
    door.open()
    wait_admitted(here.proxy, DIFFICULT)
    here.empties(3, [DIFFICULT])
    here.assert_kept()


@pytest.mark.sanitizer
def test_a_target_that_dies_with_the_first_session(ensemble, make_scene):
    """kill -9 when its own `cons` shows one: what it has taken goes to the next, what it has not stays."""
    here = make_scene(ensemble, ensemble.server_line(DIFFICULT))
    undrain(here.proxy, DIFFICULT)
    drain(here.proxy, 1)
    wait_for(lambda: here.on(DIFFICULT), MOVE_SECONDS, f"server {DIFFICULT} has a session")
    ensemble[DIFFICULT].kill9()
    here.gather(3)
    here.assert_kept(may_lose=True)  # a write that it had taken and not answered


LAG_SECONDS = 0.4


@pytest.fixture
def lagging(make_ensemble):
    """Server 3 leads, 1 follows closely, 2 late."""
    ensemble = make_ensemble(cfg={"reconfigEnabled": "false"})
    ensemble.start(GOOD)  # equal zxids: the highest id leads
    assert ensemble.leader() == 3
    with LaggingDoor(ensemble[3], LAG_SECONDS) as lag:
        behind(ensemble[DIFFICULT], ensemble[3], lag)
        ensemble.start([DIFFICULT])
        yield ensemble


def test_a_target_that_is_behind(lagging, make_scene):
    """It gets everything late while others write: no session sees time run backwards there."""
    here = make_scene(lagging, lagging.server_line(DIFFICULT))
    assert_is_behind(lagging)
    undrain(here.proxy, DIFFICULT)
    drain(here.proxy, 1)
    drain(here.proxy, 3)
    here.gather(DIFFICULT)
    here.assert_kept()


def assert_is_behind(ensemble):
    """The writers write all the time, so at any moment the leader has more."""
    def lags():
        late = ensemble[DIFFICULT].zxid()
        return ensemble[3].zxid() > late + 3
    wait_for(lags, 30, f"server {DIFFICULT} is behind")


ZOMBIE_SECONDS = 8
MARGIN_SECONDS = 1  # the proxy may have heard its last word later than it was sent


def test_a_silent_zombie_is_not_moved(ensemble, make_proxy, sessions):  # noqa: F811
    """Its client went without a word, the successor came back past us: a move would steal its session."""
    home, other = ensemble.followers()
    proxy = make_proxy(ensemble.lines(SERVERS))
    zombie, alive = on_server(ensemble, proxy, sessions, home, 2, timeout=ZOMBIE_SECONDS)
    zombie.hush()
    with RawClient(ensemble[other].address) as successor:
        assert successor.resume(zombie.client) == zombie.id
        assert successor.create("/mine", ephemeral=True) == 0
        wait_for(lambda: keeps(successor) and zombie.silent_seconds > ZOMBIE_SECONDS / 2 + MARGIN_SECONDS, 30,
                 "the zombie is silent for half its timeout")
        drain(proxy, home)
        wait_for(lambda: keeps(successor) and alive.id not in ensemble[home].sessions(), 30,
                 f"the living one leaves server {home}")
        wait_for(lambda: keeps(successor) and zombie.lost, 30, "the zombie is closed")
        assert keeps(successor)
    assert_undisturbed([alive])
    wait_for(lambda: moves_done(proxy) == 1, 20, "the one move is counted")


def keeps(successor):
    """It still owns its session: a server refuses the writes of a session that was moved away."""
    try:
        return successor.set("/mine", b"") == 0
    except Closed:
        raise AssertionError("the session was taken from its living client") from None
