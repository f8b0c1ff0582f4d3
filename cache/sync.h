/* Waiting until the bucket has all that there is now at and below some keys. What is changed later need not be waited for.
 *
 *     sync_begin; sync_look … until left.done or left.refused_for_good, or as long as one likes; sync_end
 *
 * A file that is open for writing counts as it was when it was closed last. One thread. */
#ifndef TOOTFS_SYNC_H
#define TOOTFS_SYNC_H

#include <stdbool.h>
#include <stdint.h>
#include "cache.h"

struct sync;

struct sync_left {
	bool done;
	/* What is left will not come by waiting: the bucket refuses everything, or each of these files for itself, and did so
	 * again after it was tried anew; or the mount is read-only. */
	bool refused_for_good;
	uint64_t files, bytes, refused;
	bool exact;    /* else it is known that there are so many, and maybe more */
	char why[400]; /* what it waits for, in words; "" = it is on its way */
};

/* keys: "" is all. Hurries the sender. */
int sync_begin(struct cache *cache, const char *const *keys, size_t count, struct sync **out) MUST_CHECK;
/* Looks for look_ms at most; what it has not seen then it sees next time. Never waits. */
int sync_look(struct sync *sync, int64_t look_ms, struct sync_left *left) MUST_CHECK;
/* Up to max of the files that are left, those first that were refused. why: of the last refusal, or "". */
typedef void sync_visit(void *arg, const char *key, const char *why);
int sync_tell(struct sync *sync, unsigned max, sync_visit *visit, void *arg) MUST_CHECK;
void sync_end(struct sync **sync);

#endif
