/* Multipart uploads, and copies in parts.
 *
 *     create → id;  part 1 … n → ETags;  complete(id, ETags) → the object appears;  or abort(id)
 *
 * Complete is answered 200 as soon as the server begins and then with blanks until it is done, so
 * success is what the body says. Ceph 16 says it with an empty ETag, which a HEAD then tells.
 * InvalidPart counts as a lost upload (-ENOMSG): both are mended by starting anew.
 *
 * Parts carry no x-amz-checksum-*: Amazon then wants the algorithm named at create and each value
 * again at complete. The signed hash of each part is checked by the server all the same.
 *
 * Uploads are listed without encoding-type: Ceph encodes the keys of this list and does not say
 * so. Ceph 16 also decodes the source of a part twice and dies of a '%' in its key; a copy in one
 * piece is not affected. */
#include "s3_internal.h"
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
	/* what a server may take to put an object together, for each of its parts; and at most */
	COMPLETE_PART_MS = 1000,
	COMPLETE_MS_MAX = 300000,
	COPY_BYTES_PER_MS = 8 << 10,
	PARTS_MAX = 10000,
};

static void init(struct s3_request *q, struct s3 *s, const char *method, const char *key,
		 const char *id)
{
	s3_request_init(q, s, method, key);
	s3_request_query(q, "uploadId", id);
}

int s3_upload_create(void *self, const char *key, const struct object_attrs *attrs,
		     char id[UPLOAD_ID_BYTES])
{
	struct s3 *s = self;
	struct s3_request q;
	int r;

	s3_request_init(&q, s, "POST", key);
	q.x.once = true; /* two of them are two uploads */
	s3_request_query(&q, "uploads", "");
	s3_write_headers(&q, key, attrs);
	r = s3_request_run(&q);
	if (r == 0) {
		r = s3_xml_upload_id(buf_string(&q.x.body_out), q.x.body_out.length, id);
		if (r)
			r = s3_fault_broken(&q, "there is no upload id in it");
	}
	s3_request_destroy(&q);
	return r;
}

static void part_query(struct s3_request *q, unsigned number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	s3_request_query(q, "partNumber", text);
}

int s3_upload_part(void *self, const struct part_request *request, struct part *out)
{
	unsigned char sha256[32];
	struct s3_request q;
	const char *etag;
	int r;

	memset(out, 0, sizeof(*out));
	out->number = request->number;
	init(&q, self, "PUT", request->key, request->id);
	part_query(&q, request->number);
	r = s3_request_file(&q, request->fd, request->offset, request->length, sha256);
	if (r == 0)
		r = s3_request_run(&q);
	if (r == 0) {
		etag = exchange_header(&q.x, "etag");
		if (etag)
			s3_text_etag(out->etag, etag);
		if (!out->etag[0])
			r = s3_fault_broken(&q, "there is no ETag");
	}
	s3_request_destroy(&q);
	return r;
}

static void complete_body(struct buf *out, const struct part *parts, size_t count)
{
	buf_text(out,
		 "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "<Part><PartNumber>%u</PartNumber><ETag>&quot;", parts[i].number);
		for (const char *p = parts[i].etag; *p; p++)
			buf_text(out, *p == '&'	  ? "&amp;"
				      : *p == '<' ? "&lt;"
				      : *p == '>' ? "&gt;"
						  : (const char[]){*p, '\0'});
		buf_text(out, "&quot;</ETag></Part>");
	}
	buf_text(out, "</CompleteMultipartUpload>");
}

/* Its ETag is in the answer, or -ENODATA. */
static int complete_answer(struct s3_request *q, struct object *out)
{
	int r = s3_xml_etag(buf_string(&q->x.body_out), q->x.body_out.length, out->etag, &q->error);

	if (r == -EREMOTEIO)
		return s3_fault_inside(q);
	if (r && r != -ENODATA)
		return s3_fault_broken(q, "the upload's result is not XML");
	return r;
}

/* The ETag of the object that has just appeared: one of an upload in so many parts. */
static int complete_etag(struct s3 *s, const char *key, size_t count, struct object *out)
{
	char suffix[32];
	size_t n, length;
	int r = s3_head(s, key, out);

	if (r)
		return r;
	length = (size_t)snprintf(suffix, sizeof(suffix), "-%zu", count);
	n = strlen(out->etag);
	if (n < length || strcmp(out->etag + n - length, suffix) != 0)
		return fault_set(-EPROTO, true,
				 "the server did not say what became of the upload, and the "
				 "object is another one");
	return 0;
}

int s3_upload_complete(void *self, const char *key, const char *id, const struct part *parts,
		       size_t count, struct object *out)
{
	AUTO_BUF struct buf body = BUF_EMPTY;
	struct s3_request q;
	int r;

	memset(out, 0, sizeof(*out));
	complete_body(&body, parts, count);
	if (body.failed)
		return fault_set(-ENOMEM, false, "no memory for the list of parts");
	init(&q, self, "POST", key, id);
	q.patience_ms = count < COMPLETE_MS_MAX / COMPLETE_PART_MS ? (int64_t)count * COMPLETE_PART_MS
								   : COMPLETE_MS_MAX;
	s3_request_header(&q, "content-type", "application/xml");
	r = s3_request_body(&q, body.data, body.length);
	if (r == 0)
		r = s3_request_run(&q);
	if (r == 0)
		r = complete_answer(&q, out);
	s3_request_destroy(&q);
	return r == -ENODATA ? complete_etag(self, key, count, out) : r;
}

int s3_upload_abort(void *self, const char *key, const char *id)
{
	struct s3_request q;
	int r;

	init(&q, self, "DELETE", key, id);
	r = s3_request_run(&q);
	if (r == 0)
		r = s3_fault_of_empty(&q);
	if (r == -ENOMSG || (r && q.x.status == 404 && r != -ENODEV)) {
		fault_clear();
		r = 0;
	}
	s3_request_destroy(&q);
	return r;
}

/* -- the uploads under way -- */

struct exact {
	const char *key; /* with the prefix */
	upload_visit *visit;
	void *arg;
	int stop; /* what visit returned */
};

static int visit_exact(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	struct exact *e = arg;

	if (strcmp(key, e->key) == 0)
		e->stop = e->visit(e->arg, id, initiated_ns);
	return e->stop;
}

static bool goes_on(const struct upload_marks *now, const struct s3_xml_uploads_next *next)
{
	return !now->key || !next->key_marker || strcmp(now->key, next->key_marker) != 0 ||
	       strcmp(now->id, next->id_marker) != 0;
}

/* One page. stop: where the visit leaves what it returned. */
struct page {
	const char *prefix;
	s3_xml_uploads_visit *visit;
	void *arg;
	const int *stop;
};

static int list_page(struct s3 *s, const struct page *page, const struct upload_marks *now, struct upload_marks *out)
{
	struct s3_xml_uploads_next next = {NULL, NULL};
	struct s3_request q;
	int r;

	*out = (struct upload_marks){NULL, NULL};
	s3_request_init(&q, s, "GET", NULL);
	s3_request_query(&q, "uploads", "");
	s3_request_query(&q, "prefix", page->prefix);
	if (now->key) {
		s3_request_query(&q, "key-marker", now->key);
		s3_request_query(&q, "upload-id-marker", now->id);
	}
	r = s3_request_run(&q);
	if (r == 0) {
		r = s3_xml_uploads(buf_string(&q.x.body_out), q.x.body_out.length, page->visit, page->arg, &next);
		if (r && !*page->stop)
			r = s3_fault_broken(&q, "the list of uploads cannot be understood");
	}
	if (r == 0 && !goes_on(now, &next))
		r = s3_fault_broken(&q, "the list of uploads does not go on");
	if (r == 0) {
		*out = (struct upload_marks){next.key_marker, next.id_marker};
	} else {
		free(next.key_marker);
		free(next.id_marker);
	}
	s3_request_destroy(&q);
	return r;
}

int s3_upload_list(void *self, const char *key, upload_visit *visit, void *arg)
{
	struct s3 *s = self;
	struct upload_marks now, next = {NULL, NULL};
	AUTO_BUF struct buf full = BUF_EMPTY;
	int r;

	buf_printf(&full, "%s%s", s->place.prefix, key);
	if (full.failed)
		return fault_set(-ENOMEM, false, "no memory for a key");
	struct exact e = {.key = full.data, .visit = visit, .arg = arg};
	const struct page page = {full.data, visit_exact, &e, &e.stop};
	do {
		now = next;
		r = list_page(s, &page, &now, &next);
		free(now.key);
		free(now.id);
	} while (r == 0 && next.key);
	return e.stop ? e.stop : r;
}

struct below {
	const char *prefix;
	key_upload_visit *visit;
	void *arg;
	int stop;
};

static int visit_below(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	struct below *b = arg;
	size_t length = strlen(b->prefix);

	if (strncmp(key, b->prefix, length) == 0)
		b->stop = b->visit(b->arg, key + length, id, initiated_ns);
	return b->stop;
}

int s3_uploads_page(void *self, const struct upload_marks *marks, struct upload_marks *next, key_upload_visit *visit,
		    void *arg)
{
	struct s3 *s = self;
	struct below below = {.prefix = s->place.prefix, .visit = visit, .arg = arg};
	const struct page page = {below.prefix, visit_below, &below, &below.stop};

	return list_page(s, &page, marks, next);
}

/* -- a copy in parts -- */

static int copy_part(struct s3 *s, const struct copy_request *request, const char *id,
		     struct part *part, uint64_t offset, uint64_t length)
{
	struct s3_request q;
	int r;

	init(&q, s, "PUT", request->to, id);
	q.patience_ms = (int64_t)(length / COPY_BYTES_PER_MS);
	part_query(&q, part->number);
	s3_write_copy_source(&q, request->from, request->etag);
	s3_request_headerf(&q, "x-amz-copy-source-range", "bytes=%llu-%llu",
			   (unsigned long long)offset, (unsigned long long)(offset + length - 1));
	r = s3_request_run(&q);
	if (r == 0) {
		r = s3_xml_etag(buf_string(&q.x.body_out), q.x.body_out.length, part->etag,
				&q.error);
		if (r == -EREMOTEIO)
			r = s3_fault_inside(&q);
		else if (r)
			r = s3_fault_broken(&q, "the part's result is not XML, or has no ETag");
	}
	s3_request_destroy(&q);
	return r;
}

static int copy_parts(struct s3 *s, const struct copy_request *request, const char *id,
		      struct part *parts, size_t count)
{
	uint64_t size = request->size_bytes, step = s->copy_part_bytes;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		uint64_t offset = i * step, length = size - offset < step ? size - offset : step;

		parts[i].number = (unsigned)i + 1;
		r = copy_part(s, request, id, &parts[i], offset, length);
	}
	return r;
}

int s3_upload_copy(struct s3 *s, const struct copy_request *request, struct object *out)
{
	size_t count =
	    (size_t)((request->size_bytes + s->copy_part_bytes - 1) / s->copy_part_bytes);
	AUTO_FREE struct part *parts = NULL;
	char id[UPLOAD_ID_BYTES];
	struct fault why;
	int r;

	assert(count > 0);
	if (count > PARTS_MAX)
		return fault_set(-EINVAL, false, "the object is too large to be copied");
	parts = calloc(count, sizeof(*parts));
	if (!parts)
		return fault_set(-ENOMEM, false, "no memory for the list of parts");
	r = s3_upload_create(s, request->to, request->attrs, id);
	if (r)
		return r;
	r = copy_parts(s, request, id, parts, count);
	if (r == 0)
		r = s3_upload_complete(s, request->to, id, parts, count, out);
	out->size_bytes = request->size_bytes;
	if (r == 0 || r == -ECANCELED)
		return r;
	/* What failed is of interest, not whether it could be cleaned up. */
	why = *fault_of_thread();
	if (s3_upload_abort(s, request->to, id))
		fault_clear();
	*fault_of_thread() = why;
	return r;
}
