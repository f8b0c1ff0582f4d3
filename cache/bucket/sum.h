/* What the bytes of an object come to: MD5 or SHA-256, as the bucket says it, and as a file has it. */
#ifndef TOOTFS_SUM_H
#define TOOTFS_SUM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "cache/base/err.h"

enum { SUM_BYTES_MAX = 32, SUM_TEXT = 2 * SUM_BYTES_MAX + 1 };

enum sum_kind { SUM_NONE, SUM_MD5, SUM_SHA256 };

struct sum {
	enum sum_kind kind;
	unsigned char bytes[SUM_BYTES_MAX]; /* beyond the kind's length: 0 */
};

/* An ETag of 32 hex digits as an MD5; else SUM_NONE. Whether it is one is not to be seen from it (etags.h). */
void sum_of_etag(struct sum *out, const char *etag);
/* The value of x-amz-checksum-sha256; SUM_NONE where it is not that of a whole object. */
void sum_of_sha256(struct sum *out, const char *base64);
bool sum_same(const struct sum *a, const struct sum *b);
void sum_text(const struct sum *sum, char out[SUM_TEXT]); /* in hex */
/* Of the first size bytes of a file. -ENOTSUP: not available (MD5 in FIPS mode); -ECANCELED: *stop was set; -EIO … */
int sum_file(int fd, uint64_t size, enum sum_kind kind, const atomic_bool *stop, struct sum *out) MUST_CHECK;
/* Can MD5s be made here? */
bool sum_has_md5(void);

#endif
