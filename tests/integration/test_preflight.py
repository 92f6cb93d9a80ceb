"""Preflight on real servers: what `zkferry preflight` finds in ensembles that are not as they should be, and that
accepting a block by its pitfall lets a plan start, is shown, and outlives the daemon."""
import pytest
from kazoo.security import OPEN_ACL_UNSAFE, make_acl

from lib.migration import SOURCES, TARGETS, findings, plan_targets
from lib.waiting import wait_for

LOCK_ROOT, LOCK = "/zookeeper/zkferry", "/zookeeper/zkferry/lock"
FOREIGN = b"instance=another-daemon pid=1 since_ms=1 note=20260101-000000-00000001"


def edit_members(ensemble, edit):
    """Rewrites the member lines of all servers that have files, before the first start."""
    for server in ensemble.servers.values():
        dynamic = server.directory / "zoo.cfg.dynamic"
        if dynamic.exists():
            dynamic.write_text("".join(edit(line) for line in dynamic.read_text().splitlines(keepends=True)))


@pytest.fixture
def odd(make_ensemble, make_proxy):
    """Three voters and an observer, each with something an operator should know before a migration."""
    ensemble = make_ensemble(
        4, cfg={"skipACL": "yes", "localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true"},
        properties={"zookeeper.extendedTypesEnabled": "true"},
        server_cfg={1: {"tickTime": 400, "minSessionTimeout": 900},
                    2: {"4lw.commands.whitelist": "srvr"},
                    4: {"syncLimit": 1}})

    def edit(line):
        if line.startswith("server.1="):
            return line.replace(f";{ensemble[1].host}:", ";0.0.0.0:")
        return line.replace(":participant", ":observer") if line.startswith("server.4=") else line
    edit_members(ensemble, edit)
    ensemble.start([1, 3])  # equal zxids: the highest id leads
    ensemble.start([2, 4])
    targets = plan_targets(ensemble, (5, 6, 7))
    sources = [edit(line) for line in ensemble.lines((1, 2, 3, 4))]
    proxy = make_proxy(sources, targets, config={"guard": {"config_node": "pass"}})
    return ensemble, proxy


def fill(ensemble):
    """Data that a move would trouble, in a tree that is wider than a sample takes at first."""
    with ensemble.client(3, super_user=True) as client:
        client.create("/app")
        for number in range(100):
            client.create(f"/app/{number}")
        client.create("/app/by-address", acl=[make_acl("ip", "127.0.0.1", all=True)])
        client.create("/app/digest", acl=[make_acl("digest", "a:b", all=True)])


def hold_lock(ensemble):
    client = ensemble.client(3, super_user=True)
    client.create(LOCK_ROOT, acl=OPEN_ACL_UNSAFE)
    client.create(LOCK, FOREIGN, ephemeral=True)
    return client


def by_rule(found):
    """{rule: {servers}} of what is not about the targets, which do not run."""
    rules = {}
    for finding in found.values():
        rules.setdefault(finding["rule"], set()).add(finding["server"])
    return rules


ODD = {"tick-differs": {3, 4}, "timeouts-differ": {3, 4}, "activation-unobservable": {2},
       "mntr-not-allowed": {2}, "observer": {4}, "wildcard-client": {1}, "sync-limit-short": {4},
       "skip-acl": {-1}, "ip-acls": {-1}, "extended-types": {-1}, "plan-lock-held": {-1},
       "config-node-passed": {-1}, "jute-maxbuffer-unknown": {-1}, "target-not-started": {5, 6, 7},
       "version-old": {1, 2, 3, 4}, "version-note": {1, 2, 3, 4}}
PERHAPS = {"join-under-writes"}  # what the scene itself has written may just have been seen
ODD_ON = {"local-sessions": 3, "direct-clients": 1}  # and perhaps on others: they are where clients went


def odd_differences(found):
    """What is wanted and was not found, and what was found and is not wanted."""
    rules = by_rule(found)
    missing = [f"{rule}: {rules.get(rule)}" for rule, servers in ODD.items() if rules.get(rule) != servers]
    missing += [f"{rule}-{server}" for rule, server in ODD_ON.items() if server not in rules.get(rule, ())]
    unexpected = rules.keys() - ODD.keys() - ODD_ON.keys() - PERHAPS
    return missing + [f"{f['id']}: {f['seen']}" for f in found.values() if f["rule"] in unexpected]


def odd_findings(proxy):
    """A preflight that finds just what there is: what connections and mntr show comes a moment later."""
    differences = []

    def just_these():
        found = findings(proxy)
        differences[:] = odd_differences(found)
        return found if not differences else None
    try:
        return wait_for(just_these, 40, "a preflight that finds what there is")
    except AssertionError as trouble:
        raise AssertionError(f"{trouble}: {differences}") from trouble


def assert_odd(found):
    assert "/app/by-address" in found["ip-acls"]["seen"] and found["ip-acls"]["seen"].startswith("1 of 1")
    assert FOREIGN.decode() in found["plan-lock-held"]["seen"]
    assert not found["plan-lock-held"]["can_accept"]
    assert found["activation-unobservable-2"]["pitfall"] == "P6 P12 P28"


def accepted_plan_waits(proxy):
    """The plan is past its preflight and shows what was accepted."""
    status = proxy.wait_phase("joining", deadline=60)
    plan = proxy.get("/v1/plan").json
    accepted = {f["id"] for f in plan["findings"] if f["is_accepted"]}
    assert status["accepted"] == plan["accepted"] == ["P28"]
    return accepted


def test_an_odd_ensemble(odd):
    """Many rules on one ensemble; a direct client; a lock of somebody else; then a start in spite of a block."""
    ensemble, proxy = odd
    fill(ensemble)
    other = hold_lock(ensemble)
    stranger = ensemble.client(1)
    assert_odd(odd_findings(proxy))
    refused = proxy.cli("preflight")
    assert refused.returncode == 1
    assert "plan-lock-held  [P11 P46 P47]" in refused.stdout and "start --accept activation-unob" in refused.stdout

    for client in (other, stranger):
        client.stop()
        client.close()
    wait_for(lambda: "direct-clients-1" not in (f := findings(proxy)) and "plan-lock-held" not in f, 40,
             "stranger and lock are gone")
    assert proxy.cli("start", "--accept", "P28").returncode == 0
    assert accepted_plan_waits(proxy) == {"activation-unobservable-2"}
    proxy.kill9()
    proxy.start()
    accepted_plan_waits(proxy)
    assert "accepted  P28" in proxy.cli("status").stdout
    wait_for(lambda: proxy.cli("rollback").returncode == 0, 30, "a rollback is accepted")
    proxy.wait_phase("rolled_back", deadline=60)


def test_groups_and_weights(make_ensemble, make_proxy):
    """A hierarchical quorum can't be changed step by step: refused, not merely told."""
    ensemble = make_ensemble()
    for sid in SOURCES:
        with open(ensemble[sid].directory / "zoo.cfg.dynamic", "a") as dynamic:
            dynamic.write("group.1=1:2:3\nweight.1=1\nweight.2=1\nweight.3=1\n")
    ensemble.start()
    proxy = make_proxy(ensemble.lines(SOURCES), plan_targets(ensemble, TARGETS))
    found = findings(proxy)
    assert found["hierarchical"]["severity"] == "block" and not found["hierarchical"]["can_accept"]
    assert not {"local-sessions", "skip-acl", "extended-types", "not-sampled"} & set(by_rule(found))
    assert proxy.post("/v1/migration/start", {"accept": ["P10"]}).status == 200
    assert "hierarchical" in wait_for(lambda: proxy.status().get("failed"), 60, "the plan fails")["reason"]
