/* The control socket: HTTP/1.1 over FOLDER/control, for root and the daemon's own user, who ask how things are and have
 * work done. Short calls answer one JSON object (/metrics: text); work answers a stream of lines.
 *
 * A stream is application/x-ndjson, one object a line, each sent at once: {"progress":{…}} about once a second,
 * {"item":{…}} for each thing to be told, and one last {"end":{"error":0 or an errno,"message":"…",…}}. An empty line only
 * says that the daemon lives. A stream without an end is broken off. A client that goes away cancels its work.
 *
 * A new kind of work is a row in control_verbs.c and a function. */
#ifndef TOOTFS_CONTROL_H
#define TOOTFS_CONTROL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"
#include "cache/cache.h"

#define CONTROL_SOCKET "control" /* in the cache folder */

struct control;

/* Must outlive the control. */
struct control_config {
	struct cache *cache;
	const char *folder;	/* the cache folder, absolute */
	const char *mountpoint; /* for texts */
	const char *spec;	/* the bucket, as it was written */
	const char *metrics;	/* where counters can be had by HTTP; NULL = nowhere */
};

/* After cache_start; a socket that another process left is replaced, since the cache's lock is ours. -errno and why. */
int control_start(const struct control_config *config, struct control **out, struct buf *why) MUST_CHECK;
/* Cancels all work, waits for it, and removes the socket. *control may be NULL. The bucket is to be interrupted before
 * (cache_interrupt), or work that waits for it is waited for. */
void control_stop(struct control **control);

/* -- for work -- */
struct control_stream;

/* Runs in its own thread and may wait, but must end soon (a second or so) after control_cancelled turns true. options: what
 * the client sent, an object; its "keys", where there are any, are an array of checked keys, raw bytes without a slash at
 * either end, "" being the root. 0 or -errno: the last line is made of it. */
typedef int control_work(struct cache *cache, const json_t *options, struct control_stream *stream);

/* One line {kind: object}. object is taken over. Waits while the client is slow; nothing once it is gone. At least one a
 * second is wanted where something can be said. */
void control_line(struct control_stream *s, const char *kind, json_t *object);
/* Cheap; also of use as a callback: bool (*)(void *). */
bool control_cancelled(void *stream);
/* The message of the last line; the last one wins. Without it, an error gives its own name. */
void control_say(struct control_stream *s, const char *fmt, ...) PRINTF(2, 3);
/* A further member of the last line. value is taken over. */
void control_total(struct control_stream *s, const char *name, json_t *value);

/* Any bytes as a text that JSON can hold: what is no UTF-8 is shown as \xNN. NULL: no memory. */
json_t *control_text(const char *bytes);
/* Members of options: fallback where there is none or it is of another type. */
int64_t control_number(const json_t *options, const char *name, int64_t fallback);
bool control_switch(const json_t *options, const char *name);

#endif
