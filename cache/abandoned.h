/* Multipart uploads in the bucket that nobody goes on with: they cost storage, and no listing shows them. */
#ifndef TOOTFS_ABANDONED_H
#define TOOTFS_ABANDONED_H

#include <stdint.h>
#include "cache.h"

enum { ABANDONED_AGE_S = 24 * 3600 };

struct abandoned {
	const char *key; /* raw bytes, NOT checked */
	const char *id;
	int64_t initiated_ns; /* 0 = the bucket does not say */
};

/* Those under our prefix that are not this mount's own and are at least so old; with age_s 0 also those whose age nobody
 * knows. visit may call the bucket: 0 = go on, -errno = end with it. Errors of bucket_uploads_each. */
typedef int abandoned_visit(void *arg, const struct abandoned *upload);
int abandoned_each(struct cache *cache, int64_t age_s, abandoned_visit *visit, void *arg) MUST_CHECK;
/* 0 also where it is gone. -EBUSY: it is ours after all. Errors of bucket_upload_abort. */
int abandoned_abort(struct cache *cache, const struct abandoned *upload) MUST_CHECK;
/* Why the bucket said no, to this thread; never "". */
const char *abandoned_why(void);

#endif
