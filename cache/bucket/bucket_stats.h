/* The bucket's counters, all since it was opened. Thread-safe. */
#ifndef TOOTFS_BUCKET_STATS_H
#define TOOTFS_BUCKET_STATS_H

#include "bucket.h"
#include "cache/base/histogram.h"

enum bucket_op {
	BUCKET_GET, BUCKET_HEAD, BUCKET_LIST, BUCKET_PUT, BUCKET_COPY, BUCKET_REMOVE,
	BUCKET_UPLOAD_CREATE, BUCKET_UPLOAD_PART, BUCKET_UPLOAD_COMPLETE, BUCKET_UPLOAD_ABORT,
	BUCKET_UPLOAD_LIST, BUCKET_OPS
};
/* The last call that failed for want of the bucket, or by its refusal. */
struct bucket_trouble {
	int64_t at_ns; /* wall clock; 0 = there was none */
	enum bucket_op op;
	char why[256];
};
struct bucket_stats {
	uint64_t calls[BUCKET_OPS], failures[BUCKET_OPS], retries;
	uint64_t bytes_in, bytes_out;
	uint64_t rate_in, rate_out; /* bytes a second, over the last ten seconds */
	bool breaker_open;
	struct bucket_trouble trouble;
};
const char *bucket_op_name(enum bucket_op op);
void bucket_stats_read(struct bucket *b, struct bucket_stats *out);
/* How long requests took, each attempt for itself. */
void bucket_requests_read(struct bucket *b, enum bucket_op op, struct histogram_sums *out);

#endif
