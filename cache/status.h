/* How things are: the figures of every part in one piece. Thread-safe; without network. */
#ifndef TOOTFS_STATUS_H
#define TOOTFS_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/key.h"
#include "cache.h"

/* The wishes that the bucket has not got yet. Counting bytes means looking at each: that is done for so long at most, and
 * complete says whether it was enough; if not, the figures are of those that were looked at. */
struct status_pending {
	uint64_t count; /* always all of them */
	uint64_t puts, removes, bytes;
	uint64_t failing;  /* that were refused, each for itself */
	int64_t oldest_ns; /* wall clock; 0 = there is none */
	bool complete;
};

struct cache_status {
	/* the bucket */
	bool reachable;	      /* false: it does not answer, and is tried from time to time */
	bool sending_stopped; /* by a failure that concerns the whole bucket */
	char why[256];	      /* of that; "" */
	uint64_t calls, failures, retries, bytes_in, bytes_out;
	/* what is to be sent, and was */
	struct status_pending pending;
	uint64_t puts, copies, removes, put_bytes, put_failures;
	/* here */
	uint64_t files, folders, symlinks, bytes; /* of the tree */
	uint64_t cache_used, cache_limit, evicted_blobs, evicted_bytes;
	/* the survey */
	bool survey_running, survey_done;
	uint64_t survey_keys, survey_folders, survey_skipped;
};

enum { STATUS_LOOK_MS = 250 };
int cache_status_read(struct cache *cache, struct cache_status *out) MUST_CHECK;
/* Those at or below key, "" for all; but count is always that of all. look_ms: how long it may look. */
int status_pending_read(struct cache *cache, const char *key, int64_t look_ms, struct status_pending *out) MUST_CHECK;

#endif
