/* Behind the door: what an implementation of the bucket provides, for cache/bucket/ only.
 *
 * An implementation is naive: each function makes one attempt, blocks, and returns 0 or an error of
 * bucket.h's list; it says in fault_set() why, and whether trying again could help. The door
 * (bucket.c) checks arguments and results, retries, counts and traces. */
#ifndef TOOTFS_BUCKET_OPS_H
#define TOOTFS_BUCKET_OPS_H

#include "bucket.h"
#include "bucket_uploads.h"
#include "etags.h"

/* Between two pages of uploads: all NULL is before the first page, and behind the last one. Both are malloc'ed. */
struct upload_marks {
	char *key, *id;
};

struct bucket_ops {
	int (*start)(void *self);
	void (*stop)(void *self);
	void (*close)(void *self);
	int (*probe)(void *self);
	int (*get)(void *self, const struct get_request *request);
	int (*head)(void *self, const char *key, struct object *out);
	/* How large is part number of an object whose ETag this is? 0 = the server does not tell. NULL = there are no parts. */
	int (*part_bytes)(void *self, const char *key, const char *etag, unsigned number, uint64_t *out);
	int (*list)(void *self, const struct list_request *request, struct list_page *out);
	int (*put)(void *self, const struct put_request *request, struct object *out);
	int (*copy)(void *self, const struct copy_request *request, struct object *out);
	int (*remove)(void *self, const char *const *keys, size_t count, int *results);
	int (*upload_create)(void *self, const char *key, const struct object_attrs *attrs,
			     char id[UPLOAD_ID_BYTES]);
	int (*upload_part)(void *self, const struct part_request *request, struct part *out);
	int (*upload_complete)(void *self, const char *key, const char *id, const struct part *parts,
			       size_t count, struct object *out);
	int (*upload_abort)(void *self, const char *key, const char *id);
	int (*upload_list)(void *self, const char *key, upload_visit *visit, void *arg);
	/* The page behind marks; next is set where there are more. */
	int (*uploads_page)(void *self, const struct upload_marks *marks, struct upload_marks *next,
			    key_upload_visit *visit, void *arg);
	int (*reload)(void *self); /* NULL = nothing was read that could be read again */
};

/* What the last attempt of this thread ran into. */
struct fault {
	bool again;             /* trying the same again may help */
	int64_t retry_after_ms; /* what the server asked for, or 0 */
	int http_status;        /* 0 = no answer */
	char code[64];          /* the S3 error code, or "" */
	char why[512];          /* bucket_why() */
};
struct fault *fault_of_thread(void);
void fault_clear(void);
/* Fills the fault and returns error, so that a caller can write: return fault_set(-EIO, true, …). */
int fault_set(int error, bool again, const char *fmt, ...) PRINTF(3, 4);

/* Implementations. self is handed out; identity and key_bytes_max as bucket.h says. */
struct bucket_impl {
	const struct bucket_ops *ops;
	void *self;
	char *identity;
	size_t key_bytes_max;
	struct etags *etags; /* self's; NULL = its objects have no sums */
};
/* The door over an implementation of the caller's; takes impl over, also on an error. */
int bucket_open_over(const struct bucket_config *config, struct bucket_impl *impl,
		     struct bucket **out) MUST_CHECK;
int s3_bucket_open(const struct bucket_config *config, struct bucket_impl *out) MUST_CHECK;
int dir_bucket_open(const struct bucket_config *config, struct bucket_impl *out) MUST_CHECK;

#endif
