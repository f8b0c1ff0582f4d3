/* What sweep.c and sweep_unsent.c share. */
#ifndef TOOTFS_SWEEP_INTERNAL_H
#define TOOTFS_SWEEP_INTERNAL_H

#include "cache/base/lock.h"
#include "numbers.h"
#include "sweep.h"

struct sweep {
	struct cache *cache;
	struct flow *flow;
	struct txn *txn;   /* the state as it was opened */
	uint64_t doubted;  /* blobs below it came through a power cut; 0 = none did */
	uint64_t blob_end; /* of blobs that are older than this start */
	struct numbers named;
	uint64_t dropped, dropped_bytes, orphans, damaged;
	pthread_t thread;
	bool started;
	_Atomic bool stopping;
};

/* sweep_doubted.c: every unsent file; every copy. 0, -ECANCELED, -errno of the index. */
int sweep_unsent(struct sweep *s) MUST_CHECK;
int sweep_copies(struct sweep *s) MUST_CHECK;

#endif
