"""What tests of a whole plan share: joiners, gates, and what must hold when it has ended."""
import re
import shutil
import time

from .waiting import wait_for

SOURCES, TARGETS = (1, 2, 3), (4, 5, 6)
MEMBERS = "/zookeeper/config"


def plan_targets(ensemble, ids=TARGETS):
    """Ports for servers that do not exist yet; returns their lines for the file."""
    for sid in ids:
        if sid not in ensemble.servers:
            ensemble.planned(sid)
    return ensemble.lines(ids)


def start_joiners(ensemble, ids=TARGETS):
    """Configures and starts them next to the present members."""
    for sid in ids:
        ensemble.configure(sid)
    ensemble.start(ids)


def start_with_files(ensemble, sid, files):
    """Starts a planned server with the files of `zkferry joiner-config`; only paths are the test's own."""
    server = ensemble[sid]
    data = server.directory / "data"
    data.mkdir(parents=True)
    (data / "myid").write_text((files / "myid").read_text())
    dynamic = server.directory / "zoo.cfg.dynamic"
    dynamic.write_text((files / "zoo.cfg.dynamic").read_text())
    text = (files / "zoo.cfg").read_text()
    for key, value in (("dataDir", data), ("dynamicConfigFile", dynamic)):
        text, count = re.subn(rf"^{key}=.*$", f"{key}={value}", text, flags=re.M)
        assert count == 1, text
    (server.directory / "zoo.cfg").write_text(text + "admin.enableServer=false\n")
    ensemble.start([sid])


def forget(ensemble, sid):
    """Stops a server and removes its files, so that it can be configured anew with the same ports."""
    ensemble[sid].stop()
    shutil.rmtree(ensemble[sid].directory)


def wait_gate(proxy, gate, deadline=60):
    """Until the plan waits for that confirmation; returns the status."""
    def waiting():
        status = proxy.status()
        assert status["phase"] != "failed", f"the plan failed: {status['failed']}"
        return status if f'confirmation of "{gate}"' in status["waiting_for"] else None
    return wait_for(waiting, deadline, f"the plan waits for `confirm {gate}`")


def wait_failed(proxy, deadline=60):
    """Until the plan has failed; returns the reason."""
    def failed():
        status = proxy.status()
        return status if status["phase"] == "failed" else None
    return wait_for(failed, deadline, "the plan fails")["failed"]["reason"]


def confirm(proxy, gate):
    """`zkferry confirm GATE`: the exit code."""
    return proxy.cli("confirm", gate).returncode


def wait_seen(proxy, *ids, deadline=40):
    """Until the proxy, too, sees that these servers serve: in answers to questions it asked after this call."""
    since = time.time() * 1000

    def seen():
        rows = {row["id"]: row for row in proxy.get("/v1/servers").json["servers"]}
        return all(rows[sid]["health"] == "serving" and rows[sid]["observed_at"] > since for sid in ids)
    wait_for(seen, deadline, f"the proxy sees that servers {ids} serve")


def findings(proxy):
    """{id: finding} of a fresh preflight, asked for until everybody has answered."""
    pending = {"super-unknown", "reconfig-unknown", "config-unknown", "no-leader", "leader-unseen"}

    def complete():
        found = {item["id"]: item for item in proxy.get("/v1/preflight").json["findings"]}
        is_pending = any(item["rule"] in pending or item["seen"].endswith(" yet") for item in found.values())
        return found if found and not is_pending else None
    return wait_for(complete, 40, "a preflight with all its answers")


def is_line(ensemble, sid, line):
    """A server's line as the config shows it: of a static file's member nobody has written the client part yet."""
    whole = ensemble.server_line(sid)
    return line in (whole, whole.partition(";")[0])


def assert_migrated(ensemble, ids=TARGETS):
    """The config and every new member's own list are exactly these servers."""
    config = ensemble.config(ids[0])
    assert config.ids == set(ids)
    assert all(is_line(ensemble, sid, config.members[sid]) for sid in ids), config
    for sid in ids:
        active = wait_for(lambda: ensemble.members_active(sid), 20, f"server {sid} answers")
        assert active == config, f"server {sid} counts with another config"


def assert_attached(ensemble, session_ids, ids=TARGETS):
    """Every session is on one of these servers, by the servers' own `cons`."""
    def missing():
        return session_ids - set().union(*(ensemble[sid].sessions() for sid in ids))
    wait_for(lambda: not missing(), 40, f"`cons` of {ids} list all {len(session_ids)} sessions")


def assert_kept(load, ensemble, sid=None):
    """Every promise to the clients was kept; returns the report."""
    with ensemble.client(sid) as direct:
        report = load.verify(direct)
    assert report.problems() == []
    return report
