/* get, head, list.
 *
 * get: nothing reaches the sink before the head of the answer was found to fit the request:
 *     206  Content-Range must be exactly what was asked for, and Content-Length its length
 *     200  where a range was asked for: the server does not know ranges. What precedes the offset is
 *          dropped, and the transfer is ended after the last byte wanted
 *     ETag must be the one that was asked for, also where the server ignored If-Match
 * and the body must then have exactly the bytes announced.
 *
 * head has no error body, so anything but "fine" and "try again" is asked again as a GET of one
 * byte, whose error can tell a missing key from a missing bucket or a wrong secret.
 *
 * 403 AccessDenied on a read is how S3 says "no such key" to those who may not list the bucket:
 * whether we may is found out once. */
#include "s3_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* -- what the headers say of an object -- */

static void read_attrs(const struct exchange *x, struct object_attrs *out)
{
	const char *mode = exchange_header(x, "x-amz-meta-mode"),
		   *uid = exchange_header(x, "x-amz-meta-uid");
	const char *gid = exchange_header(x, "x-amz-meta-gid"),
		   *mtime = exchange_header(x, "x-amz-meta-mtime");
	uint64_t id;

	memset(out, 0, sizeof(*out));
	if (mtime && s3_text_mtime(mtime, &out->mtime_ns))
		out->mtime_ns = 0;
	if (!mode || s3_text_mode(mode, &out->mode))
		return;
	if (uid && s3_text_number(uid, &id) == 0 && id < UINT32_MAX)
		out->uid = (uint32_t)id;
	if (gid && s3_text_number(gid, &id) == 0 && id < UINT32_MAX)
		out->gid = (uint32_t)id;
	out->valid = true;
}

/* All but the size. */
static void read_object(const struct exchange *x, struct object *out)
{
	const char *etag = exchange_header(x, "etag"),
		   *modified = exchange_header(x, "last-modified");

	memset(out, 0, sizeof(*out));
	if (etag)
		s3_text_etag(out->etag, etag);
	if (modified)
		out->mtime_ns = s3_text_http_time(modified);
	read_attrs(x, &out->attrs);
}

/* The ETag of what is encrypted with KMS or a customer's key is no MD5, and the answer says that it is. */
static bool etag_tells(const struct s3 *s, const struct exchange *x)
{
	const char *sse = exchange_header(x, "x-amz-server-side-encryption");

	return etags_in_use(&s->etags) && (!sse || strcmp(sse, "AES256") == 0) &&
	       !exchange_header(x, "x-amz-server-side-encryption-customer-algorithm");
}

void s3_read_sum(const struct s3 *s, const struct exchange *x, bool whole, struct sum *out)
{
	const char *sha256 = exchange_header(x, "x-amz-checksum-sha256"), *etag = exchange_header(x, "etag");
	char plain[ETAG_BYTES] = "";

	memset(out, 0, sizeof(*out));
	if (!s->verify)
		return;
	if (whole && sha256)
		sum_of_sha256(out, sha256);
	if (out->kind != SUM_NONE || !etag_tells(s, x))
		return;
	if (etag)
		s3_text_etag(plain, etag);
	sum_of_etag(out, plain);
}

static int read_length(const struct exchange *x, uint64_t *out)
{
	const char *length = exchange_header(x, "content-length");

	return length ? s3_text_number(length, out) : -EPROTO;
}

/* -- list -- */

static void may_list(struct s3 *s, enum s3_answer answer)
{
	lock_take(&s->lock);
	s->locked.may_list = answer;
	lock_drop(&s->lock);
}

/* Takes the bucket's prefix off. A key that was not asked for would end up in a wrong folder. */
static int strip_prefix(struct s3 *s, const struct list_request *request, struct list_page *page)
{
	size_t own = strlen(s->place.prefix), asked = strlen(request->prefix);

	for (size_t i = 0; i < page->count; i++) {
		struct list_entry *e = &page->entries[i];

		if (e->key_bytes < own + asked || memcmp(e->key, s->place.prefix, own) != 0 ||
		    memcmp(e->key + own, request->prefix, asked) != 0)
			return -EPROTO;
		e->key += own;
		e->key_bytes -= own;
	}
	return 0;
}

static void list_query(struct s3_request *q, const struct list_request *request)
{
	AUTO_BUF struct buf text = BUF_EMPTY;

	s3_request_query(q, "list-type", "2");
	s3_request_query(q, "encoding-type", "url");
	if (request->delimiter)
		s3_request_query(q, "delimiter", "/");
	if (request->page_max) {
		buf_printf(&text, "%u", request->page_max);
		s3_request_query(q, "max-keys", buf_string(&text));
		buf_clear(&text);
	}
	buf_printf(&text, "%s%s", q->s->place.prefix, request->prefix);
	if (text.length)
		s3_request_query(q, "prefix", buf_string(&text));
	if (request->token) {
		s3_request_query(q, "continuation-token", request->token);
	} else if (request->after) {
		buf_clear(&text);
		buf_printf(&text, "%s%s", q->s->place.prefix, request->after);
		s3_request_query(q, "start-after", buf_string(&text));
	}
	if (text.failed)
		q->failed = true;
}

int s3_list(void *self, const struct list_request *request, struct list_page *out)
{
	struct s3 *s = self;
	struct s3_request q;
	int r;

	memset(out, 0, sizeof(*out));
	s3_request_init(&q, s, "GET", NULL);
	list_query(&q, request);
	r = s3_request_run(&q);
	if (r == -EACCES && strcmp(fault_of_thread()->code, "AccessDenied") == 0)
		may_list(s, S3_NO);
	if (r == -ENOENT) /* there is no key in this request */
		r = fault_set(-ENODEV, false, "%s", fault_of_thread()->why);
	if (r == 0) {
		may_list(s, S3_YES);
		r = s3_xml_list(buf_string(&q.x.body_out), q.x.body_out.length, out);
		if (r == -EPROTO)
			s3_fault_broken(&q, "the list is not the XML of a list, or it was cut off");
		else if (r)
			fault_set(r, false, "no memory for a list");
	}
	if (r == 0 && strip_prefix(s, request, out))
		r = s3_fault_broken(&q, "the list has keys that were not asked for");
	if (r == 0 && out->token && request->token && strcmp(out->token, request->token) == 0)
		r = s3_fault_broken(&q, "the list does not go on");
	if (r) {
		list_page_destroy(out);
		memset(out, 0, sizeof(*out));
	}
	s3_request_destroy(&q);
	return r;
}

int s3_probe(void *self)
{
	const struct list_request request = {.prefix = "", .page_max = 1};
	struct list_page page;
	int r = s3_list(self, &request, &page);

	if (r == 0)
		list_page_destroy(&page);
	return r;
}

static int denied_read(struct s3 *s, int error)
{
	struct fault *now = fault_of_thread(), before = *now;
	enum s3_answer answer;

	if (error != -EACCES || (before.code[0] && strcmp(before.code, "AccessDenied") != 0))
		return error;
	lock_take(&s->lock);
	answer = s->locked.may_list;
	lock_drop(&s->lock);
	if (answer == S3_UNKNOWN) {
		/* What it finds out it notes; a key that expires just now denies nothing. */
		(void)s3_probe(s);
		lock_take(&s->lock);
		answer = s->locked.may_list;
		lock_drop(&s->lock);
	}
	*now = before;
	if (answer == S3_NO)
		return fault_set(
		    -ENOENT, false,
		    "there is no such object, or it may not be read: the key lacks ListBucket, "
		    "so the server does not say which (HTTP 403)");
	return error;
}

/* -- get -- */

struct reading {
	const struct s3 *s;
	const struct get_request *request;
	struct object object;
	uint64_t skip; /* bytes of the body before the offset */
	uint64_t left; /* bytes that the sink still gets */
	uint64_t at;   /* offset of the next one */
	bool rest;     /* the body goes on after the last byte wanted, and may be cut */
	bool enough, begun;
	int error; /* ours */
	bool again;
	const char *why;
};

static int refuse(struct reading *r, int error, bool again, const char *why)
{
	r->why = why;
	r->again = again;
	return r->error = error;
}

static bool is_ranged(const struct get_request *q)
{
	return q->offset > 0 || q->length > 0;
}

static int fit_part(struct reading *r, const struct exchange *x)
{
	const struct get_request *q = r->request;
	const char *range = exchange_header(x, "content-range");
	struct s3_range got;
	uint64_t length, last;

	if (!is_ranged(q) || !range || s3_text_range(range, &got))
		return refuse(r, -EPROTO, true,
			      "a part was sent without a Content-Range that fits");
	last = got.size - 1;
	if (q->length > 0 && q->length - 1 < last - got.first)
		last = got.first + q->length - 1;
	if (got.first != q->offset || got.last != last)
		return refuse(r, -EPROTO, true, "another range was sent than was asked for");
	r->left = got.last - got.first + 1;
	if (read_length(x, &length) == 0 && length != r->left)
		return refuse(r, -EPROTO, true, "Content-Length and Content-Range differ");
	r->object.size_bytes = got.size;
	return 0;
}

static int fit_whole(struct reading *r, const struct exchange *x)
{
	const struct get_request *q = r->request;
	uint64_t size;

	if (read_length(x, &size))
		return refuse(r, -EPROTO, true, "there is no usable Content-Length");
	if (q->offset > size || (q->offset == size && q->length > 0))
		return refuse(r, -EPROTO, false, "the object is shorter than expected");
	r->object.size_bytes = size;
	r->skip = q->offset;
	r->left = size - q->offset;
	if (q->length > 0 && q->length < r->left) {
		r->left = q->length;
		r->rest = true;
	}
	return 0;
}

static int on_begin(void *arg, struct exchange *x)
{
	struct reading *r = arg;
	const char *etag = r->request->etag;
	int error;

	read_object(x, &r->object);
	if (etag && *etag && strcmp(etag, r->object.etag) != 0) {
		if (r->object.etag[0])
			return refuse(r, -ESTALE, false,
				      "the object is another version than expected");
		return refuse(r, -EPROTO, false, "the answer has no usable ETag");
	}
	if (x->status != 200 && x->status != 206)
		return refuse(r, -EPROTO, true, "its status is neither 200 nor 206");
	error = x->status == 206 ? fit_part(r, x) : fit_whole(r, x);
	if (error)
		return error;
	/* That of a range may be a part's. */
	s3_read_sum(r->s, x, r->left == r->object.size_bytes, &r->object.sum);
	if (r->object.sum.kind == SUM_NONE && r->s->verify && etags_parts_in_use(&r->s->etags) && etag_tells(r->s, x))
		sum_of_parts_etag(&r->object.sum, r->object.etag);
	x->deadline_ms = s3_request_deadline(r->s, r->skip + r->left);
	r->begun = true;
	error = r->request->sink->begin(r->request->sink, &r->object);
	return error ? refuse(r, error, false, "ended by the receiver") : 0;
}

static int on_take(void *arg, const void *bytes, size_t length)
{
	struct reading *r = arg;
	const char *p = bytes;
	size_t n;
	int error;

	n = r->skip < length ? (size_t)r->skip : length;
	r->skip -= n;
	p += n;
	length -= n;
	n = r->left < length ? (size_t)r->left : length;
	if (length > n && !r->rest)
		return refuse(r, -EPROTO, true, "the body is longer than announced");
	if (n > 0) {
		error = r->request->sink->take(r->request->sink, r->at, p, n);
		if (error)
			return refuse(r, error, false, "ended by the receiver");
		r->at += n;
		r->left -= n;
	}
	if (r->left == 0 && r->skip == 0 && r->rest) {
		r->enough = true;
		return -ECONNABORTED;
	}
	return 0;
}

static int get_result(struct reading *r, struct s3_request *q, int error)
{
	if (r->enough)
		return 0;
	if (r->error == -EPROTO)
		s3_fault_broken(q, r->why);
	if (r->error) {
		fault_of_thread()->again = r->again;
		return r->error == -EPROTO ? r->error : fault_set(r->error, r->again, "%s", r->why);
	}
	if (error == 0 && (r->left > 0 || !r->begun))
		return s3_fault_broken(q, "the body is shorter than announced");
	return error;
}

int s3_get(void *self, const struct get_request *request)
{
	struct s3 *s = self;
	struct reading r = {.s = s, .request = request, .at = request->offset};
	struct s3_request q;
	int error;

	s3_request_init(&q, s, "GET", request->key);
	if (request->length > 0)
		s3_request_headerf(&q, "range", "bytes=%llu-%llu",
				   (unsigned long long)request->offset,
				   (unsigned long long)(request->offset + request->length - 1));
	else if (request->offset > 0)
		s3_request_headerf(&q, "range", "bytes=%llu-", (unsigned long long)request->offset);
	if (request->etag && *request->etag)
		s3_request_headerf(&q, "if-match", "\"%s\"", request->etag);
	if (s->checksum_sha256 && s->verify)
		s3_request_header(&q, "x-amz-checksum-mode", "ENABLED");
	q.x.begin = on_begin;
	q.x.take = on_take;
	q.x.arg = &r;
	error = get_result(&r, &q, s3_request_run(&q));
	s3_request_destroy(&q);
	return denied_read(s, error);
}

/* -- head -- */

/* An answer that says nothing of why: ask again in a way that is answered with an error body. */
static int head_explain(struct s3 *s, const char *key)
{
	struct s3_request q;
	int r;

	s3_request_init(&q, s, "GET", key);
	s3_request_header(&q, "range", "bytes=0-0");
	r = s3_request_run(&q);
	if (r == 0 || q.x.status == 416) /* it is there after all */
		r = s3_fault_broken(&q, "HEAD and GET of one object were answered differently");
	s3_request_destroy(&q);
	return r;
}

static bool is_unfit(const struct exchange *x, const char *name, const char *wanted)
{
	const char *has = exchange_header(x, name);

	return wanted && *wanted && (!has || strcasecmp(has, wanted) != 0);
}

static unsigned find_unfit(struct s3 *s, const struct exchange *x, const char *key)
{
	struct object_headers wanted = {.content_type = NULL};
	struct headers *headers;
	unsigned unfit = 0;

	lock_take(&s->lock);
	headers = headers_share(s->locked.headers);
	lock_drop(&s->lock);
	headers_for(headers, key, &wanted);
	if (is_unfit(x, "content-type", wanted.content_type))
		unfit |= OBJECT_CONTENT_TYPE;
	if (is_unfit(x, "cache-control", wanted.cache_control))
		unfit |= OBJECT_CACHE_CONTROL;
	headers_close(&headers);
	return unfit;
}

int s3_head(void *self, const char *key, struct object *out)
{
	struct s3 *s = self;
	struct s3_request q;
	int r;

	s3_request_init(&q, s, "HEAD", key);
	r = s3_request_run(&q);
	if (r == 0) {
		read_object(&q.x, out);
		s3_read_sum(s, &q.x, true, &out->sum);
		out->unfit = find_unfit(s, &q.x, key);
		if (read_length(&q.x, &out->size_bytes))
			r = s3_fault_broken(&q, "there is no usable Content-Length");
	} else if (q.x.status >= 300 && !fault_of_thread()->again) {
		r = head_explain(s, key);
	}
	s3_request_destroy(&q);
	return denied_read(s, r);
}

/* Servers that do not know partNumber answer for the whole object, or refuse. */
int s3_part_bytes(void *self, const char *key, const char *etag, unsigned number, uint64_t *out)
{
	struct s3 *s = self;
	struct s3_request q;
	struct object object;
	struct sum of, said;
	uint64_t parts;

	*out = 0;
	s3_request_init(&q, s, "HEAD", key);
	AUTO_BUF struct buf text = BUF_EMPTY;
	buf_printf(&text, "%u", number);
	s3_request_query(&q, "partNumber", text.failed ? "" : buf_string(&text));
	int r = s3_request_run(&q);
	if (r == 0) {
		const char *count = exchange_header(&q.x, "x-amz-mp-parts-count");

		read_object(&q.x, &object);
		sum_of_parts_etag(&said, object.etag); /* some tell the part's own, which says nothing */
		sum_of_parts_etag(&of, etag);
		bool other = said.kind != SUM_NONE && strcmp(object.etag, etag) != 0;
		if (count && (s3_text_number(count, &parts) || parts != of.parts))
			other = true;
		if (!etag_tells(s, &q.x) || other)
			r = fault_set(-ESTALE, false, "the parts of the object are not those of the ETag expected");
		else if (read_length(&q.x, out))
			*out = 0;
	} else if (r == -EINVAL) { /* 405, 501, …: it does not know them */
		r = 0;
	}
	s3_request_destroy(&q);
	return r;
}
