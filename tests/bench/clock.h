/* Wall and CPU time in nanoseconds. Any thread. */
#ifndef TESTS_BENCH_CLOCK_H
#define TESTS_BENCH_CLOCK_H

#include <stdint.h>
#include <sys/types.h>

#define BENCH_NS_PER_S  1000000000LL
#define BENCH_NS_PER_MS 1000000LL

/* Monotonic. */
int64_t bench_now_ns(void);
/* CPU time, user and system, of all threads a process has or had, by the kernel's own accounting of run time
 * (not sampled by ticks). pid 0 = the caller. -1 when there is no such process. */
int64_t bench_cpu_ns(pid_t pid);

#endif
