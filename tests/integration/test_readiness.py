"""/readyz and isro say what a client that connects now would get; /healthz that the process is well."""
from lib.raw import fill
from lib.waiting import wait_for
from lib.zkserver import four_letter_word

SOURCES = (1, 2, 3)
FAR = "127.0.0.77"  # sessions are from there, probes are not: servers count them apart
PATIENT_MS = 120000
NO_NODE = -101
LOCAL = {"localSessionsEnabled": "true", "localSessionsUpgradingEnabled": "true"}  # others need a quorum to begin


def isro(proxy):
    host, port = proxy.clients.rsplit(":", 1)
    return four_letter_word(host, int(port), "isro")


def wait_offer(proxy, status, text, answer):
    """Both say so; the process is well all the time."""
    wait_for(lambda: (proxy.get("/readyz").status, isro(proxy)) == (status, answer), 60, f"the offer is {answer}")
    assert text in proxy.get("/readyz").text
    assert proxy.get("/healthz").status == 200


def test_servers_that_refuse_every_session(make_ensemble, make_proxy, connect):
    """They answer probes like healthy ones; only sessions show that none is to be had."""
    ensemble = make_ensemble(cfg={"maxClientCnxns": 8, "maxSessionTimeout": PATIENT_MS}).start()
    proxy = make_proxy(ensemble.lines(SOURCES), config={"bind": {"source": [FAR]}})
    wait_offer(proxy, 200, "ready", "rw")
    places = [place for sid in SOURCES for place in fill(ensemble[sid], FAR, PATIENT_MS)]
    client = connect(proxy.clients, patience=60)
    client.send_connect(timeout_ms=PATIENT_MS)
    wait_offer(proxy, 503, "refuses new sessions", "null")
    assert all(row["health"] == "serving" for row in proxy.get("/v1/servers").json["servers"])
    assert client.is_quiet()
    for place in places:
        place.close()
    assert client.read_connect() != 0
    wait_offer(proxy, 200, "ready", "rw")


def test_servers_without_a_quorum(make_ensemble, make_proxy, connect):
    """In read-only mode they serve those clients who take that, through the proxy as without it."""
    ensemble = make_ensemble(cfg=LOCAL, properties={"readonlymode.enabled": "true"}).start()
    proxy = make_proxy(ensemble.lines(SOURCES))
    wait_offer(proxy, 200, "ready", "rw")
    for sid in (1, 2):
        ensemble[sid].kill9()
    wait_for(lambda: ensemble[3].mode() == "read-only", 60, "the last server is read-only")
    wait_offer(proxy, 200, "read-only", "ro")
    writer = connect(proxy.clients, patience=60)
    writer.send_connect(timeout_ms=PATIENT_MS)
    reader = connect(proxy.clients).attach(read_only=True)
    assert reader.get("/none")[0] == NO_NODE
    assert writer.is_quiet()
    ensemble.start([1, 2])
    assert writer.read_connect() != 0
    wait_offer(proxy, 200, "ready", "rw")


def test_no_place_is_left(shared_ensemble, make_proxy, connect):
    proxy = make_proxy(shared_ensemble.lines(SOURCES), config={"limits": {"sessions": 1}})
    wait_for(lambda: proxy.get("/readyz").status == 200, 30, "a server is admitted")
    client = connect(proxy.clients).attach()
    wait_for(lambda: proxy.get("/readyz").status == 503, 20, "the place is taken")
    assert "limits.sessions" in proxy.get("/readyz").text
    client.close()
    wait_for(lambda: proxy.get("/readyz").status == 200, 20, "there is a place again")
