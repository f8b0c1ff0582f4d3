/* What the bucket has: objects, and uploads under way. It changes by events of a log only, so that what it had at any
 * instant can be had again. Not thread-safe. */
#ifndef TOOTFS_CRASH_OBJECTS_H
#define TOOTFS_CRASH_OBJECTS_H

#include "cache/bucket/bucket.h"
#include "log.h"

struct object_bytes {
	void *at;
	size_t length;
	char etag[64];
};

struct stored_object {
	struct stored_object *next;
	char *key, *id; /* id "" = an object, else an upload */
	struct object_bytes whole, *parts;
	unsigned parts_count;
	struct object_attrs attrs;
};

struct objects {
	struct stored_object *first;
};

struct stored_object *objects_find(const struct objects *o, const char *key, const char *id);
/* Events of other kinds do nothing. */
void objects_apply(struct objects *o, const struct log *log, const struct event *event);
void objects_copy(struct objects *to, const struct objects *from);
void objects_clear(struct objects *o);
/* The ETag of bytes that came in one piece. */
void objects_etag(const void *bytes, size_t length, char etag[64]);

#endif
