"""Control runs: with a safety rule taken away (test builds only), the test of that rule must fail.

Each takes one away, runs what the test runs, and expects its assertion to break. If one of these fails, the
test it controls proves nothing.
"""
import pytest

from test_sessions import failed_dials_with_a_lagging_server, replies_before_the_end  # noqa: F401
from test_trouble import assert_names_deaf_followers, preflight_with_deaf_followers, scene  # noqa: F401


def test_without_the_drain_writes_are_left_unknown(ensemble, make_proxy, connect):  # noqa: F811
    """Controls test_sessions.test_a_return_waits_for_the_reply."""
    assert replies_before_the_end(ensemble, make_proxy, connect, switches=["no_drain"]) == [False] * 6


def test_without_zxid_routing_the_lagging_server_is_tried(shared_ensemble, make_proxy):
    """Controls test_sessions.test_no_server_behind_the_client_is_tried."""
    assert failed_dials_with_a_lagging_server(shared_ensemble, make_proxy, switches=["no_zxid_routing"]) > 0


def test_without_the_activation_check_deaf_followers_pass(scene):  # noqa: F811
    """Controls test_trouble.test_reconfig_disabled_on_followers_only: the plan would go on to split brain."""
    here, found = preflight_with_deaf_followers(scene, switches=["no_activation_check"])
    with pytest.raises(AssertionError):
        assert_names_deaf_followers(found)
    here.start()
    here.proxy.wait_phase("joining")
