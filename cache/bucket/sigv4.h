/* AWS Signature Version 4 (AWS General Reference, "Create a signed AWS API request"). Pure but for
 * the per-day key cache, which the caller owns. Signs every header it is given. */
#ifndef TOOTFS_SIGV4_H
#define TOOTFS_SIGV4_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "cache/base/buf.h"
#include "credentials.h"

struct sigv4_header {
	const char *name; /* lower case */
	const char *value;
};

struct sigv4_request {
	const char *method;
	const char *path;  /* percent-encoded, as on the wire */
	const char *query; /* percent-encoded name=value pairs joined by &, in any order, or "" */
	struct sigv4_header *headers; /* sorted in place; must hold host, x-amz-date, x-amz-content-sha256 */
	size_t headers_count;
	const char *payload_sha256; /* hex or UNSIGNED-PAYLOAD */
	const char *region, *service;
	time_t time;
};

/* Derived keys change once a day. Zero-initialised; guarded by the caller. */
struct sigv4_cache {
	char of[512]; /* a digest of secret/day/region/service */
	unsigned char key[32];
};

/* The value of the Authorization header, appended to out. 0 or -ENOMEM/-EINVAL. */
int sigv4_authorization(const struct sigv4_request *request, const struct credentials *credentials,
			struct sigv4_cache *cache, struct buf *out) MUST_CHECK;

#endif
