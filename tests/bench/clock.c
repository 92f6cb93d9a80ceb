/* See clock.h. */
#include "tests/bench/clock.h"

#include <time.h>

static int64_t read_ns(clockid_t clock)
{
    struct timespec now;
    if (clock_gettime(clock, &now) != 0)
        return -1;
    return (int64_t)now.tv_sec * BENCH_NS_PER_S + now.tv_nsec;
}

int64_t bench_now_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t bench_cpu_ns(pid_t pid)
{
    clockid_t clock;
    return clock_getcpuclockid(pid, &clock) == 0 ? read_ns(clock) : -1;
}
