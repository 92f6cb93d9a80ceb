"""Waiting for a condition with a deadline: the only way tests here wait."""
import os
import time

# Sanitizer builds are several times slower; tests/check.sh sets this for them.
SCALE = float(os.environ.get("ZKFERRY_DEADLINE_SCALE", "1"))
POLL_SECONDS = 0.02


def wait_for(condition, deadline, what):
    """Polls until condition() is truthy and returns that value; AssertionError after deadline seconds.

    An exception in the condition counts as "not yet" (servers come and go) and is shown at the end.
    AssertionError passes through at once: the condition uses it to say that waiting is pointless.
    """
    limit = deadline * SCALE
    end = time.monotonic() + limit
    last = None
    while True:
        try:
            last = condition()
            if last:
                return last
        except AssertionError:
            raise
        except Exception as trouble:  # noqa: BLE001 - shown when the deadline passes
            last = trouble
        if time.monotonic() >= end:
            raise AssertionError(f"not within {limit:.0f} s: {what} (last seen: {last!r})")
        time.sleep(POLL_SECONDS)
