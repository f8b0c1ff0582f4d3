/* What the bytes of an object come to: MD5, MD5 of the MD5s of equal parts, or SHA-256, as the bucket says it, and as a file
 * has it. */
#ifndef TOOTFS_SUM_H
#define TOOTFS_SUM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/err.h"

enum { SUM_BYTES_MAX = 32, SUM_TEXT = 2 * SUM_BYTES_MAX + 1 };

enum sum_kind { SUM_NONE, SUM_MD5, SUM_SHA256, SUM_MD5_PARTS };

struct sum {
	enum sum_kind kind;
	unsigned char bytes[SUM_BYTES_MAX]; /* beyond the kind's length: 0 */
	unsigned parts;      /* SUM_MD5_PARTS only, as is the next */
	uint64_t part_bytes; /* of all parts but the last; 0 = not known yet */
};

/* An ETag of 32 hex digits as an MD5; else SUM_NONE. Whether it is one is not to be seen from it (etags.h). */
void sum_of_etag(struct sum *out, const char *etag);
/* An ETag of 32 hex digits, '-', and the number of parts as SUM_MD5_PARTS without part_bytes; else SUM_NONE. */
void sum_of_parts_etag(struct sum *out, const char *etag);
/* Do the parts of an object of size bytes fit into its ETag's number of them? Then they are what part_bytes says. */
bool sum_set_part_bytes(struct sum *sum, uint64_t size, uint64_t part_bytes);
/* The value of x-amz-checksum-sha256; SUM_NONE where it is not that of a whole object. */
void sum_of_sha256(struct sum *out, const char *base64);
bool sum_same(const struct sum *a, const struct sum *b);
void sum_text(const struct sum *sum, char out[SUM_TEXT]); /* in hex */
/* Of the first size bytes of a file. -ENOTSUP: not available (MD5 in FIPS mode); -ECANCELED: *stop was set; -EIO … */
int sum_file(int fd, uint64_t size, enum sum_kind kind, const atomic_bool *stop, struct sum *out) MUST_CHECK;
/* The same in the way in which said was made: of any kind but SUM_NONE, and of SUM_MD5_PARTS with part_bytes. */
int sum_file_as(int fd, uint64_t size, const struct sum *said, const atomic_bool *stop, struct sum *out) MUST_CHECK;
/* Can MD5s be made here? */
bool sum_has_md5(void);

#endif
