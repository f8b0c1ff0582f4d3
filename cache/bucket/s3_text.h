/* Small texts that S3 servers send, in XML and in headers. Pure; input is hostile. */
#ifndef TOOTFS_S3_TEXT_H
#define TOOTFS_S3_TEXT_H

#include "bucket.h"

/* Decimal digits only. 0 or -EPROTO. */
int s3_text_number(const char *text, uint64_t *out) MUST_CHECK;
/* 2024-05-06T07:08:09[.123]Z in nanoseconds since 1970; 0 where it is not that. */
int64_t s3_text_iso_time(const char *text);
/* Mon, 06 May 2024 07:08:09 GMT, likewise. */
int64_t s3_text_http_time(const char *text);
/* Without W/ and quotes; "" where it is too long or could not be sent back in a header. */
void s3_text_etag(char out[ETAG_BYTES], const char *text);
/* Cut to size, control characters as '?': for messages. */
void s3_text_copy(char *out, size_t size, const char *text);
/* Decodes encoding-type=url in place: %XX, and '+' as a blank. The new length, or -EINVAL. */
long s3_text_decode(char *text);
/* "bytes 5-9/100": first, last, size of the whole. 0 or -EPROTO. */
struct s3_range {
	uint64_t first, last, size;
};
int s3_text_range(const char *text, struct s3_range *out) MUST_CHECK;

/* x-amz-meta-mode and -mtime. s3fs writes decimal modes, rclone octal ones; both write seconds with a fraction. */
int s3_text_mode(const char *text, uint32_t *out) MUST_CHECK;
int s3_text_mtime(const char *text, int64_t *out_ns) MUST_CHECK;
/* The form of s3fs: SECONDS or SECONDS.NNNNNNNNN */
enum { S3_MTIME_BYTES = 32 };
void s3_text_mtime_write(char out[S3_MTIME_BYTES], int64_t mtime_ns);

#endif
