"""Control runs of test_moves: with one safety rule of a move taken away (test builds only), the clients must
notice, and the test must say so. If one of these fails, the test it controls proves nothing.
"""
import pytest

from lib.fleet import Sizes
from test_moves import (IN_FLIGHT_MAX, PATIENT_SYNC, PROBES_MAX, assert_nobody_noticed, broken_streams,  # noqa: F401
                        connects_in_flight, launch, migrate_fleet, move_swarm, prepared)

MOVES = 200


@pytest.mark.limit(200)
def test_without_the_old_connection_events_are_lost(ensemble, make_proxy, launch):  # noqa: F811
    """Only SetWatches' catch-up is left: it hides what came and went, and lasting watches lose. The moment in
    which that can happen is short, so many moves are made."""
    _, _, verdicts, _ = move_swarm(prepared(ensemble), make_proxy, launch, 5 * MOVES, switches=["no_move_drain"])
    assert broken_streams(verdicts), "every stream is exact"


@pytest.mark.limit(200)
def test_without_auth_replay_protected_nodes_are_out_of_reach(ensemble, make_proxy, launch):  # noqa: F811
    _, swarm, verdicts, _ = move_swarm(prepared(ensemble), make_proxy, launch, MOVES,
                                       switches=["no_auth_replay"])
    assert any("secret" in text and "-102" in text for text in swarm.problems), swarm.problems
    assert broken_streams(verdicts), "events of protected nodes came without authentication"


@pytest.mark.limit(240)
def test_without_a_hold_clients_notice_the_leader_leave(ensemble, make_proxy, launch):  # noqa: F811
    proxy, status, seen = migrate_fleet(prepared(ensemble, targets=True), make_proxy, launch,
                                        sizes=Sizes(30, 4, 40), switches=["no_hold"])
    assert seen.disconnects or seen.unknown, str(seen)
    with pytest.raises(AssertionError):
        assert_nobody_noticed(proxy, status, seen)


def test_without_pacing_the_backlog_would_overflow(make_ensemble, make_proxy, launch):  # noqa: F811
    patient = make_ensemble(cfg=PATIENT_SYNC).start()
    unpaced = connects_in_flight(patient, make_proxy, launch, switches=["no_pacing"])
    assert unpaced > IN_FLIGHT_MAX + PROBES_MAX
