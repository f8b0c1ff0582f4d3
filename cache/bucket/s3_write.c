/* put and copy.
 *
 * A body is read twice: once for its SHA-256, which is signed, and once to be sent. If the file
 * changed in between, or a bit on the way, the server answers XAmzContentSHA256Mismatch and stores
 * nothing.
 *
 * What it did store is compared with its ETag (s3_stored.c).
 *
 * A copy names its headers anew (REPLACE): they follow from the key, and the key has changed. Its
 * answer is 200 as soon as the server begins, so success is what the body says. */
#include "s3_internal.h"
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>

enum { COPY_BYTES_PER_MS = 8 << 10 };

static void write_attrs(struct s3_request *q, const struct object_attrs *attrs)
{
	char mtime[S3_MTIME_BYTES];

	if (!attrs || !attrs->valid || !(q->s->attrs_object || S_ISLNK(attrs->mode)))
		return;
	s3_request_headerf(q, "x-amz-meta-mode", "%u", attrs->mode);
	s3_request_headerf(q, "x-amz-meta-uid", "%u", attrs->uid);
	s3_request_headerf(q, "x-amz-meta-gid", "%u", attrs->gid);
	if (attrs->mtime_ns == 0)
		return;
	s3_text_mtime_write(mtime, attrs->mtime_ns);
	s3_request_header(q, "x-amz-meta-mtime", mtime);
}

void s3_write_headers(struct s3_request *q, const char *key, const struct object_attrs *attrs)
{
	struct object_headers h = {.content_type = NULL};
	struct headers *headers;

	lock_take(&q->s->lock);
	headers = headers_share(q->s->locked.headers);
	lock_drop(&q->s->lock);
	headers_for(headers, key, &h);
	s3_request_header(q, "content-type", h.content_type);
	s3_request_header(q, "cache-control", h.cache_control);
	if (h.acl && strcmp(h.acl, "none") != 0)
		s3_request_header(q, "x-amz-acl", h.acl);
	s3_request_header(q, "x-amz-storage-class", h.storage_class);
	if (h.sse && *h.sse && strcmp(h.sse, "none") != 0) {
		s3_request_header(q, "x-amz-server-side-encryption", h.sse);
		if (strncmp(h.sse, "aws:kms", 7) == 0)
			s3_request_header(q, "x-amz-server-side-encryption-aws-kms-key-id",
					  h.sse_kms_key);
	}
	headers_close(&headers);
	write_attrs(q, attrs);
}

static int put_answer(struct s3_request *q, uint64_t length, struct object *out)
{
	const char *etag = exchange_header(&q->x, "etag");

	memset(out, 0, sizeof(*out));
	out->size_bytes = length;
	if (etag)
		s3_text_etag(out->etag, etag);
	return out->etag[0] ? 0 : s3_fault_broken(q, "there is no ETag");
}

int s3_put(void *self, const struct put_request *request, struct object *out)
{
	struct s3 *s = self;
	struct s3_sent sent = {.key = request->key};
	unsigned char base64[4 * 32 / 3 + 8];
	struct s3_request q;
	int r;

	s3_request_init(&q, s, "PUT", request->key);
	s3_write_headers(&q, request->key, request->attrs);
	q.md5 = etags_in_use(&s->etags) ? &sent.md5 : NULL;
	r = s3_request_file(&q, request->fd, request->offset, request->length, sent.sha256);
	if (r == 0 && s->checksum_sha256) {
		EVP_EncodeBlock(base64, sent.sha256, sizeof(sent.sha256));
		s3_request_header(&q, "x-amz-checksum-sha256", (const char *)base64);
		s3_request_header(&q, "x-amz-sdk-checksum-algorithm", "SHA256");
	}
	if (r == 0)
		r = s3_request_run(&q);
	if (r == 0)
		r = put_answer(&q, request->length, out);
	if (r == 0)
		r = s3_stored_check(&q, &sent, out);
	s3_request_destroy(&q);
	return r;
}

void s3_write_copy_source(struct s3_request *q, const char *from, const char *etag)
{
	const struct s3_place *place = &q->s->place;
	size_t prefix = strlen(place->prefix), length = strlen(from);
	AUTO_FREE char *encoded = malloc(3 * (prefix + length) + 1);
	AUTO_BUF struct buf source = BUF_EMPTY;

	if (!encoded) {
		q->failed = true;
		return;
	}
	size_t n = key_percent(encoded, place->prefix, prefix, 1);
	key_percent(encoded + n, from, length, 1);
	buf_printf(&source, "/%s/%s", place->bucket, encoded);
	q->failed |= source.failed;
	s3_request_header(q, "x-amz-copy-source", buf_string(&source));
	if (etag && *etag)
		s3_request_headerf(q, "x-amz-copy-source-if-match", "\"%s\"", etag);
}

static int copy_answer(struct s3_request *q, const struct copy_request *request, struct object *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	out->size_bytes = request->size_bytes;
	r = s3_xml_etag(buf_string(&q->x.body_out), q->x.body_out.length, out->etag, &q->error);
	if (r == -EREMOTEIO)
		return s3_fault_inside(q);
	return r ? s3_fault_broken(q, "the copy's result is not XML, or has no ETag") : 0;
}

int s3_copy(void *self, const struct copy_request *request, struct object *out)
{
	struct s3 *s = self;
	struct s3_request q;
	int r;

	if (request->size_bytes > s->copy_bytes_max)
		return s3_upload_copy(s, request, out);
	s3_request_init(&q, s, "PUT", request->to);
	q.patience_ms = (int64_t)(request->size_bytes / COPY_BYTES_PER_MS);
	s3_write_headers(&q, request->to, request->attrs);
	s3_write_copy_source(&q, request->from, request->etag);
	s3_request_header(&q, "x-amz-metadata-directive", "REPLACE");
	r = s3_request_run(&q);
	if (r == 0)
		r = copy_answer(&q, request, out);
	s3_request_destroy(&q);
	return r;
}
