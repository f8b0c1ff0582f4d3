/* Sweep: after a start that was not clean, what nobody names any more goes; for cache/ .c files only.
 *
 * Nodes that were held open without a name are deleted; blobs that no record names are dropped. Before the
 * threads start; the index as it was opened is durable (index_open). */
#ifndef TOOTFS_SWEEP_H
#define TOOTFS_SWEEP_H

#include "cache/flow/flow.h"

int sweep_run(struct flow *flow) MUST_CHECK;

#endif
