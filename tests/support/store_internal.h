/* The inside of a store: for store_bucket.c (what there is) and store_ops.c (what is done with it). */
#ifndef TOOTFS_STORE_INTERNAL_H
#define TOOTFS_STORE_INTERNAL_H

#include "cache/base/lock.h"
#include "cache/bucket/ops.h"
#include "store_bucket.h"

enum { BUSY_MAX = 4096, STORY_MAX = 1 << 20 };

struct stored {
	struct stored *next;
	char key[KEY_BYTES_MAX + 1];
	char id[32]; /* of an upload; "" = an object */
	struct buf bytes;
	struct object object;
	struct stored_part {
		struct buf bytes;
		char etag[ETAG_BYTES];
	} *parts;
	unsigned parts_count;
};

struct store {
	struct lock lock;
	struct wakeup moved;
	struct {
		struct stored *objects, *uploads;
		struct store_knobs knobs;
		uint64_t random, serial;
		bool stopped, gated;
		char gate_key[KEY_BYTES_MAX + 1], late_key[KEY_BYTES_MAX + 1];
		unsigned at_gate, under_way, busiest, overlaps, calls[BUCKET_OPS];
		const char *busy[BUSY_MAX];
		unsigned busy_count;
		struct buf story;
	} locked;
};

/* With the lock held. */
struct stored **store_find(struct stored **list, const char *key, const char *id);
struct stored *store_make(struct stored **list, const char *key, const char *id);
void store_drop(struct stored **list, const char *key, const char *id);
void store_etag(const void *bytes, size_t length, char etag[ETAG_BYTES]);
struct stored *store_make_object(struct store *s, const char *key, const struct buf *bytes,
				 const struct object_attrs *attrs);

extern const struct bucket_ops store_ops;

#endif
