/* Between the files of the S3 client (s3*.c); for no one else.
 *
 * s3.c open, close, probe; s3_request.c one signed request; s3_fault.c what an answer means;
 * s3_read.c get, head, list; s3_write.c put, copy; s3_stored.c what a put left there; s3_upload.c multipart;
 * s3_delete.c delete;
 * and the pure ones: s3_place.c addresses, s3_xml.c answers, s3_text.c header values. */
#ifndef TOOTFS_S3_INTERNAL_H
#define TOOTFS_S3_INTERNAL_H

#include <time.h>
#include "cache/base/lock.h"
#include "etags.h"
#include "headers.h"
#include "http.h"
#include "ops.h"
#include "s3_place.h"
#include "s3_text.h"
#include "s3_xml.h"
#include "sigv4.h"

#define S3_COPY_BYTES_MAX (UINT64_C(5) << 30) /* one CopyObject copies no more */
#define S3_COPY_PART_BYTES (UINT64_C(1) << 30)
enum { S3_HEADERS_MAX = 32, S3_SHA256_TEXT = 65 };

enum s3_answer { S3_UNKNOWN, S3_YES, S3_NO };

struct s3 {
	/* fixed at birth */
	struct s3_place place;
	struct http *http;
	struct credential_source *credentials;
	struct bucket_config config; /* its strings are the caller's; for a reload */
	struct place found;	     /* what the env file or the profile said at the start */
	bool checksum_sha256, attrs_object, verify;
	struct etags etags;
	int64_t io_timeout_ms;
	uint64_t copy_bytes_max, copy_part_bytes; /* fields so that a test can lower them */

	struct lock lock;
	struct {
		char region[S3_REGION_BYTES]; /* place.region until a server named another */
		char host[S3_HOST_BYTES];
		struct headers *headers; /* replaced by a reload */
		struct sigv4_cache key;
		enum s3_answer may_list, deletes_batches;
	} locked;
};

/* One signed request and its answer. */
struct s3_request {
	struct s3 *s;
	const char *method;
	char *path;       /* "/" and the encoded key, "" = the bucket itself */
	struct buf query; /* encoded */
	struct sigv4_header headers[S3_HEADERS_MAX]; /* values are malloc'ed */
	size_t headers_count;
	char payload[S3_SHA256_TEXT];
	struct sum *md5; /* or NULL; s3_request_file fills it too */
	struct exchange x;
	int64_t patience_ms; /* what the server may need beyond the usual */
	struct s3_error error;
	bool failed; /* out of memory on the way */
};

/* key is as the caller of the door knows it, without the prefix; NULL = the bucket itself. */
void s3_request_init(struct s3_request *q, struct s3 *s, const char *method, const char *key);
void s3_request_destroy(struct s3_request *q);
void s3_request_query(struct s3_request *q, const char *name, const char *value);
/* value NULL or "" = not sent. */
void s3_request_header(struct s3_request *q, const char *name, const char *value);
void s3_request_headerf(struct s3_request *q, const char *name, const char *fmt, ...) PRINTF(3, 4);
int s3_request_body(struct s3_request *q, const void *body, size_t length) MUST_CHECK;
/* Reads the range once for its hash, which is signed. */
int s3_request_file(struct s3_request *q, int fd, uint64_t offset, uint64_t length,
		    unsigned char sha256[32]) MUST_CHECK;
/* 0 = a 2xx answer is in q->x. Follows a bucket to its region and new credentials; otherwise one attempt. */
int s3_request_run(struct s3_request *q) MUST_CHECK;
/* When a transfer of so many bytes has to be over. */
int64_t s3_request_deadline(const struct s3 *s, uint64_t bytes);

/* What a failed request means, as an error with its fault; rc is http_run's. */
int s3_fault_of(struct s3_request *q, int rc);
/* The error of a code in an answer's body, or in a DeleteResult; 0 = unknown. */
int s3_fault_code(const char *code);
/* An <Error> inside of an answer with 200. */
int s3_fault_inside(struct s3_request *q);
int s3_fault_broken(struct s3_request *q, const char *what);
/* After a success that has nothing to say: 0, or what its body says all the same. */
int s3_fault_of_empty(struct s3_request *q) MUST_CHECK;
bool s3_fault_is_credentials(const char *code);

/* ops */
int s3_probe(void *self);
int s3_get(void *self, const struct get_request *request);
int s3_head(void *self, const char *key, struct object *out);
int s3_part_bytes(void *self, const char *key, const char *etag, unsigned number, uint64_t *out);
int s3_list(void *self, const struct list_request *request, struct list_page *out);
int s3_put(void *self, const struct put_request *request, struct object *out);
int s3_copy(void *self, const struct copy_request *request, struct object *out);
int s3_remove(void *self, const char *const *keys, size_t count, int *results);
int s3_upload_create(void *self, const char *key, const struct object_attrs *attrs,
		     char id[UPLOAD_ID_BYTES]);
int s3_upload_part(void *self, const struct part_request *request, struct part *out);
int s3_upload_complete(void *self, const char *key, const char *id, const struct part *parts,
		       size_t count, struct object *out);
int s3_upload_abort(void *self, const char *key, const char *id);
int s3_upload_list(void *self, const char *key, upload_visit *visit, void *arg);
int s3_uploads_page(void *self, const struct upload_marks *marks, struct upload_marks *next, key_upload_visit *visit,
		    void *arg);

/* What the bytes of the answer's object must come to, where its headers tell it. whole: they are about all of it. */
void s3_read_sum(const struct s3 *s, const struct exchange *x, bool whole, struct sum *out);
/* After a PUT of these bytes: is its ETag what they come to? Where not, what the bucket holds is read back. -EPROTO
 * (again): it holds something else. */
struct s3_sent {
	const char *key;
	struct sum md5; /* SUM_NONE: nothing is compared */
	unsigned char sha256[32];
};
int s3_stored_check(struct s3_request *q, const struct s3_sent *sent, const struct object *made) MUST_CHECK;

/* The headers that an object is stored with, for put, copy and upload_create. */
void s3_write_headers(struct s3_request *q, const char *key, const struct object_attrs *attrs);
void s3_write_copy_source(struct s3_request *q, const char *from, const char *etag);
/* A copy in parts, for what is larger than one CopyObject takes. */
int s3_upload_copy(struct s3 *s, const struct copy_request *request, struct object *out);

#endif
