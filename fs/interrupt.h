/* May a read that waits for the bucket end early, now that its caller has a signal? */
#ifndef TOOTFS_INTERRUPT_H
#define TOOTFS_INTERRUPT_H

#include <stdbool.h>
#include <sys/types.h>

/* caller: the thread that the kernel names, as seen from here. Does not wait. */
bool interrupt_is_due(pid_t caller);

#endif
