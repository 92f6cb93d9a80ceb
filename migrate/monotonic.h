/* The clocks of mig_io; the pure core is told the time. Any thread. */
#ifndef MIGRATE_MONOTONIC_H
#define MIGRATE_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline int64_t mig_clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Deadlines and durations. */
static inline int64_t mig_now_ms(void)
{
    return mig_clock_ms(CLOCK_MONOTONIC);
}

/* For people only. */
static inline int64_t mig_wall_ms(void)
{
    return mig_clock_ms(CLOCK_REALTIME);
}

#endif
