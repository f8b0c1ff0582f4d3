/* As much of HTTP/1.0 as a client needs: its answers end with the connection. Pure. */
#ifndef TOOTFS_CLIENT_HTTP_H
#define TOOTFS_CLIENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/buf.h"

enum { HTTP_HEAD_MAX = 16 * 1024 };

struct http_head {
	unsigned status;
	size_t bytes;	    /* of the head, with its empty line */
	int64_t body_bytes; /* -1 = until the end */
};

/* request; body may be NULL. */
void http_request(struct buf *out, const char *method, const char *target, const char *body);
/* 0: there is a head; -EAGAIN: more bytes are needed; -EPROTO. */
int http_head(const char *bytes, size_t length, struct http_head *out) MUST_CHECK;

#endif
