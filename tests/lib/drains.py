"""Emptying servers again and again while clients work: the quickest way to many moves."""
import time

from .waiting import wait_for

MOVES = "zkferry_moves_total"


def wait_admitted(proxy, *ids):
    """The proxy knows that these servers serve: only then are sessions spread over them, and only when another
    one is admitted may one be drained."""
    def admitted():
        rows = proxy.get("/v1/servers").json["servers"]
        return {row["id"] for row in rows if row["admitted"]} >= set(ids)
    wait_for(admitted, 30, f"servers {ids} are admitted")


def moves_done(proxy):
    return int(proxy.metrics().value(MOVES, result="done"))


def drain(proxy, ensemble, sid, session_ids, deadline=30):
    """POST drain, until none of these sessions is in the server's own `cons`."""
    answer = proxy.post(f"/v1/servers/{sid}/drain")
    assert answer.status in (200, 202), f"drain {sid}: {answer}"
    wait_for(lambda: not session_ids & ensemble[sid].sessions(), deadline, f"server {sid} is drained")


def undrain(proxy, sid):
    answer = proxy.post(f"/v1/servers/{sid}/undrain")
    assert answer.status in (200, 202), f"undrain {sid}: {answer}"


def move_about(proxy, ensemble, session_ids, moves):
    """Drains the server with the most sessions, over and over, for that many moves; moves per second."""
    began, first = time.monotonic(), moves_done(proxy)
    done = first
    while done - first < moves:
        busiest = max(ensemble.running(), key=lambda server: len(session_ids & server.sessions())).id
        drain(proxy, ensemble, busiest, session_ids)
        undrain(proxy, busiest)
        done = wait_for(lambda before=done: more_than(before, moves_done(proxy)), 20,
                        f"a move is counted after server {busiest} was emptied")
    return (done - first) / (time.monotonic() - began)


def more_than(before, now):
    return now if now > before else None


def connections_to(server):
    """TCP connections of this machine to a server's client port, by the kernel's table."""
    wanted = f"{server.client_port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in list(table)[1:]]
    established, dialing = "01", "02"
    return sum(row[2].endswith(":" + wanted) and row[3] in (established, dialing) for row in rows)
