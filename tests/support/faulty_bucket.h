/* A bucket in memory that misbehaves as it is told; for unit tests.
 *
 * It stands behind the real door (bucket.c), so that arguments and results are checked there. Objects are bytes of a
 * pattern: byte i of content `seed` is faulty_byte(seed, i). The knobs may be turned at any time. Thread-safe. */
#ifndef TOOTFS_FAULTY_BUCKET_H
#define TOOTFS_FAULTY_BUCKET_H

#include <stdbool.h>
#include <stdint.h>
#include "cache/bucket/bucket.h"

struct faulty_bucket;

struct faulty_bucket *faulty_bucket_new(void);
/* The bucket to hand to a flow; closing it leaves the objects. May be opened again after that. */
struct bucket *faulty_bucket_open(struct faulty_bucket *f);
void faulty_bucket_free(struct faulty_bucket **f);

static inline uint8_t faulty_byte(unsigned seed, uint64_t i)
{
	return (uint8_t)((i * 2654435761u >> 7) + (i >> 13) + seed * 101);
}

/* Puts or replaces. etag NULL = one made of seed and size; "" = the object has none. */
void faulty_put(struct faulty_bucket *f, const char *key, uint64_t size, unsigned seed, const char *etag);
/* A key that is not a C string. */
void faulty_put_raw(struct faulty_bucket *f, const char *key, size_t key_bytes);
void faulty_attrs(struct faulty_bucket *f, const char *key, const struct object_attrs *attrs);
void faulty_remove(struct faulty_bucket *f, const char *key);

struct faulty_knobs {
	int fail_gets, fail_error; /* so many of the next gets fail with it, before any byte */
	int fail_after;            /* … or after this many bytes of theirs */
	int fail_lists;
	bool no_if_match; /* answers with whatever is there, whatever was asked */
	uint64_t short_by; /* gets say success and bring fewer bytes */
	uint64_t size_lie; /* added to the size in the headers of a get */
	int delay_ms;      /* of each get and list */
	size_t take_bytes; /* bytes a take; 0 = 16 KiB */
	unsigned page_max; /* entries of a page at most; 0 = 1000 */
	bool ragged;       /* pages of changing length, some of them empty */
	bool unsorted;     /* lists in the order of a hash */
	void (*on_get)(void *arg, const char *key, uint64_t offset);
	void (*on_list)(void *arg, const char *prefix, bool after); /* before it is looked up, and before it returns */
	void *arg;
};
void faulty_set(struct faulty_bucket *f, const struct faulty_knobs *knobs);

/* A gate: bytes of [start, end) (of any object) are not brought before it is opened again. */
void faulty_gate(struct faulty_bucket *f, uint64_t start, uint64_t end);
void faulty_gate_open(struct faulty_bucket *f);
/* How many gets stand at the gate; waits up to 5 s until it is at least so many. */
unsigned faulty_wait_at_gate(struct faulty_bucket *f, unsigned count);

struct faulty_counts {
	unsigned gets, heads, lists;
	uint64_t bytes; /* brought by gets */
};
struct faulty_counts faulty_counts(struct faulty_bucket *f);

#endif
