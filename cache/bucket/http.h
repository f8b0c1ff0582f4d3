/* HTTP by one thread that owns curl's multi handle; a blocking call for everybody else.
 *
 * Connections are kept alive and shared, HTTP/2 where offered (TLS), no redirects followed, no proxy
 * surprises beyond the usual environment variables, TLS always verified. A body for a status other than
 * 2xx never reaches the take callback: it is collected in reply.error_body (64 KiB at most). */
#ifndef TOOTFS_HTTP_H
#define TOOTFS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

struct http;

struct http_header {
	char *name; /* lower case, owned by the reply */
	char *value;
};

struct exchange {
	/* request */
	const char *method, *url;
	const char *const *headers; /* "name: value", count of them */
	size_t headers_count;
	const void *body; /* in memory, or NULL */
	int fd;           /* -1, or read with pread */
	uint64_t offset, length;
	int64_t connect_timeout_ms, idle_timeout_ms; /* idle: no byte in either direction */
	int64_t deadline_ms;                         /* clock_ms(), 0 = none */
	/* reply: a 2xx body goes to take, or, where take is NULL, to body_out (body_max at most, else -EPROTO).
	 * begin is called once, after the headers of a 2xx answer. */
	int (*begin)(void *arg, const struct exchange *x);
	int (*take)(void *arg, const void *bytes, size_t length);
	void *arg;
	size_t body_max;
	int status; /* 0 = no answer */
	struct http_header reply[64];
	size_t reply_count;
	struct buf body_out, error_body;
	char transport_error[256]; /* curl's words where status is 0 or the body was cut */
};

int http_open(int connections_max, const char *user_agent, struct http **out) MUST_CHECK;
int http_start(struct http *h) MUST_CHECK;
void http_stop(struct http *h);
void http_close(struct http **h);
/* 0 = a complete answer arrived (any status). -EHOSTDOWN no connection, -ETIMEDOUT, -EPROTO a cut or oversized
 * body, -ECANCELED stopped, or what begin/take returned. Thread-safe, one exchange per caller. */
int http_run(struct http *h, struct exchange *x) MUST_CHECK;
const char *exchange_header(const struct exchange *x, const char *name); /* NULL when absent */
void exchange_destroy(struct exchange *x); /* frees the reply */

#endif
