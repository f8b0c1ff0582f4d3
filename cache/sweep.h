/* Sweep: after a start that was not clean, what nobody names any more goes, and what a power cut took is found; in the
 * background, so that the start does not take longer the more files there are. For cache/ .c files only.
 *
 * Nodes that were held open without a name are deleted; blobs that no record names are dropped. After a power cut every
 * blob is looked at (flow/sound.h): a copy of what the bucket has is forgotten, to be fetched again; an unsent file that is
 * not whole leaves the tree for lost+found, with an error in the log: that is the one real loss.
 * A sweep that is not over when the cache is closed begins again at the next start, also after a clean stop. */
#ifndef TOOTFS_SWEEP_H
#define TOOTFS_SWEEP_H

#include "internal.h"

struct sweep;

/* Before any transaction that names or forgets a blob, and before the threads; the index as it was opened is durable.
 * *out is NULL where there is nothing to sweep. */
int sweep_open(struct cache *cache, enum index_start start, struct sweep **out) MUST_CHECK;
int sweep_start(struct sweep *s) MUST_CHECK; /* s may be NULL, here and below */
void sweep_stop(struct sweep *s);	     /* the bucket is stopped before; joins */
void sweep_close(struct sweep **s);

#endif
