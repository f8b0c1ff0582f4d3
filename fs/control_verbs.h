/* Work that clients ask for: one function each, of type control_work (control.h says what it may do). */
#ifndef TOOTFS_CONTROL_VERBS_H
#define TOOTFS_CONTROL_VERBS_H

#include "control.h"

control_work control_sync; /* control_sync.c */
control_work control_check; /* control_check.c */
control_work control_warm, control_evict, control_pin, control_unpin; /* control_warm.c */
control_work control_refresh, control_abort_uploads;		      /* control_refresh.c */

/* "keys", or the root where there are none; to be freed, but not what they point at. NULL: no memory. */
const char **control_keys(const json_t *options, size_t *count);
/* Is it a second since the last time? */
bool control_due(int64_t *told_ms);

#endif
