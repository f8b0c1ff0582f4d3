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

enum { HTTP_REPLY_MAX = 64, HTTP_ERROR_BODY_MAX = 64 << 10 };

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
	uint64_t offset, length; /* of fd; offset is 0 for a body in memory */
	int64_t connect_timeout_ms, idle_timeout_ms; /* idle: no byte in either direction; 0 = none */
	int64_t deadline_ms; /* clock_ms(), 0 = none; begin may move it */
	/* On a new connection: curl by itself repeats a request on another one where a kept one breaks before an answer. */
	bool once;
	/* reply: a 2xx body goes to take, or, where take is NULL, to body_out (body_max at most, else -EPROTO).
	 * begin is called once, after the headers of a 2xx answer. Both run on the network thread. */
	int (*begin)(void *arg, struct exchange *x);
	int (*take)(void *arg, const void *bytes, size_t length);
	void *arg;
	size_t body_max;
	/* The header names (lower case) to keep, or NULL = all. Past HTTP_REPLY_MAX the rest is dropped. */
	bool (*keep)(const char *name);
	int status; /* 0 = no answer */
	struct http_header reply[HTTP_REPLY_MAX];
	size_t reply_count;
	struct buf body_out, error_body;
	char transport_error[256]; /* words where http_run failed */
	bool transport_final;      /* trying again cannot help: a certificate or a URL that is wrong */
};

int http_open(int connections_max, const char *user_agent, struct http **out) MUST_CHECK;
int http_start(struct http *h) MUST_CHECK;
/* Ends what is under way or waiting, and all that comes later, with -ECANCELED. */
void http_stop(struct http *h);
/* After http_stop; no call may be under way. */
void http_close(struct http **h);
/* 0 = a complete answer arrived (any status). -EHOSTDOWN no connection or no answer, -ETIMEDOUT, -EPROTO a
 * cut or oversized body, -ECANCELED stopped, or what begin/take returned. At most connections_max exchanges
 * are on the wire, the others wait in order. Thread-safe, one exchange per caller. */
int http_run(struct http *h, struct exchange *x) MUST_CHECK;
const char *exchange_header(const struct exchange *x, const char *name); /* NULL when absent */
void exchange_destroy(struct exchange *x); /* frees the reply; the exchange may be run again */

/* Connections made since http_start, to see reuse. */
uint64_t http_connections(struct http *h);

#endif
