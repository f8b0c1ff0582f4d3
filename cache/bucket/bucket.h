/* The bucket: objects far away, behind one checked door.
 *
 * Calls block; concurrency is the number of callers. Every call checks its arguments, counts, traces and retries
 * (exponential back-off with full jitter, Retry-After honoured, until the deadline) and checks the result. A circuit
 * breaker makes a dead endpoint cost one probe. Thread-safe; no lock is held while the network is waited for.
 *
 * Keys are paths below the mount point (base/key.h); the prefix of s3://NAME/PREFIX is added and taken off behind it.
 *
 * Errors (never anything else):
 *   -ENOENT     no such key (404 NoSuchKey; also 403 for a read where the credentials lack ListBucket)
 *   -ENODEV     no such bucket (404 NoSuchBucket, 301 to another region that could not be followed)
 *   -EACCES     refused: wrong key, secret, clock or policy
 *   -ESTALE     the object is not the version that was asked for (412 on If-Match)
 *   -ENOMSG     no such multipart upload
 *   -EINVAL     the bucket refuses this request for good (400 and the like)
 *   -EPROTO     an answer that cannot be understood or does not fit its own headers
 *   -EHOSTDOWN  unreachable, or answering 5xx/429, until the deadline; or the breaker is open
 *   -ECANCELED  bucket_stop() was called, or the sink said stop
 *   -EIO, -ENOSPC, -ENOMEM … from local files and memory
 * bucket_why() says the rest in words. -EACCES and -ENODEV and -EHOSTDOWN concern the whole bucket. */
#ifndef TOOTFS_BUCKET_H
#define TOOTFS_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "cache/base/err.h"
#include "cache/base/key.h"
#include "sum.h"

enum { ETAG_BYTES = 128, UPLOAD_ID_BYTES = 1024 };

/* What an object says of the file it was; sent as x-amz-meta-mode/uid/gid/mtime (the names and the
 * decimal forms of s3fs). valid = false: the object carries none. */
struct object_attrs {
	bool valid;
	uint32_t mode, uid, gid; /* mode with its type bits */
	int64_t mtime_ns;        /* 0 = not said */
};

struct object {
	uint64_t size_bytes;
	int64_t mtime_ns;       /* Last-Modified */
	char etag[ETAG_BYTES];  /* without quotes; "" when the answer had none */
	struct object_attrs attrs;
	struct sum sum; /* of all of its bytes, as far as an answer told it; not in lists */
	enum { OBJECT_CONTENT_TYPE = 1, OBJECT_CACHE_CONTROL = 2 } unfit; /* by bucket_head: not as bucket_put would send it */
};

struct bucket;

/* Strings live as long as the config. NULL or "" = not given. */
struct bucket_config {
	const char *spec;     /* s3://NAME[/PREFIX] or file:///FOLDER, as the user wrote it */
	const char *endpoint; /* https://host[:port] */
	const char *region;
	int path_style;       /* 1, 0, or -1: path style where an endpoint is given */
	const char *profile, *credentials; /* a profile's name; a shared credentials file */
	const char *env_file;              /* Mastodon's .env.production */
	const char *acl;                   /* public-read, private, none */
	const char *cache_control;
	const char *content_types;         /* a mime.types file; NULL = /etc/mime.types + built in */
	const char *rules;                 /* a rules file (headers.h) */
	bool attrs_object;                 /* send x-amz-meta-* with every object */
	const char *storage_class, *sse, *sse_kms_key;
	bool checksum_sha256, verify; /* verify: say what an object's bytes must come to (object.sum) */
	int64_t io_timeout_ms;             /* deadline of one call with its retries */
	int connections_max;
	const char *user_agent;
};

/* Checks the configuration and reads files; no network. On an error bucket_why() says what and
 * how to mend it: -EINVAL a wrong option or spec, -EACCES a credential file that others can read, … */
int bucket_open(const struct bucket_config *config, struct bucket **out) MUST_CHECK;
/* Starts the network thread; after daemonising. */
int bucket_start(struct bucket *b) MUST_CHECK;
/* Reads credentials, rules and content types again, while calls are under way; what cannot be read or
 * is wrong stays as it was. What came of it is logged. No network; the config must still be there. */
void bucket_reload(struct bucket *b);
/* Ends every call under way, and all later ones, with -ECANCELED. */
void bucket_stop(struct bucket *b);
void bucket_close(struct bucket **b);

int bucket_probe(struct bucket *b) MUST_CHECK; /* a cheap request: are bucket, credentials, region and clock right? */
/* The last failure of the calling thread in plain words: the thing, the cause, the way out. Never "". */
const char *bucket_why(void);
/* The longest key that fits under this bucket's prefix, in bytes. */
size_t bucket_key_bytes_max(const struct bucket *b);
/* What identifies this bucket in a cache: endpoint, name and prefix; without any secret. */
const char *bucket_identity(const struct bucket *b);

/* -- reading -- */

/* Takes the bytes of one object. begin() is called once per attempt that was answered 200 or 206,
 * before any take(), with what the headers said (size_bytes: of the whole object); take() gets bytes of
 * the object at offset, in ascending order from the request's offset. After a retry the bytes may start
 * over from request.offset + what was already taken, never before. Both are called on the caller's
 * thread or the network thread, one at a time, with no lock held; they may write to a local file but
 * never wait for the network. A non-zero return (-errno) ends the call with that error. */
struct sink {
	int (*begin)(struct sink *sink, const struct object *object);
	int (*take)(struct sink *sink, uint64_t offset, const void *bytes, size_t length);
};

struct get_request {
	const char *key;
	uint64_t offset, length; /* length 0 = to the end */
	const char *etag;        /* If-Match, or NULL/"" */
	struct sink *sink;
};

int bucket_get(struct bucket *b, const struct get_request *request) MUST_CHECK;
int bucket_head(struct bucket *b, const char *key, struct object *out) MUST_CHECK;

struct list_request {
	const char *prefix; /* "" or ending in '/' */
	bool delimiter;     /* true: one level, sub-folders as folders */
	const char *after;  /* start-after key, or NULL; used for the first page */
	const char *token;  /* continuation from the page before, or NULL */
	unsigned page_max;  /* 0 = the server's (1000) */
};

struct list_entry {
	const char *key;  /* raw bytes, NOT checked with key_check; folders end in '/' */
	size_t key_bytes; /* may contain NUL */
	bool folder;
	struct object object; /* of an object; attrs.valid is false */
};

struct list_page {
	struct list_entry *entries; /* in the server's order */
	size_t count;
	char *token; /* NULL on the last page */
	void *memory;
};

int bucket_list(struct bucket *b, const struct list_request *request, struct list_page *out) MUST_CHECK;
void list_page_destroy(struct list_page *page);

/* -- writing -- */
struct put_request {
	const char *key;
	int fd; /* read with pread from offset */
	uint64_t offset, length;
	const struct object_attrs *attrs; /* sent where attrs_object is set or it is a symlink; or NULL */
};

/* Sends Content-Type, Cache-Control, ACL … as configured for the key (headers.h). out: etag, size. */
int bucket_put(struct bucket *b, const struct put_request *request, struct object *out) MUST_CHECK;

struct copy_request {
	const char *from, *to;
	const char *etag; /* x-amz-copy-source-if-match, or NULL/"" */
	uint64_t size_bytes; /* above 5 GiB: a multipart copy */
	const struct object_attrs *attrs;
};

/* Server side, metadata REPLACEd with what bucket_put would send. -ENOENT: from is gone. from == to is
 * allowed (headers are renewed). */
int bucket_copy(struct bucket *b, const struct copy_request *request, struct object *out) MUST_CHECK;
/* At most REMOVE_MAX keys in one request; results[i] is 0 (also for a key that is not there) or -errno.
 * Returns an error only when the request as a whole failed; results are then undefined. */
enum { REMOVE_MAX = 1000 };
int bucket_remove(struct bucket *b, const char *const *keys, size_t count, int *results) MUST_CHECK;

/* -- multipart uploads -- */
/* A create that failed may have made an upload whose id nobody knows. settle() is called before it is repeated, looks for
 * that upload, and clears unsure; its error ends the attempt. With unsure in the end, there may be one. NULL: never mind. */
struct upload_doubt {
	bool unsure;
	int (*settle)(struct upload_doubt *doubt);
};
int bucket_upload_create(struct bucket *b, const char *key, const struct object_attrs *attrs,
			 struct upload_doubt *doubt, char id[UPLOAD_ID_BYTES]) MUST_CHECK;
struct part_request {
	const char *key, *id;
	unsigned number; /* 1 … 10000 */
	int fd;
	uint64_t offset, length;
};
struct part {
	unsigned number;
	char etag[ETAG_BYTES];
};
int bucket_upload_part(struct bucket *b, const struct part_request *request, struct part *out) MUST_CHECK;
struct complete_request {
	const char *key, *id;
	const struct part *parts; /* in ascending order */
	size_t count;
	uint64_t size_bytes;
};
/* A lost answer, or NoSuchUpload after a retry, is settled with a HEAD (size and multipart ETag must fit). */
int bucket_upload_complete(struct bucket *b, const struct complete_request *request, struct object *out) MUST_CHECK;
/* 0 also when there is no such upload. */
int bucket_upload_abort(struct bucket *b, const char *key, const char *id) MUST_CHECK;
/* The uploads under way for exactly this key. visit returns 0 to go on. */
typedef int upload_visit(void *arg, const char *id, int64_t initiated_ns);
int bucket_upload_list(struct bucket *b, const char *key, upload_visit *visit, void *arg) MUST_CHECK;

#endif
