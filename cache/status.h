/* How things are: the figures of every part in one piece, and all that is known of one file. Thread-safe; without
 * network. */
#ifndef TOOTFS_STATUS_H
#define TOOTFS_STATUS_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/histogram.h"
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
	struct {
		bool reachable;	      /* false: it does not answer, and is tried from time to time */
		bool sending_stopped; /* by a failure that concerns the whole bucket */
		char why[256];	      /* of that; "" */
		int64_t trouble_ns;   /* wall clock: when a call failed last; 0 = never */
		char trouble[256];    /* why */
		const char *trouble_op;
		uint64_t calls, failures, retries;
		uint64_t bytes_in, bytes_out, rate_in, rate_out; /* rates: a second, over ten seconds */
	} bucket;
	struct {
		uint64_t puts, copies, removes, bytes, failures;
		unsigned in_flight;
	} sent;
	struct {
		uint64_t files, folders, symlinks, bytes;
	} tree;
	struct {
		uint64_t used, limit, hits, misses, hit_bytes, miss_bytes, evicted_blobs, evicted_bytes;
	} cache;
	struct {
		uint64_t failures;
		bool failing; /* the last one did */
		struct histogram_sums rounds;
	} checkpoints;
	struct {
		bool running, done;
		uint64_t keys, folders, skipped;
	} survey;
	uint64_t pending_count;
};
int cache_status_read(struct cache *cache, struct cache_status *out) MUST_CHECK;

enum { STATUS_LOOK_MS = 250 };
/* Those at or below key, "" for all; but count is always that of all. look_ms: how long it may look. */
int status_pending_read(struct cache *cache, const char *key, int64_t look_ms, struct status_pending *out) MUST_CHECK;

/* Calls to the bucket, an operation after the other; false at the end. */
struct status_calls {
	const char *name;
	uint64_t calls, failures;
	struct histogram_sums requests; /* each attempt of a call */
};
bool status_calls_read(struct cache *cache, unsigned i, struct status_calls *out);

enum status_kind { STATUS_FOLDER, STATUS_FILE, STATUS_SYMLINK };
enum status_state { STATUS_REMOTE, STATUS_CLEAN, STATUS_DIRTY };
struct node_status {
	uint64_t ino;
	enum status_kind kind;
	char key[KEY_BYTES_MAX + 1]; /* "" of the root, and where it has no name any more */
	bool pinned; /* itself, or a folder above it */
	/* a folder */
	bool complete; /* every name is known */
	/* the others */
	enum status_state state; /* of what was closed last */
	bool unpublished;	 /* written to, and not closed yet */
	uint64_t size, version, cached_bytes;
	char etag[128]; /* of the object; "" */
	/* what the bucket is still to be told of it, at its key */
	bool pending;
	int64_t since_ns, retry_ns; /* wall clock; retry_ns: not before; 0 = at once */
	uint32_t attempts;	    /* that were refused */
	int64_t failed_ns;	    /* wall clock: when something failed with it last; 0 = nothing that is remembered */
	char failed_why[256];
};
/* The node of a key. -ENOENT: there is none; -EAGAIN: not known, its folder was not listed yet. */
int status_find(struct cache *cache, const char *key, uint64_t *ino) MUST_CHECK;
int node_status_read(struct cache *cache, uint64_t ino, struct node_status *out) MUST_CHECK;
const char *status_state_name(enum status_state state); /* REMOTE, CLEAN, DIRTY */

#endif
