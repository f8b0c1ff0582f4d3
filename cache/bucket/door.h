/* The inside of the door: for bucket*.c, door.c and resume.c only. */
#ifndef TOOTFS_DOOR_H
#define TOOTFS_DOOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "breaker.h"
#include "cache/base/histogram.h"
#include "cache/base/lock.h"
#include "cache/base/rate.h"
#include "bucket_stats.h"
#include "ops.h"

struct bucket {
	/* fixed at birth */
	struct bucket_impl impl;
	int64_t io_timeout_ms;

	struct breaker breaker;
	atomic_uint_fast64_t calls[BUCKET_OPS], failures[BUCKET_OPS], retries, bytes_in, bytes_out;
	struct histogram requests[BUCKET_OPS];
	struct rate rate_in, rate_out;
	atomic_uint_fast64_t random;

	struct lock lock;
	struct wakeup stopping;
	struct {
		bool stopped;
		struct bucket_trouble trouble;
	} locked;
};

/* One call of a user, with all its attempts. */
struct call {
	struct bucket *bucket;
	enum bucket_op op;
	const char *key; /* for traces */
	int64_t deadline_ms;
	unsigned attempts, row; /* all, and since it last got on */
	bool was_closed;        /* the breaker, at an attempt */
};

/* One attempt: 0 or an error of bucket.h, with the fault set. When it got on, it may move the
 * deadline and begin a new row. */
typedef int attempt_fn(struct call *call, void *arg);
/* Bytes of objects that came, and that went. */
void door_came(struct bucket *b, uint64_t bytes);
void door_went(struct bucket *b, uint64_t bytes);
/* The loop of attempts. */
int door_run(struct bucket *b, enum bucket_op op, const char *key, attempt_fn *attempt,
	     void *arg) MUST_CHECK;
/* 0, or -EINVAL: no object of this bucket can have that key. */
int door_key(const struct bucket *b, const char *key) MUST_CHECK;

#endif
