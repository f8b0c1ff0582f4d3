/* The door: one way to every bucket, whatever is behind it.
 *
 * Each function checks its arguments, runs its attempts through door_run() (door.c: retries,
 * breaker, counters, traces) and checks what came back. A mistake of our own program is an
 * assertion; a key that no object can have is an answer, -EINVAL, since keys can come from the
 * bucket. */
#include "bucket.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "door.h"
#include "headers.h"
#include "resume.h"

enum { IO_TIMEOUT_MS = 30000 };

static const char *const op_names[BUCKET_OPS] = {
    [BUCKET_GET] = "get",
    [BUCKET_HEAD] = "head",
    [BUCKET_LIST] = "list",
    [BUCKET_PUT] = "put",
    [BUCKET_COPY] = "copy",
    [BUCKET_REMOVE] = "remove",
    [BUCKET_UPLOAD_CREATE] = "upload-create",
    [BUCKET_UPLOAD_PART] = "upload-part",
    [BUCKET_UPLOAD_COMPLETE] = "upload-complete",
    [BUCKET_UPLOAD_ABORT] = "upload-abort",
    [BUCKET_UPLOAD_LIST] = "upload-list",
};

/* -- life -- */

int bucket_open_over(const struct bucket_config *config, struct bucket_impl *impl,
		     struct bucket **out)
{
	struct bucket *b = calloc(1, sizeof(*b));

	*out = NULL;
	assert(impl->ops && impl->identity && impl->key_bytes_max > 0);
	if (!b) {
		impl->ops->close(impl->self);
		free(impl->identity);
		return fault_set(-ENOMEM, false, "no memory for a bucket");
	}
	b->impl = *impl;
	b->io_timeout_ms = config->io_timeout_ms > 0 ? config->io_timeout_ms : IO_TIMEOUT_MS;
	atomic_store(&b->random, (uint64_t)clock_wall_ns());
	breaker_init(&b->breaker, b->io_timeout_ms / 10);
	lock_init(&b->lock);
	wakeup_init(&b->stopping);
	rate_init(&b->rate_in);
	rate_init(&b->rate_out);
	*out = b;
	return 0;
}

/* A folder keeps no headers; what is wrong with them is a mistake all the same. */
static int open_folder(const struct bucket_config *config, struct bucket_impl *impl)
{
	struct headers *headers;
	int r = headers_open(config, &headers);

	headers_close(&headers);
	return r ? r : dir_bucket_open(config, impl);
}

int bucket_open(const struct bucket_config *config, struct bucket **out)
{
	const char *spec = config->spec ? config->spec : "";
	struct bucket_impl impl;
	int r;

	*out = NULL;
	fault_clear();
	memset(&impl, 0, sizeof(impl));
	if (strncmp(spec, "s3://", 5) == 0)
		r = s3_bucket_open(config, &impl);
	else if (strncmp(spec, "file://", 7) == 0)
		r = open_folder(config, &impl);
	else
		return fault_set(-EINVAL, false,
				 "\"%s\" is no bucket: write s3://NAME, s3://NAME/PREFIX or "
				 "file:///FOLDER",
				 spec);
	assert(r <= 0);
	return r ? r : bucket_open_over(config, &impl, out);
}

int bucket_start(struct bucket *b)
{
	fault_clear();
	return b->impl.ops->start(b->impl.self);
}

void bucket_reload(struct bucket *b)
{
	fault_clear();
	if (b->impl.ops->reload && b->impl.ops->reload(b->impl.self))
		log_debug("bucket: not all of it could be read again");
}

void bucket_stop(struct bucket *b)
{
	lock_take(&b->lock);
	b->locked.stopped = true;
	wakeup_all(&b->stopping);
	lock_drop(&b->lock);
	b->impl.ops->stop(b->impl.self);
}

void bucket_close(struct bucket **bucket)
{
	struct bucket *b = *bucket;

	*bucket = NULL;
	if (!b)
		return;
	b->impl.ops->close(b->impl.self);
	free(b->impl.identity);
	breaker_destroy(&b->breaker);
	rate_destroy(&b->rate_out);
	rate_destroy(&b->rate_in);
	wakeup_destroy(&b->stopping);
	lock_destroy(&b->lock);
	free(b);
}

size_t bucket_key_bytes_max(const struct bucket *b)
{
	return b->impl.key_bytes_max;
}

const char *bucket_identity(const struct bucket *b)
{
	return b->impl.identity;
}

const char *bucket_op_name(enum bucket_op op)
{
	assert(op >= 0 && op < BUCKET_OPS);
	return op_names[op];
}

void bucket_stats_read(struct bucket *b, struct bucket_stats *out)
{
	for (int i = 0; i < BUCKET_OPS; i++) {
		out->calls[i] = atomic_load(&b->calls[i]);
		out->failures[i] = atomic_load(&b->failures[i]);
	}
	out->retries = atomic_load(&b->retries);
	out->bytes_in = atomic_load(&b->bytes_in);
	out->bytes_out = atomic_load(&b->bytes_out);
	out->rate_in = rate_read(&b->rate_in, clock_ms());
	out->rate_out = rate_read(&b->rate_out, clock_ms());
	out->breaker_open = breaker_is_open(&b->breaker);
	lock_take(&b->lock);
	out->trouble = b->locked.trouble;
	lock_drop(&b->lock);
}

void bucket_requests_read(struct bucket *b, enum bucket_op op, struct histogram_sums *out)
{
	histogram_read(&b->requests[op], out);
}

void list_page_destroy(struct list_page *page)
{
	free(page->entries);
	free(page->token);
	free(page->memory);
	memset(page, 0, sizeof(*page));
}

/* -- reading -- */

static int attempt_probe(struct call *c, void *arg)
{
	(void)arg;
	return c->bucket->impl.ops->probe(c->bucket->impl.self);
}

int bucket_probe(struct bucket *b)
{
	return door_run(b, BUCKET_HEAD, "", attempt_probe, NULL);
}

int bucket_get(struct bucket *b, const struct get_request *request)
{
	struct resume resume;
	int r;

	assert(request->sink && request->sink->begin && request->sink->take);
	assert(request->length <= UINT64_MAX - request->offset);
	r = door_key(b, request->key);
	if (r)
		return r;
	resume_init(&resume, b, request);
	return door_run(b, BUCKET_GET, request->key, resume_attempt, &resume);
}

struct head {
	const char *key;
	struct object *out;
};

static int attempt_head(struct call *c, void *arg)
{
	struct head *h = arg;

	memset(h->out, 0, sizeof(*h->out));
	return c->bucket->impl.ops->head(c->bucket->impl.self, h->key, h->out);
}

int bucket_head(struct bucket *b, const char *key, struct object *out)
{
	struct head h = {key, out};
	int r = door_key(b, key);

	return r ? r : door_run(b, BUCKET_HEAD, key, attempt_head, &h);
}

struct list_call {
	const struct list_request *request;
	struct list_page *out;
};

static int attempt_list(struct call *c, void *arg)
{
	struct list_call *l = arg;
	struct list_page *page = l->out;
	int r;

	memset(page, 0, sizeof(*page));
	r = c->bucket->impl.ops->list(c->bucket->impl.self, l->request, page);
	if (r)
		return r;
	assert(page->count == 0 || page->entries);
	/* A server that answers a token with the same one would keep us for ever. */
	if (page->token && (!page->token[0] ||
			    (l->request->token && strcmp(page->token, l->request->token) == 0))) {
		list_page_destroy(page);
		return fault_set(-EPROTO, false,
				 "the list of \"%s\" does not get on: the server repeats itself",
				 l->request->prefix);
	}
	return 0;
}

int bucket_list(struct bucket *b, const struct list_request *request, struct list_page *out)
{
	struct list_call l = {request, out};
	size_t length;

	assert(request->prefix);
	length = strlen(request->prefix);
	assert(length == 0 || request->prefix[length - 1] == '/');
	return door_run(b, BUCKET_LIST, request->prefix, attempt_list, &l);
}

/* -- writing -- */

/* What is made is handed out at the end: out may be where a string of the request is. */
struct put_call {
	const struct put_request *request;
	struct object made;
};

static int attempt_put(struct call *c, void *arg)
{
	struct put_call *p = arg;

	memset(&p->made, 0, sizeof(p->made));
	return c->bucket->impl.ops->put(c->bucket->impl.self, p->request, &p->made);
}

int bucket_put(struct bucket *b, const struct put_request *request, struct object *out)
{
	struct put_call p = {.request = request};
	int r;

	assert(request->fd >= 0 || request->length == 0);
	r = door_key(b, request->key);
	if (r == 0)
		r = door_run(b, BUCKET_PUT, request->key, attempt_put, &p);
	if (r)
		return r;
	*out = p.made;
	out->size_bytes = request->length;
	door_went(b, request->length);
	return 0;
}

struct copy_call {
	const struct copy_request *request;
	struct object made;
};

static int attempt_copy(struct call *c, void *arg)
{
	struct copy_call *p = arg;

	memset(&p->made, 0, sizeof(p->made));
	return c->bucket->impl.ops->copy(c->bucket->impl.self, p->request, &p->made);
}

int bucket_copy(struct bucket *b, const struct copy_request *request, struct object *out)
{
	struct copy_call p = {.request = request};
	int r = door_key(b, request->from);

	if (r == 0)
		r = door_key(b, request->to);
	if (r == 0)
		r = door_run(b, BUCKET_COPY, request->to, attempt_copy, &p);
	if (r == 0)
		*out = p.made;
	return r;
}

struct remove_call {
	const char *const *keys;
	size_t count;
	int *results;
};

static int attempt_remove(struct call *c, void *arg)
{
	struct remove_call *p = arg;
	int r;

	for (size_t i = 0; i < p->count; i++)
		p->results[i] = 0;
	r = c->bucket->impl.ops->remove(c->bucket->impl.self, p->keys, p->count, p->results);
	for (size_t i = 0; r == 0 && i < p->count; i++)
		assert(p->results[i] <= 0);
	return r;
}

int bucket_remove(struct bucket *b, const char *const *keys, size_t count, int *results)
{
	struct remove_call p = {keys, count, results};

	assert(count > 0 && count <= REMOVE_MAX);
	for (size_t i = 0; i < count; i++) {
		int r = door_key(b, keys[i]);

		if (r)
			return r;
	}
	return door_run(b, BUCKET_REMOVE, keys[0], attempt_remove, &p);
}
