/* What the control*.c files share: the server (control.c), streams (control_stream.c), what clients send
 * (control_options.c), short calls (control_calls.c), and the table of work (control_verbs.c). */
#ifndef TOOTFS_CONTROL_INTERNAL_H
#define TOOTFS_CONTROL_INTERNAL_H

#include <pthread.h>
#include <sys/types.h>
#include "cache/base/lock.h"
#include "control.h"

enum {
	CONTROL_BODY_MAX = 1 << 20,
	CONTROL_KEYS_MAX = 10000,
	CONTROL_STREAMS_MAX = 8,
	CONTROL_QUEUE_MAX = 64 * 1024, /* bytes of lines that the client has not taken yet */
};

struct MHD_Daemon;
struct MHD_Connection;

/* -- what clients send (control_options.c); pure -- */
/* The body of a request for work: "" is an empty object. Keys come percent-encoded, as in a URL, since JSON holds no
 * bytes that are not UTF-8; they are decoded in place. -EINVAL and why; -ENOMEM. */
int control_options(const char *bytes, size_t length, json_t **out, struct buf *why) MUST_CHECK;
/* Checks one key, raw bytes, and takes a slash off its end. -EINVAL and why. */
int control_key(char *key, size_t length, struct buf *why) MUST_CHECK;

/* -- short calls (control_calls.c) -- */
struct control_query {
	const struct control_config *config;
	int64_t started_ms;
	char *key; /* ?key=…, checked; NULL = there is none */
	const char *body;
	size_t body_bytes;
};
/* Returns the HTTP status. out: the answer, or the words of an error. */
typedef unsigned control_call(const struct control_query *query, struct buf *out);
struct control_call_row {
	const char *method, *path, *type;
	control_call *call;
};
extern const struct control_call_row control_calls[]; /* ends with an empty row */

/* -- the counters (control_metrics.c) -- */
#define CONTROL_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
int control_metrics(const struct control_query *query, struct buf *out) MUST_CHECK;
/* What this process takes, in bytes; 0 = not known (control_calls.c). */
uint64_t control_memory(void);

/* -- the table of work (control_verbs.c) -- */
struct control_verb {
	const char *path; /* by POST */
	control_work *work;
};
extern const struct control_verb control_verbs[]; /* ends with an empty row */

/* -- streams (control_stream.c) -- */
struct control_slot {
	enum { SLOT_FREE, SLOT_BUSY, SLOT_ENDED } state; /* ENDED: the thread is to be joined */
	pthread_t thread;
	struct control_stream *stream; /* while BUSY; its reference is the worker's */
};
struct control_streams {
	struct cache *cache; /* fixed */
	struct lock lock;    /* before a stream's */
	struct wakeup idle;
	struct {
		bool stopping;
		unsigned answers; /* that are still being delivered */
		struct control_slot slots[CONTROL_STREAMS_MAX];
	} locked;
};
void control_streams_init(struct control_streams *streams, struct cache *cache);
/* Cancels all work and joins its threads; then waits a moment for the last lines to be delivered. */
void control_streams_stop(struct control_streams *streams);
void control_streams_destroy(struct control_streams *streams);
/* Starts verb with options, which are taken over in any case. fd: the client's connection. *out has two references,
 * one for the request and one for its answer, that control_stream_leave takes back. -EBUSY: too many; -ECANCELED: stopping; -EAGAIN, -ENOMEM. */
int control_stream_begin(struct control_streams *streams, const struct control_verb *verb, json_t *options, int fd,
			 struct control_stream **out) MUST_CHECK;
/* The next bytes of its lines, waiting for them a second at most; never 0 bytes: -1 is the end. */
ssize_t control_stream_read(struct control_stream *s, char *out, size_t space);
/* The connection is about to be closed: its fd must not be looked at any more, and the work is for nobody. */
void control_stream_gone(struct control_stream *s);
void control_stream_leave(struct control_stream *s);

#endif
