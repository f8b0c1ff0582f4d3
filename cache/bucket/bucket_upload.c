/* The door's multipart uploads.
 *
 * Complete is the one request whose repetition cannot succeed by itself: the upload ends with the
 * first one that takes effect, and the second finds none (or a 500, as some servers say it). So a
 * Complete that did not get a clear answer is settled by what the key holds now. The ETag of a
 * multipart object is MD5(MD5 of part 1, MD5 of part 2, …) in hex, "-", the number of parts and a
 * part's ETag is its MD5. If the key's size and ETag are just these, our bytes are there, no matter
 * who completed what. Where parts have other ETags (SSE-KMS) nothing can be told, and the error
 * stands: sending the object again costs time, a wrong guess would cost the object.
 *
 * Create is the other one: two of them make two uploads. Its caller knows which of the key's uploads are its own, and is
 * asked to settle the doubt before another one is made. */
#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include "cache/base/hex.h"
#include "door.h"

enum { MD5_BYTES = 16 };

/* -- create, part, abort -- */

struct create_call {
	const char *key;
	const struct object_attrs *attrs;
	struct upload_doubt *doubt;
	char *id;
};

/* No answer, or one of a server that may have done it before it failed. */
static bool may_have_happened(void)
{
	const struct fault *f = fault_of_thread();

	return (f->http_status < 400 || f->http_status >= 500) && strcmp(f->code, "SlowDown") != 0;
}

static int attempt_create(struct call *c, void *arg)
{
	struct create_call *p = arg;
	struct upload_doubt *doubt = p->doubt;
	int r = doubt && doubt->unsure ? doubt->settle(doubt) : 0;

	memset(p->id, 0, UPLOAD_ID_BYTES);
	if (r)
		return r;
	r = c->bucket->impl.ops->upload_create(c->bucket->impl.self, p->key, p->attrs, p->id);
	if (r == 0 && !p->id[0])
		r = fault_set(-EPROTO, false, "the server began an upload of %s without an id",
			      p->key);
	if (doubt)
		doubt->unsure = r != 0 && may_have_happened();
	return r;
}

int bucket_upload_create(struct bucket *b, const char *key, const struct object_attrs *attrs,
			 struct upload_doubt *doubt, char id[UPLOAD_ID_BYTES])
{
	struct create_call p = {key, attrs, doubt, id};
	int r = door_key(b, key);

	assert(!doubt || (doubt->settle && !doubt->unsure));

	return r ? r : door_run(b, BUCKET_UPLOAD_CREATE, key, attempt_create, &p);
}

struct part_call {
	const struct part_request *request;
	struct part *out;
};

static int attempt_part(struct call *c, void *arg)
{
	struct part_call *p = arg;
	int r;

	memset(p->out, 0, sizeof(*p->out));
	r = c->bucket->impl.ops->upload_part(c->bucket->impl.self, p->request, p->out);
	p->out->number = p->request->number;
	if (r == 0 && !p->out->etag[0])
		return fault_set(-EPROTO, false, "the server took a part of %s without an ETag",
				 p->request->key);
	return r;
}

int bucket_upload_part(struct bucket *b, const struct part_request *request, struct part *out)
{
	struct part_call p = {request, out};
	int r;

	assert(request->number >= 1 && request->number <= 10000);
	assert(request->id && request->id[0] && request->fd >= 0);
	r = door_key(b, request->key);
	if (r == 0)
		r = door_run(b, BUCKET_UPLOAD_PART, request->key, attempt_part, &p);
	if (r == 0)
		door_went(b, request->length);
	return r;
}

struct abort_call {
	const char *key, *id;
};

static int attempt_abort(struct call *c, void *arg)
{
	struct abort_call *p = arg;
	int r = c->bucket->impl.ops->upload_abort(c->bucket->impl.self, p->key, p->id);

	return r == -ENOMSG ? 0 : r;
}

int bucket_upload_abort(struct bucket *b, const char *key, const char *id)
{
	struct abort_call p = {key, id};
	int r = door_key(b, key);

	assert(id && id[0]);
	return r ? r : door_run(b, BUCKET_UPLOAD_ABORT, key, attempt_abort, &p);
}

/* -- complete -- */

struct complete_call {
	const struct complete_request *request;
	struct object *out;
};

/* false: the parts' ETags are no MD5s. */
static bool etag_of_parts(const struct complete_request *p, char etag[ETAG_BYTES])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char bytes[EVP_MAX_MD_SIZE];
	char hex[2 * MD5_BYTES + 1];
	bool good = md && EVP_DigestInit_ex(md, EVP_md5(), NULL) == 1;

	for (size_t i = 0; good && i < p->count; i++)
		good = hex_decode(bytes, p->parts[i].etag, MD5_BYTES) == 0 &&
		       EVP_DigestUpdate(md, bytes, MD5_BYTES) == 1;
	good = good && EVP_DigestFinal_ex(md, bytes, NULL) == 1;
	EVP_MD_CTX_free(md);
	if (!good)
		return false;
	hex_encode(hex, bytes, MD5_BYTES);
	snprintf(etag, ETAG_BYTES, "%s-%zu", hex, p->count);
	return true;
}

/* Whether the key holds what these parts make. One request, no attempts of its own. */
static bool is_settled(struct bucket *b, const struct complete_call *p)
{
	char etag[ETAG_BYTES];
	struct object object;

	memset(&object, 0, sizeof(object));
	if (!etag_of_parts(p->request, etag) || b->impl.ops->head(b->impl.self, p->request->key, &object) != 0)
		return false;
	if (object.size_bytes != p->request->size_bytes || strcmp(object.etag, etag) != 0)
		return false;
	*p->out = object;
	return true;
}

static int attempt_complete(struct call *c, void *arg)
{
	struct complete_call *p = arg;
	struct bucket *b = c->bucket;
	struct fault before;
	int r;

	memset(p->out, 0, sizeof(*p->out));
	r = b->impl.ops->upload_complete(b->impl.self, p->request->key, p->request->id, p->request->parts, p->request->count, p->out);
	if (r == 0 && p->out->size_bytes != 0 && p->out->size_bytes != p->request->size_bytes)
		return fault_set(-EPROTO, false,
				 "the parts of %s do not make the object that was sent", p->request->key);
	if (r != -ENOMSG && (r == 0 || !fault_of_thread()->again))
		return r;
	before = *fault_of_thread();
	if (is_settled(b, p))
		return 0;
	*fault_of_thread() = before;
	return r;
}

int bucket_upload_complete(struct bucket *b, const struct complete_request *request, struct object *out)
{
	struct complete_call p = {request, out};
	int r = door_key(b, request->key);

	assert(request->id && request->id[0] && request->count >= 1);
	for (size_t i = 1; i < request->count; i++)
		assert(request->parts[i - 1].number < request->parts[i].number);
	if (r == 0)
		r = door_run(b, BUCKET_UPLOAD_COMPLETE, request->key, attempt_complete, &p);
	if (r == 0)
		out->size_bytes = request->size_bytes;
	return r;
}

/* -- list -- */

/* What one page or list told; the visits come after the last request, so that a repeated one repeats no visit. */
struct found_upload {
	char *key, *id;
	int64_t initiated_ns;
};

struct uploads {
	const char *key; /* of all of them; NULL = each has its own */
	const struct upload_marks *marks;
	struct upload_marks next;
	struct found_upload *found;
	size_t count, space;
};

static void marks_clear(struct upload_marks *marks)
{
	free(marks->key);
	free(marks->id);
	*marks = (struct upload_marks){NULL, NULL};
}

static void uploads_clear(struct uploads *u)
{
	for (size_t i = 0; i < u->count; i++) {
		free(u->found[i].key);
		free(u->found[i].id);
	}
	u->count = 0;
	marks_clear(&u->next);
}

static void uploads_destroy(struct uploads *u)
{
	uploads_clear(u);
	free(u->found);
}

static int uploads_add_key(void *arg, const char *key, const char *id, int64_t initiated_ns)
{
	struct uploads *u = arg;
	struct found_upload new = {.id = strdup(id), .initiated_ns = initiated_ns};

	if (key)
		new.key = strdup(key);
	if (u->count == u->space) {
		size_t space = u->space ? 2 * u->space : 16;
		struct found_upload *grown = reallocarray(u->found, space, sizeof(*grown));
		if (grown) {
			u->found = grown;
			u->space = space;
		}
	}
	if (u->count == u->space || !new.id || (key && !new.key)) {
		free(new.key);
		free(new.id);
		return fault_set(-ENOMEM, false, "no memory to list uploads");
	}
	u->found[u->count++] = new;
	return 0;
}

static int uploads_add(void *arg, const char *id, int64_t initiated_ns)
{
	return uploads_add_key(arg, NULL, id, initiated_ns);
}

static int attempt_uploads(struct call *c, void *arg)
{
	struct uploads *u = arg;

	uploads_clear(u);
	return c->bucket->impl.ops->upload_list(c->bucket->impl.self, u->key, uploads_add, u);
}

int bucket_upload_list(struct bucket *b, const char *key, upload_visit *visit, void *arg)
{
	struct uploads u = {.key = key};
	int r = door_key(b, key);

	if (r == 0)
		r = door_run(b, BUCKET_UPLOAD_LIST, key, attempt_uploads, &u);
	for (size_t i = 0; r == 0 && i < u.count; i++)
		r = visit(arg, u.found[i].id, u.found[i].initiated_ns);
	uploads_destroy(&u);
	return r;
}

static int attempt_page(struct call *c, void *arg)
{
	struct uploads *u = arg;

	uploads_clear(u);
	return c->bucket->impl.ops->uploads_page(c->bucket->impl.self, u->marks, &u->next, uploads_add_key, u);
}

int bucket_uploads_each(struct bucket *b, key_upload_visit *visit, void *arg)
{
	struct upload_marks marks = {NULL, NULL};
	int r;

	do {
		struct uploads u = {.marks = &marks};

		r = door_run(b, BUCKET_UPLOAD_LIST, "", attempt_page, &u);
		for (size_t i = 0; r == 0 && i < u.count; i++)
			r = visit(arg, u.found[i].key, u.found[i].id, u.found[i].initiated_ns);
		marks_clear(&marks);
		marks = u.next;
		u.next = (struct upload_marks){NULL, NULL};
		uploads_destroy(&u);
	} while (r == 0 && marks.key);
	marks_clear(&marks);
	return r;
}
