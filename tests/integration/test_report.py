"""What is said beforehand, what is done, and what is told afterwards are the same, over a kill -9."""
import json
import re

import pytest

from lib.migration import SOURCES, TARGETS, confirm, plan_targets, start_joiners, wait_gate
from lib.waiting import wait_for

SESSIONS, WRITES_PER_SECOND = 10, 30
GATES = ("switch", "remove", "finish")


def sent_requests(proxy):
    """(joining, leaving, via, from_version) of every reconfig, by the log."""
    lines = [line.replace('\\"', '"') for line in proxy.log().splitlines()
             if "event=plan.reconfig.sent" in line]
    pattern = r'via=(\d+) joining="([^"]*)" leaving="([^"]*)" from_version=([0-9a-f]+)'
    found = [re.search(pattern, line).groups() for line in lines]
    return [(joining, leaving, int(via), int(version, 16)) for via, joining, leaving, version in found]


def preview(proxy):
    """The dry run, once everybody has answered."""
    def observed():
        plan = proxy.get("/v1/plan").json
        is_observed = plan["leader"] > 0 and not plan["config_assumed"]
        return plan if is_observed and plan["forecast"][0]["before"]["alive"] == len(SOURCES) else None
    return wait_for(observed, 40, "a preview of an observed ensemble")


def changes(plan):
    """(joining, leaving) of the reconfigs that are still to be sent."""
    return [(step["joining"], step["leaving"]) for step in plan["forecast"]
            if step["joining"] or step["leaving"]]


def assert_preview(plan, ensemble):
    assert plan["plan_id"] == "" and plan["refusal"] == ""
    assert [joining for joining, _ in changes(plan) if joining] == ensemble.lines(TARGETS)
    steps = {step["name"]: step for step in plan["forecast"]}
    assert steps["join"]["waits"] == "the start of targets 4,5,6"
    assert steps["switch"]["waits"] == "`zkferry confirm switch`"
    leader = steps[f"remove.{ensemble.leader()}"]
    assert leader["impact"].startswith("it leads: all ") and changes(plan)[-1] == ("", str(ensemble.leader()))
    quorums = [(step["after"]["voters"], step["after"]["alive"], step["after"]["tolerates"])
               for step in plan["forecast"] if step["joining"] or step["leaving"]]
    assert quorums == [(4, 4, 1), (5, 5, 2), (6, 6, 2), (5, 5, 2), (4, 4, 1), (3, 3, 1)]
    assert all(step["keeps_tolerance"] for step in plan["forecast"])


def assert_same_story(report, proxy):
    """Every reconfig of the report is one of the log, in its order, and each starts where the last ended."""
    told = [(item["joining"], item["leaving"], item["via"], int(item["from_version"], 16))
            for item in report["reconfigs"]]
    assert told == sent_requests(proxy)
    assert {item["outcome"] for item in report["reconfigs"]} == {"applied"}
    versions = [(item["from_version"], item["to_version"]) for item in report["reconfigs"]]
    assert all(before[1] == after[0] for before, after in zip(versions, versions[1:]))
    outcomes = re.findall(r"event=plan.reconfig.outcome .* applied version=([0-9a-f]+)", proxy.log())
    assert [int(to, 16) for _, to in versions] == [int(version, 16) for version in outcomes]


def assert_complete(report, status):
    assert report["outcome"] == "finished" and report["failure"] == "" and not report["is_cut"]
    assert [step["name"] for step in report["steps"]] == executed(status)
    happened = [(moment["what"], moment["detail"]) for moment in report["moments"]]
    assert happened == [("confirmed", "switch"), ("restarted", ""), ("confirmed", "remove"),
                        ("confirmed", "finish")]
    assert report["sessions"]["moved"] >= SESSIONS, "moves of the life that was killed are not told"
    assert report["sessions"]["expired"] == report["sessions"]["failed"] == 0
    holds = [item["hold_seconds"] for item in report["reconfigs"] if item["hold_seconds"] > 0]
    assert report["holds"] == len(holds) == 1 and report["longest_hold_seconds"] == holds[0]
    assert report["longest_pause_seconds"] > 0
    assert report["witness"]["clean"] and report["witness"]["plan_id"] == report["plan_id"]
    assert sum(step["seconds"] for step in report["steps"]) <= report["seconds"] + 1
    assert report["ended_at"] - report["started_at"] == pytest.approx(report["seconds"] * 1000, abs=1)


def recorded_witness(proxy):
    """What the witness had seen some seconds ago, once the report has it: that is on disk."""
    seen = wait_for(lambda: (now := proxy.status()["witness"]) and now["acked"] >= 20 and now, 20,
                    "the witness writes")

    def recorded():
        told = proxy.get("/v1/report").json["witness"]
        return told if told and told["acked"] >= seen["acked"] else None
    told = wait_for(recorded, 15, "the journal has what the witness saw")
    assert told["running"] and told["ended_at"] == 0
    return told


def assert_goes_on(proxy, before):
    """A daemon that was just started says at once what those before it have seen, and adds to it."""
    said = proxy.status()["witness"]
    assert said and said["plan_id"] == before["plan_id"] and said["started_at"] == before["started_at"], said
    assert said["writes"] >= before["writes"] and said["acked"] >= before["acked"], (said, before)
    assert proxy.metrics().value("zkferry_witness_acked_total") >= before["acked"]
    wait_for(lambda: proxy.status()["witness"]["acked"] >= said["acked"] + 10, 30, "the witness goes on")


def assert_both_lives(told, before):
    """Being killed is no fault the witness could have seen; the time until the next life is no stall."""
    assert told["started_at"] == before["started_at"] and told["ended_at"] > 0 and not told["running"], told
    assert told["acked"] >= before["acked"] + 10 and told["events"] > before["events"], (told, before)
    assert told["clean"] and told["stall_seconds"] >= before["stall_seconds"], told


def final_report(proxy):
    """The plan's end is told when its record is on disk, a moment after the status shows it."""
    def ended():
        report = proxy.get("/v1/report").json
        return report if report["outcome"] != "running" else None
    return wait_for(ended, 30, "the report of an ended plan")


def executed(status):
    """Names of the plan's steps in the order of their execution: removals may be in another than listed."""
    return [step["name"] for step in sorted(status["steps"], key=lambda step: step["started_at"])]


@pytest.mark.limit(300)
@pytest.mark.sanitizer
def test_plan_and_report(ensemble, make_proxy, make_workload):
    lines = plan_targets(ensemble)
    proxy = make_proxy(ensemble.lines(SOURCES), lines, confirm=GATES)
    assert proxy.get("/v1/report").status == 404
    plan = preview(proxy)
    assert_preview(plan, ensemble)
    text = proxy.cli("plan").stdout
    assert "voters 5, alive 5, tolerates 2" in text and "waits for the start of targets 4,5,6" in text
    proxy.pin_ports()
    load = make_workload(proxy.clients, SESSIONS, writes_per_second=WRITES_PER_SECOND)
    load.wait_progress(WRITES_PER_SECOND)
    start_joiners(ensemble)
    proxy.start_migration()
    wait_gate(proxy, "switch")
    assert proxy.get("/v1/report").json["outcome"] == "running"
    assert changes(proxy.get("/v1/plan").json) == changes(plan)[3:], "what is left of the plan"
    assert confirm(proxy, "switch") == 0
    wait_gate(proxy, "remove")
    before = recorded_witness(proxy)
    proxy.kill9()
    proxy.start()
    wait_gate(proxy, "remove")
    assert_goes_on(proxy, before)
    load.wait_progress(WRITES_PER_SECOND)
    assert confirm(proxy, "remove") == 0
    wait_gate(proxy, "finish")
    assert confirm(proxy, "finish") == 0
    status = proxy.wait_phase("finished")
    assert [request[:2] for request in sent_requests(proxy)] == changes(plan)
    report = final_report(proxy)
    assert_same_story(report, proxy)
    assert_complete(report, status)
    assert_both_lives(report["witness"], before)
    assert_kept_on_disk(proxy, report)
    assert_events(proxy, status)


def assert_kept_on_disk(proxy, report):
    """The file is the report, and a daemon that is started later serves it."""
    path = proxy.state_dir / "reports" / f"{report['plan_id']}.json"
    wait_for(path.exists, 30, "the report's file")
    assert json.loads(path.read_text()) == report
    text = proxy.cli("report").stdout
    assert "outcome   finished" in text and "confirmed remove" in text
    proxy.kill9()
    proxy.start()
    assert proxy.get("/v1/report").json == report
    path.unlink()  # as if it had died before it was written: made anew from the journal
    proxy.restart()
    wait_for(path.exists, 30, "the report's file, made from the journal")
    assert json.loads(path.read_text()) == {**report, "verification": None}  # that is not in the journal
    said = proxy.status()["witness"]
    assert said == {**report["witness"], "connected": False, "session_id": "0x0"}


def assert_events(proxy, status):
    """A ring in memory: the restarts above have emptied it. Numbers go on, `since` leaves out what is known."""
    def observed():
        answer = proxy.get("/v1/events").json
        return answer if any(event["event"] == "server.health" for event in answer["events"]) else None
    last = wait_for(observed, 20, "a change of health among the events")["last"]
    assert last > status["now"], "numbers go on over a restart"
    assert all(event["seq"] > last for event in proxy.get(f"/v1/events?since={last}").json["events"])
    assert proxy.get("/v1/events?since=x").status == 400
    assert proxy.cli("confirm", "finish").returncode == 0
    newer = proxy.get(f"/v1/events?since={last}").json["events"]
    assert [event["seq"] for event in newer] == list(range(last + 1, last + 1 + len(newer)))
    assert any(event["event"] == "command" and event["text"] == "confirm" for event in newer)
    assert "confirm" in proxy.cli("events").stdout
