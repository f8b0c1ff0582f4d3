/* The client's side of the control socket (fs/control.h): finds the socket of a mount, asks, reads the answer. For
 * programs: a few calls, one thread at a time. Every wait ends. -errno and *why in plain words everywhere. */
#ifndef TOOTFS_CLIENT_H
#define TOOTFS_CLIENT_H

#include <jansson.h>
#include <stdint.h>
#include "cache/base/buf.h"
#include "cache/base/err.h"

enum { CLIENT_SILENCE_MS = 30000, CLIENT_FIND_MS = 10000 };

/* A daemon, and what of it was meant. Strings are owned. */
struct client_place {
	char *socket;
	char *mountpoint; /* NULL where it was found by the cache folder */
	char *key;	  /* of the path below the mount point, raw bytes; "" = all of it */
	int64_t uid;	  /* who must be at the other end; -1 = not known: root or ourselves */
};

/* The mount that path lies in. -ENOENT: none of ours; -ETIMEDOUT: its daemon does not answer; -EACCES. */
int client_find(const char *path, struct client_place *out, struct buf *why) MUST_CHECK;
/* The daemon that uses this cache folder. */
int client_of_cache(const char *folder, struct client_place *out, struct buf *why) MUST_CHECK;
void client_place_destroy(struct client_place *place);

struct client_request {
	const char *method, *target; /* "GET", "/status"; a key in it is percent-encoded (client_target) */
	const json_t *body;	     /* or NULL */
};
/* A short call: *out is the answer's body. -EREMOTEIO: the daemon said no, *why says why. -ENOENT, -ECONNREFUSED: there is
 * no daemon. -ETIMEDOUT, -EPROTO, -EPIPE. */
int client_call(const struct client_place *place, const struct client_request *request, struct buf *out,
		struct buf *why) MUST_CHECK;
int client_call_json(const struct client_place *place, const struct client_request *request, json_t **out,
		     struct buf *why) MUST_CHECK;

/* One line of a stream: kind is "progress", "item" or a later invention; not "end". */
typedef void client_line(void *arg, const char *kind, const json_t *object);
/* Work: until its last line. *end is what that says, the caller's to release; NULL where there was none. 0, the work's own
 * -errno with its message in *why, or an error of client_call. */
int client_stream(const struct client_place *place, const struct client_request *request, client_line *line, void *arg,
		  json_t **end, struct buf *why) MUST_CHECK;

/* path?key=KEY */
void client_target(struct buf *out, const char *path, const char *key);
/* A key as "keys" want it; NULL: no memory. */
json_t *client_key(const char *key);

#endif
