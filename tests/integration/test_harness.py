"""The harness itself, without the proxy: servers, joiners, reconfig by hand, and a workload that can fail."""
from lib.waiting import wait_for
from lib.workload import remove_tree


def test_three_servers_serve(ensemble):
    assert ensemble.leader() in (1, 2, 3)
    assert len(ensemble.followers()) == 2
    assert ensemble.config().ids == {1, 2, 3}
    for sid in (1, 2, 3):
        wait_for(lambda sid=sid: ensemble.members_active(sid) == ensemble.config(sid), 20,
                 f"server {sid} counts with the config it shows")


def test_joiner_follows_without_a_vote(ensemble):
    joiner = ensemble.joiner(4)
    ensemble.start([4])
    wait_for(lambda: joiner.mode() == "follower", 20, "the joiner follows")
    assert ensemble.config().ids == {1, 2, 3}
    wait_for(lambda: joiner.active().ids == {1, 2, 3}, 20, "it counts with the members, not with itself")


def test_reconfig_by_hand(ensemble):
    joiner = ensemble.joiner(4)
    ensemble.start([4])
    assert ensemble.reconfig(joining=[joiner.line]).ids == {1, 2, 3, 4}
    leaving = ensemble.followers()[0]
    config = ensemble.reconfig(leaving=[leaving])
    assert config.ids == {1, 2, 3, 4} - {leaving}
    for sid in config.ids:
        wait_for(lambda sid=sid: ensemble.members_active(sid) == config, 20, f"server {sid} activates it")


def test_killed_frozen_and_restarted_servers(ensemble):
    follower = ensemble[ensemble.followers()[0]]
    follower.kill9()
    assert follower.mode() is None
    follower.start()
    ensemble.wait_serving([follower.id])
    leader = ensemble[ensemble.leader()]
    leader.freeze()
    others = {1, 2, 3} - {leader.id}
    wait_for(lambda: any(ensemble[sid].mode() == "leader" for sid in others), 40, "the others elect a leader")
    leader.thaw()
    wait_for(lambda: leader.mode() == "follower", 40, "the old leader follows")


def test_workload_survives_a_restarted_follower(ensemble, make_workload):
    load = make_workload(ensemble.addresses(), sessions=10)
    load.wait_progress(100)
    ensemble[ensemble.followers()[0]].restart()
    load.wait_progress(100)
    with ensemble.client() as direct:
        report = load.verify(direct)
    assert report.problems() == []
    assert report.acked >= 200
    assert report.events > 0


def test_workload_notices_every_kind_of_damage(ensemble, make_workload):
    load = make_workload(ensemble.addresses(), sessions=6)
    wait_for(lambda: all(worker.acked > 1 for worker in load.workers), 30, "everybody has written")
    load.stop_writing()
    lost, doubled, gone, stolen = load.workers[:4]
    with ensemble.client() as direct:
        direct.set(lost.path, b"1")
        direct.set(doubled.path, str(doubled.acked).encode())
        direct.delete(gone.ephemeral)
        direct.delete(stolen.ephemeral)
        direct.create(stolen.ephemeral, b"", ephemeral=True)
        report = load.verify(direct)
    assert any(lost.path in text for text in report.lost_writes)
    assert any(doubled.path in text for text in report.doubled_writes)
    assert [text.split()[0] for text in report.lost_ephemerals] == [gone.ephemeral, stolen.ephemeral]


def test_workload_notices_reads_that_go_backwards(ensemble, make_workload):
    load = make_workload(ensemble.addresses(), sessions=4)
    load.wait_progress(60)
    reader = load.workers[0]

    def notices():
        reader.seen[reader.neighbour] = 1_000_000  # again and again: it may be about to write down its own
        return reader.backwards
    wait_for(notices, 30, "a value less than one seen before is noticed")
    with ensemble.client() as direct:
        report = load.verify(direct)
        load.stop()
        remove_tree(direct)
    assert report.backwards
