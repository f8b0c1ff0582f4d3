/* The bucket's counters, all since it was opened. Thread-safe. */
#ifndef TOOTFS_BUCKET_STATS_H
#define TOOTFS_BUCKET_STATS_H

#include "bucket.h"

enum bucket_op {
	BUCKET_GET, BUCKET_HEAD, BUCKET_LIST, BUCKET_PUT, BUCKET_COPY, BUCKET_REMOVE,
	BUCKET_UPLOAD_CREATE, BUCKET_UPLOAD_PART, BUCKET_UPLOAD_COMPLETE, BUCKET_UPLOAD_ABORT,
	BUCKET_UPLOAD_LIST, BUCKET_OPS
};
struct bucket_stats {
	uint64_t calls[BUCKET_OPS], failures[BUCKET_OPS], retries;
	uint64_t bytes_in, bytes_out;
	bool breaker_open;
};
const char *bucket_op_name(enum bucket_op op);
void bucket_stats_read(struct bucket *b, struct bucket_stats *out);

#endif
