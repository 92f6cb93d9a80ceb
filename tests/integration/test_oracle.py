"""The same client script directly and through the proxy: the transcripts must be equal."""
import difflib

import pytest

from lib.oracle import transcript


def difference(expected, seen):
    return "\n".join(difflib.unified_diff(expected, seen, "direct", "proxied", lineterm="", n=2))


@pytest.fixture(scope="module")
def direct(shared_ensemble):
    return transcript(shared_ensemble.addresses())


def test_direct_transcript_repeats(shared_ensemble, direct):
    """What the script notes is not a matter of luck, otherwise comparing would mean nothing."""
    assert difference(direct, transcript(shared_ensemble.addresses())) == ""
    assert len(direct) > 90


def test_a_deviation_is_seen(shared_ensemble, direct):
    """Control: one more write, far from the end, shows."""
    assert difference(direct, transcript(shared_ensemble.addresses(), change=b"deviation")) != ""


@pytest.mark.sanitizer
def test_proxied_transcript_is_the_direct_one(shared_ensemble, direct, make_proxy):
    proxy = make_proxy(shared_ensemble.lines([1, 2, 3]))
    assert difference(direct, transcript(proxy.clients)) == ""
