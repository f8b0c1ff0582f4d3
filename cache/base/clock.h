/* The two clocks: one for waits and deadlines, one for file times. Thread-safe. */
#ifndef TOOTFS_CLOCK_H
#define TOOTFS_CLOCK_H

#include <stdint.h>

int64_t clock_ms(void);      /* CLOCK_MONOTONIC, milliseconds */
int64_t clock_wall_ns(void); /* CLOCK_REALTIME, nanoseconds since 1970 */

#endif
