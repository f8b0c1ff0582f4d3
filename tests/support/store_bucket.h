/* A bucket in memory that takes what is sent, remembers how it came, and misbehaves as it is told; for unit tests.
 *
 * It stands behind the real door (bucket.c). A PUT, COPY, DELETE or CompleteMultipartUpload "changes" its key; two
 * changes of one key that overlap are counted (store_overlaps). Thread-safe. */
#ifndef TOOTFS_STORE_BUCKET_H
#define TOOTFS_STORE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/bucket/bucket_stats.h"

struct store;

struct store *store_new(uint64_t seed);
/* The bucket to hand to a flow; closing it leaves the objects. May be opened again after that. */
struct bucket *store_open(struct store *s);
/* Objects and uploads as they are now, with no knobs set. */
struct store *store_clone(struct store *s);
void store_free(struct store **s);

struct store_knobs {
	unsigned delay_us;    /* a request takes a random time up to this before its effect, and after it */
	unsigned fail, lose;  /* of 1,000 requests so many fail before their effect, and after it, with EHOSTDOWN */
	bool again;           /* … which the door repeats */
	enum bucket_op lost_op; /* of these requests the next so many are lost after their effect */
	unsigned lost_count;
	bool late;            /* a create whose answer is lost takes effect only after the next list of uploads */
	int probe_error;      /* of bucket_probe() */
	bool no_if_match;     /* conditions are not looked at, as some servers do it */
	const char *poison;   /* a batch of deletes with this key is refused as a whole (EINVAL) */
	/* Non-zero: the request, or of a batch of deletes this key, fails with it. Called with the store's lock held. */
	int (*judge)(void *arg, enum bucket_op op, const char *key);
	void *arg;
};
void store_set(struct store *s, const struct store_knobs *knobs);

/* -- a gate: changes and parts of this key wait before their effect until it is opened; key NULL = any -- */
void store_gate(struct store *s, const char *key);
void store_gate_open(struct store *s);
/* Waits up to 10 s until so many requests stand at the gate, and returns how many do. */
unsigned store_at_gate(struct store *s, unsigned count);

/* -- what there is -- */
void store_put(struct store *s, const char *key, const void *bytes, size_t length,
	       const struct object_attrs *attrs, char etag[ETAG_BYTES]);
void store_remove(struct store *s, const char *key);
bool store_get(struct store *s, const char *key, struct buf *bytes, struct object *object);
size_t store_objects(struct store *s);
size_t store_uploads(struct store *s);
void store_upload(struct store *s, const char *key, int64_t initiated_ns); /* by somebody else */
typedef void store_visit(void *arg, const char *key, const void *bytes, size_t length);
void store_each(struct store *s, store_visit *visit, void *arg);

/* -- how it came -- */
unsigned store_calls(struct store *s, enum bucket_op op); /* that reached it */
unsigned store_busiest(struct store *s);                  /* requests under way at one time, at most */
unsigned store_overlaps(struct store *s);
/* "PUT a, REMOVE b c, " ... since the last call of it. */
void store_story(struct store *s, struct buf *out);

#endif
